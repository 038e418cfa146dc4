// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host looks for frames to discard in the table of a 64 GiB guest.  All
 * scanners of <essa/scan.h> that work here, over the same states.
 */
#include <stdlib.h>
#include <string.h>

#include <essa/scan.h>

#include "essa-emu/bench/bench.h"

static struct essa_scanner kinds[ESSA_MAX_SCANNERS];
static unsigned int nr_kinds;

static const struct filling {
	const char *name;
	unsigned int one_in; /* volatile frames; 0: none */
} fillings[] = {
	{ "none volatile", 0 },
	{ "1 in 1024 volatile", 1024 },
	{ "1 in 16 volatile", 16 },
};

#define NR_FILLINGS (sizeof(fillings) / sizeof(fillings[0]))

static unsigned int line[NR_FILLINGS][ESSA_MAX_SCANNERS];

static void fill(uint8_t *table, unsigned int one_in)
{
	uint64_t rnd = 1;
	uint64_t i;

	memset(table, ESSA_STABLE, TABLE_BYTES);
	for (i = 0; one_in && i < TABLE_BYTES / one_in; i++) {
		rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
		table[rnd >> 40] = ESSA_VOLATILE;
	}
}

void scan_add(struct bench *b)
{
	unsigned int i, k;

	nr_kinds = essa_scanners(kinds);
	for (i = 0; i < NR_FILLINGS; i++)
		for (k = 0; k < nr_kinds; k++)
			line[i][k] = bench_add(b, "scan", kinds[k].name,
					       fillings[i].name, "ps/state",
					       k ? line[i][0] : b->nr);
}

/* What a host would do with each nominee; the same work for all. */
static __attribute__((noinline)) uint64_t visit(uint64_t first, uint64_t mask)
{
	uint64_t sum = 0;

	for (; mask; mask &= mask - 1)
		sum += first + (unsigned int)__builtin_ctzll(mask) + 1;
	return sum;
}

/* Picoseconds a state; @sum tells whether all find the same. */
static double measure(const uint8_t *table, essa_scan_fn *scan, uint64_t *sum)
{
	uint64_t start = now_ns();
	struct essa_nominees found;
	uint64_t i = 0;

	*sum = 0;
	while ((i = scan(table, i, TABLE_BYTES, &found)) < TABLE_BYTES) {
		*sum += visit(i, found.volatiles);
		i += ESSA_SCAN_BLOCK;
	}
	return (double)(now_ns() - start) * 1000 / TABLE_BYTES;
}

void scan_round(struct bench *b, unsigned int round)
{
	uint64_t sum, last = 0;
	unsigned int i, k, n;

	for (i = 0; i < NR_FILLINGS; i++) {
		fill(b->table, fillings[i].one_in);
		for (n = 0; n < nr_kinds; n++) {
			k = (n + round) % nr_kinds;
			UNDISTURBED(b->line[line[i][k]].v[round] = measure(
					    b->table, kinds[k].scan, &sum));
			/* Whoever finds something else is no faster. */
			if (n && sum != last)
				abort();
			last = sum;
		}
	}
}
