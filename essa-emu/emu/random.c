// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long random schedules: cpus that take one program after the other, in an
 * order that is a function of the seed, checked after each step.
 */
#include <string.h>

#include <essa/random.h>

#include "essa-emu/emu/explore.h"

#define NR_FRAMES 16
#define NR_GUESTS 3
#define NR_CPUS	  (NR_GUESTS + 1)

struct world {
	struct emu_random *run;
	struct rng rng;
	uint8_t table[NR_FRAMES] __attribute__((aligned(8)));
	struct emu_frame frame[NR_FRAMES];
	struct emu_vm vm;
	struct emu_cpu cpu[NR_CPUS];
	struct emu_mem m;
	struct emu e[NR_CPUS];
};

static void begin(struct world *w, struct emu_random *run)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->run = run;
	w->rng.s = run->seed;
	w->m = (struct emu_mem){
		.table = w->table,
		.frame = w->frame,
		.vm = &w->vm,
		.nr = NR_FRAMES,
		.broken = run->broken,
		.lenient = run->lenient,
	};
	for (i = 0; i < NR_FRAMES; i++)
		emu_init_frame(&w->m, i, rng_below(&w->rng, EMU_NR_STARTS));
	for (i = 0; i < NR_CPUS; i++) {
		w->cpu[i].done = 1;
		w->e[i].m = &w->m;
		w->e[i].c = &w->cpu[i];
	}
}

static const struct emu_program *program_of(const struct world *w,
					    unsigned int cpu)
{
	unsigned int prog = w->cpu[cpu].prog;

	return cpu < NR_GUESTS ? &emu_guest_programs[prog] :
				 &emu_host_programs[prog];
}

/* Few frames at a time, or nobody ever meets anybody. */
static void choose(struct world *w, unsigned int cpu)
{
	struct emu_cpu *c = &w->cpu[cpu];
	uint32_t base = w->rng.s >> 60 & (NR_FRAMES - 1);

	memset(c, 0, sizeof(*c));
	c->prog = (uint8_t)rng_below(&w->rng, cpu < NR_GUESTS ?
						      emu_nr_guest_programs :
						      emu_nr_host_programs);
	c->f = (uint16_t)((base + rng_below(&w->rng, 2)) % NR_FRAMES);
	c->g = (uint16_t)((c->f + 1) % NR_FRAMES);
}

static void print_step(const struct world *w, unsigned int cpu,
		       const struct emu_frame *a, uint8_t byte)
{
	unsigned int f = w->cpu[cpu].f;
	const struct emu_frame *b = &w->frame[f];

	fprintf(w->run->out,
		"# %8llu %s%u %-18s frame %2u: byte %02x -> %02x, page %u -> %u%s, kind %u, ref %u\n",
		(unsigned long long)w->run->step,
		cpu < NR_GUESTS ? "guest " : "host ", cpu,
		program_of(w, cpu)->name, f, byte, w->table[f], a->page,
		b->page, b->present ? "" : " (gone)", b->kind, b->ref);
}

/* Return: false if the cpu sleeps. */
static bool step(struct world *w, unsigned int cpu)
{
	struct emu_random *run = w->run;
	struct emu_frame before;
	struct emu *e = &w->e[cpu];
	enum emu_ret ret;
	uint8_t byte;

	if (e->c->done)
		choose(w, cpu);
	before = w->frame[e->c->f];
	byte = w->table[e->c->f];
	ret = program_of(w, cpu)->run(e);
	if (run->tail && run->step + run->tail > run->until)
		print_step(w, cpu, &before, byte);
	if (ret == EMU_BLOCKED)
		return false;
	if (ret == EMU_OK || ret == EMU_NO)
		e->c->done = 1;
	run->frame = e->c->f;
	run->why = e->why ? e->why : emu_check(&w->m, &run->frame);
	return true;
}

void emu_run_random(struct emu_random *run)
{
	unsigned int asleep = 0;
	struct world w;
	unsigned int cpu, burst, i;

	begin(&w, run);
	run->why = NULL;
	run->step = 0;
	run->hash = run->seed;
	while (run->step < run->steps && !run->why) {
		cpu = rng_below(&w.rng, NR_CPUS);
		/* Now and then somebody is much faster than the others. */
		burst = rng_below(&w.rng, 8) ? 1 : 1 + rng_below(&w.rng, 24);
		for (i = 0; i < burst && run->step < run->steps; i++) {
			if (!step(&w, cpu)) {
				asleep |= 1u << cpu;
				break;
			}
			asleep = 0;
			run->step++;
			run->hash =
				(run->hash ^ cpu << 8 ^ w.table[w.cpu[cpu].f]) *
				0x100000001b3ull;
			if (run->why)
				break;
		}
		if (asleep == (1u << NR_CPUS) - 1)
			run->why = "all are asleep";
	}
	run->transitions = run->discards = run->seen = run->waits = 0;
	for (i = 0; i < NR_CPUS; i++) {
		run->transitions += w.e[i].transitions;
		run->discards += w.e[i].discards;
		run->seen += w.e[i].seen;
		run->waits += w.e[i].waits;
	}
}
