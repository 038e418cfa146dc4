// SPDX-License-Identifier: GPL-2.0-only
/* Every interleaving: depth first over the cpu that takes the next step. */
#include <stdlib.h>
#include <string.h>

#include "essa-emu/emu/co.h"
#include "essa-emu/emu/explore.h"

struct state {
	uint8_t table[8];
	struct emu_vm vm;
	struct emu_frame frame[EMU_NR_FRAMES];
	struct emu_cpu cpu[EMU_NR_CPUS];
};

_Static_assert(sizeof(struct state) % 4 == 0, "hashed by words");

/* @epoch: valid if it is the search's; @open: on the way to this state */
struct seen {
	uint64_t key;
	double schedules;
	uint32_t epoch;
	uint32_t open;
};

struct search {
	const struct emu_case *ec;
	struct emu_result *res;
};

/* Kept from one search to the next: most are small. */
static struct seen *seen;
static uint64_t nr_slots;
static uint64_t nr_used;
static uint32_t epoch;

static uint64_t hash_of(const struct state *s)
{
	const uint32_t *p = (const uint32_t *)s;
	uint64_t h = 0x9e3779b97f4a7c15ull;
	size_t i;

	for (i = 0; i < sizeof(*s) / 4; i++) {
		h = (h ^ p[i]) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h;
}

static struct seen *slot_of(uint64_t key)
{
	uint64_t i = key & (nr_slots - 1);

	while (seen[i].epoch == epoch && seen[i].key != key)
		i = (i + 1) & (nr_slots - 1);
	return &seen[i];
}

static void grow(void)
{
	struct seen *old = seen;
	uint64_t nr = nr_slots;
	uint64_t i;

	nr_slots = nr ? 2 * nr : 1 << 12;
	seen = calloc(nr_slots, sizeof(*seen));
	if (!seen)
		abort();
	for (i = 0; i < nr; i++)
		if (old[i].epoch == epoch)
			*slot_of(old[i].key) = old[i];
	free(old);
}

static struct seen *add(uint64_t key)
{
	struct seen *sl;

	if (4 * ++nr_used > 3 * nr_slots)
		grow();
	sl = slot_of(key);
	*sl = (struct seen){ .key = key, .epoch = epoch, .open = 1 };
	return sl;
}

static const struct emu_program *program_of(const struct emu_case *ec,
					    unsigned int cpu)
{
	return cpu == EMU_HOST ? &emu_host_programs[ec->host] :
				 &emu_guest_programs[ec->guest[cpu]];
}

static struct emu_mem mem_of(const struct emu_case *ec, struct state *s)
{
	return (struct emu_mem){
		.table = s->table,
		.frame = s->frame,
		.vm = &s->vm,
		.nr = EMU_NR_FRAMES,
		.broken = ec->broken,
		.lenient = ec->lenient,
		.scribble = ec->scribble,
	};
}

static void begin(const struct emu_case *ec, struct state *s)
{
	struct emu_mem m = mem_of(ec, s);
	unsigned int i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < EMU_NR_FRAMES; i++)
		emu_init_frame(&m, i, ec->start[i]);
	for (i = 0; i < EMU_NR_CPUS; i++)
		s->cpu[i].g = 1;
	s->frame[0].tainted = ec->hostile;
	s->cpu[1].f = (uint16_t)ec->second;
}

/* A processor that was stopped; what the host does for it has an end. */
static bool is_stopped(const struct state *s, unsigned int cpu)
{
	return cpu != EMU_HOST && s->vm.stopped && s->vm.stopped != cpu + 1 &&
	       !s->cpu[cpu].pc[LEVEL_LOW];
}

/* One step of a cpu.  Return: what it said; @why if an invariant broke. */
static enum emu_ret step(const struct emu_case *ec, struct state *s,
			 unsigned int cpu, struct emu_result *res)
{
	struct emu_mem m = mem_of(ec, s);
	struct emu e = { .m = &m, .c = &s->cpu[cpu] };
	enum emu_ret ret = is_stopped(s, cpu) ? EMU_DEAD :
						program_of(ec, cpu)->run(&e);

	if (ret == EMU_BLOCKED)
		return ret;
	if (ret == EMU_OK || ret == EMU_NO || ret == EMU_DEAD) {
		/* What it remembers makes no difference any more. */
		memset(e.c, 0, sizeof(*e.c));
		e.c->done = 1;
	}
	res->discards += e.discards;
	res->frame = e.c->f;
	res->why = e.why ? e.why : emu_check(&m, &res->frame);
	return ret;
}

