// SPDX-License-Identifier: GPL-2.0-only
/* A pass of reclaim over a 64 GiB guest that has little to find. */
#include <string.h>

#include "hyp/mem/ages.h"
#include "hyp/mem/bench/bench.h"

static const struct filling {
	const char *name;
	unsigned int one_in; /* volatile frames; 0: none */
} fillings[] = {
	{ "none volatile", 0 },
	{ "1 in 1024 volatile", 1024 },
};

#define NR_FILLINGS 2u

static unsigned int line[NR_FILLINGS][ESSA_MAX_SCANNERS];
static struct essa_scanner kinds[ESSA_MAX_SCANNERS];
static unsigned int nr_kinds;
static struct mem *mem;

static void fill(unsigned int one_in)
{
	uint64_t rnd = 1;
	uint64_t i;

	for (i = 0; i < mem->nr_frames; i++)
		mem->table[mem_gfn(mem, i)] = ESSA_STABLE;
	for (i = 0; one_in && i < mem->nr_frames / one_in; i++) {
		rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
		mem->table[mem_gfn(mem, (rnd >> 33) % mem->nr_frames)] =
			ESSA_VOLATILE;
	}
}

static double measure(unsigned int k)
{
	uint64_t start;

	mem->reclaim.scan = kinds[k].scan;
	start = cpu_ns();
	ages_scan(mem, 0);
	return (double)(cpu_ns() - start) * 1000 / (double)mem->nr_frames;
}

void reclaim_add(struct bench *b)
{
	unsigned int i, k;

	mem = bench_mem((uint64_t)TABLE_BYTES * MEM_PAGE_SIZE, false, true);
	nr_kinds = essa_scanners(kinds);
	for (i = 0; i < NR_FILLINGS; i++)
		for (k = 0; k < nr_kinds; k++)
			line[i][k] = bench_add(b, "reclaim", kinds[k].name,
					       fillings[i].name, "ps/state",
					       k ? line[i][0] : b->nr);
}

void reclaim_round(struct bench *b, unsigned int round)
{
	unsigned int i, k, n;

	for (i = 0; i < NR_FILLINGS; i++) {
		fill(fillings[i].one_in);
		/* Gets rid of the ages of the filling before. */
		measure(0);
		for (n = 0; n < nr_kinds; n++) {
			k = (n + round) % nr_kinds;
			b->line[line[i][k]].v[round] = measure(k);
		}
	}
}
