// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readahead: a thread touches pages that were paged out, in several orders.
 * Elapsed time of a touch, and what is read from the swap file for it, with
 * windows of eight pages whatever happens and with those that adapt.
 */
#include <essa/random.h>

#include "hyp/mem/bench/bench.h"

#define FRAMES	 4096u
#define PATTERNS 4u

static const char *const names[PATTERNS] = { "in order", "two streams",
					     "groups of 16", "1 in 8, random" };
static unsigned int time_line[PATTERNS][2], read_line[PATTERNS][2];
static uint64_t order[PATTERNS][FRAMES];
static unsigned int nr_touches[PATTERNS];
static struct mem *mem;

static void shuffle(uint64_t *v, unsigned int nr)
{
	struct rng r = { 1 };
	unsigned int i, k;
	uint64_t other;

	for (i = nr - 1; i; i--) {
		k = (unsigned int)(rng_next(&r) % (i + 1));
		other = v[i];
		v[i] = v[k];
		v[k] = other;
	}
}

static void make_orders(void)
{
	uint64_t group[FRAMES / 16];
	unsigned int i;

	for (i = 0; i < FRAMES; i++) {
		order[0][i] = i;
		order[1][i] = i % 2 ? FRAMES - 1 - i / 2 : i / 2;
		order[3][i] = i;
	}
	for (i = 0; i < FRAMES / 16; i++)
		group[i] = i;
	shuffle(group, FRAMES / 16);
	for (i = 0; i < FRAMES; i++)
		order[2][i] = group[i / 16] * 16 + i * 7 % 16;
	shuffle(order[3], FRAMES);
	for (i = 0; i < PATTERNS; i++)
		nr_touches[i] = i < 3 ? FRAMES : FRAMES / 8;
}

static void all_out(void)
{
	static uint64_t idx[FRAMES];
	unsigned int nr = 0;
	uint64_t i;

	for (i = 0; i < FRAMES; i++) {
		frame_lock(mem, i);
		__frame_wait_idle(mem, i);
		if (mem->frames[i].content != FRAME_PRESERVED)
			idx[nr++] = i;
		frame_unlock(mem, i);
	}
	bench_page_out(mem, idx, nr);
}

/* What was learnt from another pattern is unlearnt at its expense. */
static void take(struct bench *b, unsigned int round, unsigned int p,
		 unsigned int side)
{
	uint64_t before, start;
	unsigned int i;

	all_out();
	mem->pager.in.ahead.fixed = side ? 0 : 8;
	before = mem->count.swap_in_bytes;
	start = now_ns();
	for (i = 0; i < nr_touches[p]; i++)
		if (*(volatile uint64_t *)mem_hva(mem, order[p][i]) !=
		    order[p][i] + 1)
			abort();
	b->line[time_line[p][side]].v[round] =
		(double)(now_ns() - start) / nr_touches[p];
	b->line[read_line[p][side]].v[round] =
		(double)(mem->count.swap_in_bytes - before) / MEM_PAGE_SIZE /
		nr_touches[p];
}

void ahead_add(struct bench *b)
{
	unsigned int p;

	make_orders();
	mem = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, true, false);
	bench_must(mem_start(mem), "cannot start the threads of memory");
	for (p = 0; p < PATTERNS; p++) {
		time_line[p][0] = bench_add(b, "readahead", "always 8 pages",
					    names[p], "ns/touch", b->nr);
		time_line[p][1] = bench_add(b, "readahead", "adaptive",
					    names[p], "ns/touch",
					    time_line[p][0]);
		read_line[p][0] = bench_add(b, "readahead", "always 8 pages",
					    names[p], "pages read/touch",
					    b->nr);
		read_line[p][1] = bench_add(b, "readahead", "adaptive",
					    names[p], "pages read/touch",
					    read_line[p][0]);
	}
}

void ahead_round(struct bench *b, unsigned int round)
{
	unsigned int p, s;

	for (p = 0; p < PATTERNS; p++)
		for (s = 0; s < 2; s++)
			take(b, round, p, (s + round) % 2);
}