static double follow(struct search *se, const struct state *s,
		     unsigned int depth);

/* No cpu can take a step: all done, or asleep for ever. */
static double at_end(struct search *se, struct state *s)
{
	struct emu_mem m = mem_of(se->ec, s);
	unsigned int i;

	for (i = 0; i < EMU_NR_CPUS; i++) {
		if (s->cpu[i].done)
			continue;
		/* Who scribbles may wait for itself, but not in the host. */
		if (se->ec->hostile && i != EMU_HOST &&
		    !s->cpu[i].pc[LEVEL_LOW])
			continue;
		se->res->why = "all who have work left are asleep";
		return 0;
	}
	if (!m.broken && !se->ec->hostile)
		se->res->why = emu_check_end(&m, &se->res->frame);
	return 1;
}

static double successors(struct search *se, const struct state *s,
			 unsigned int depth)
{
	struct emu_result *res = se->res;
	double schedules = 0;
	bool moved = false;
	struct state next;
	unsigned int i;

	for (i = 0; i < EMU_NR_CPUS; i++) {
		if (s->cpu[i].done)
			continue;
		next = *s;
		if (step(se->ec, &next, i, res) == EMU_BLOCKED)
			continue;
		moved = true;
		res->schedule[depth] = (uint8_t)i;
		res->depth = depth + 1;
		if (!res->why)
			schedules += follow(se, &next, depth + 1);
		if (res->why)
			return 0;
	}
	if (moved)
		return schedules;
	next = *s;
	return at_end(se, &next);
}

static double follow(struct search *se, const struct state *s,
		     unsigned int depth)
{
	uint64_t key = hash_of(s);
	struct seen *sl = slot_of(key);
	double schedules;

	if (sl->epoch == epoch && sl->key == key) {
		if (sl->open)
			se->res->why = "somebody goes round for ever";
		return sl->schedules;
	}
	if (depth == EMU_MAX_DEPTH) {
		se->res->why = "a program does not end";
		return 0;
	}
	add(key);
	se->res->states++;
	schedules = successors(se, s, depth);
	/* The table may have grown meanwhile. */
	sl = slot_of(key);
	sl->open = 0;
	sl->schedules = schedules;
	return schedules;
}

void emu_explore(const struct emu_case *ec, struct emu_result *res)
{
	struct search se = { .ec = ec, .res = res };
	struct state s;

	memset(res, 0, sizeof(*res));
	if (!nr_slots)
		grow();
	nr_used = 0;
	epoch++;
	begin(ec, &s);
	res->schedules = follow(&se, &s, 0);
}

void emu_print(const struct emu_case *ec, const struct emu_result *res,
	       FILE *out)
{
	struct emu_result scratch = { .why = NULL };
	struct state s, before;
	unsigned int i, f;

	begin(ec, &s);
	fprintf(out, "# bytes %02x %02x; %u steps to: %s (frame %u)\n",
		s.table[0], s.table[1], res->depth, res->why, res->frame);
	for (i = 0; i < res->depth; i++) {
		unsigned int cpu = res->schedule[i];

		before = s;
		step(ec, &s, cpu, &scratch);
		fprintf(out, "# %3u %s%u %-18s", i,
			cpu == EMU_HOST ? "host " : "guest ", cpu,
			program_of(ec, cpu)->name);
		for (f = 0; f < EMU_NR_FRAMES; f++) {
			const struct emu_frame *a = &before.frame[f];
			const struct emu_frame *b = &s.frame[f];

			if (before.table[f] != s.table[f])
				fprintf(out, " byte[%u] %02x -> %02x", f,
					before.table[f], s.table[f]);
			if (a->present != b->present || a->page != b->page)
				fprintf(out, " page[%u] %s %u", f,
					b->present ? "is" : "gone, was",
					b->present ? b->page : a->page);
			if (a->busy != b->busy)
				fprintf(out, " busy[%u] %u", f, b->busy);
			if (a->kind != b->kind || a->ref != b->ref)
				fprintf(out, " kind[%u] %u ref %u", f, b->kind,
					b->ref);
		}
		fprintf(out, "\n");
	}
}
