// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commit and release.  The bare sides: a load and a locked exchange for each
 * state byte; a loop that gives each run back with madvise(), and poisons it
 * where a touch has to be a discard fault, in the order of the runs.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include <essa/step.h>

#include "hyp/mem/bench/bench.h"
#include "hyp/mem/discard.h"
#include "hyp/mem/fill.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

#define FRAMES 32768u /* every other run of them is used */

enum side { BARE, HYP, NR_SIDES };

static const struct usage {
	const char *name, *bare;
	unsigned int op;
} usages[] = {
	{ "unused, ", "madvise loop", ESSA_OP_SET_UNUSED },
	{ "volatile, ", "madvise+poison loop", ESSA_OP_SET_VOLATILE },
	{ "potential, ", "madvise+poison loop", ESSA_OP_SET_POTENTIAL },
};

#define NR_USAGES 3u

static char where[NR_USAGES][NR_LENGTHS][32];
static unsigned int commit_line[NR_USAGES][NR_LENGTHS][NR_SIDES];
static unsigned int release_line[NR_USAGES][NR_LENGTHS][NR_SIDES];
static unsigned int both_line[NR_USAGES][NR_LENGTHS];
static struct runs runs[NR_LENGTHS];
static struct mem *mem;

static uint8_t *hva(const struct runs *r, unsigned int i)
{
	return mem_hva(mem, r->first[i]);
}

static void set_states(const struct runs *r, unsigned int op)
{
	unsigned int i, k;
	uint8_t old;

	for (i = 0; i < r->nr; i++)
		for (k = 0; k < r->len; k++)
			state_guest_op(mem, r->first[i] + k, op, &old);
}

static double bare_release(const struct runs *r, unsigned int op)
{
	const size_t bytes = (size_t)r->len * MEM_PAGE_SIZE;
	const unsigned int n = r->len < FILL_MAX_ZERO ? r->len : FILL_MAX_ZERO;
	static const uint8_t zeros[FILL_MAX_ZERO * MEM_PAGE_SIZE];
	uint64_t start, end;
	unsigned int i, k;

	start = cpu_ns();
	for (i = 0; i < r->nr; i++) {
		if (madvise(hva(r, i), bytes, MADV_DONTNEED))
			abort();
		if (op != ESSA_OP_SET_UNUSED &&
		    uffd_poison(mem->uffd, hva(r, i), bytes))
			abort();
	}
	end = cpu_ns();
	/* Behind the back of hyp/mem, in steps like its own. */
	for (i = 0; i < r->nr; i++)
		for (k = 0; k < r->len; k += n)
			bench_must(
				uffd_copy(mem->uffd,
					  hva(r, i) + (size_t)k * MEM_PAGE_SIZE,
					  zeros, (size_t)n * MEM_PAGE_SIZE),
				"cannot fill a frame");
	return (double)(end - start) / r->nr / r->len;
}

static double bare_commit(const struct runs *r, unsigned int op)
{
	uint64_t start, end;
	unsigned int i, k;

	set_states(r, op);
	start = cpu_ns();
	for (i = 0; i < r->nr; i++)
		for (k = 0; k < r->len; k++) {
			uint8_t *p = &mem->table[r->first[i] + k];
			uint8_t old = __atomic_load_n(p, __ATOMIC_RELAXED);
			uint8_t next = (uint8_t)essa_host_discard(old, 1);

			if (!__atomic_compare_exchange_n(p, &old, next, 0,
							 __ATOMIC_SEQ_CST,
							 __ATOMIC_SEQ_CST))
				abort();
		}
	end = cpu_ns();
	for (i = 0; i < r->nr; i++)
		for (k = 0; k < r->len; k++)
			mem->table[r->first[i] + k] = ESSA_STABLE;
	return (double)(end - start) / r->nr / r->len;
}

static void commit_run(struct discard_batch *b, uint64_t idx, unsigned int len)
{
	unsigned int n = len < FRAME_BLOCK ? len : FRAME_BLOCK;
	uint64_t mask = n < 64 ? (1ull << n) - 1 : ~0ull;
	uint64_t end = idx + len;

	for (; idx < end; idx += n)
		discard_commit_block(mem, b, idx - idx % FRAME_BLOCK,
				     mask << idx % FRAME_BLOCK);
}

static void arm(const struct runs *r)
{
	unsigned int i;

	for (i = 0; i < r->nr; i++)
		bench_must(track_arm(mem, r->first[i], r->len), "cannot arm");
}

static uint64_t discarded(void)
{
	return mem->count.discarded_unused + mem->count.discarded_volatile +
	       mem->count.discarded_potential;
}

/* In batches as large as reclaim's. */
static void hyp(const struct runs *r, unsigned int op, double *commit,
		double *release)
{
	const uint64_t before = discarded();
	static struct discard_batch b;
	uint64_t t[3], sum[2] = { 0, 0 };
	unsigned int i = 0;

	if (op == ESSA_OP_SET_POTENTIAL)
		arm(r);
	set_states(r, op);
	while (i < r->nr) {
		unsigned int frames = 0;

		t[0] = cpu_ns();
		for (; i < r->nr && frames + r->len <= DISCARD_BATCH &&
		       frames <= DISCARD_BATCH - FRAME_BLOCK;
		     i++, frames += r->len)
			commit_run(&b, r->first[i], r->len);
		t[1] = cpu_ns();
		discard_flush(mem, &b);
		t[2] = cpu_ns();
		sum[0] += t[1] - t[0];
		sum[1] += t[2] - t[1];
	}
	/* Whoever does not do the work is no faster. */
	if (discarded() - before != (uint64_t)r->nr * r->len)
		abort();
	*commit = (double)sum[0] / r->nr / r->len;
	*release = (double)sum[1] / r->nr / r->len;
	bench_resident(mem, r);
}

void release_add(struct bench *b)
{
	unsigned int u, n;

	mem = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, false, true);
	for (n = 0; n < NR_LENGTHS; n++)
		runs_make(&runs[n], run_lengths[n], FRAMES);
	for (u = 0; u < NR_USAGES; u++)
		for (n = 0; n < NR_LENGTHS; n++) {
			unsigned int *line = commit_line[u][n];

			snprintf(where[u][n], sizeof(where[u][n]), "%s%s",
				 usages[u].name, run_names[n]);
			line[BARE] = bench_add(b, "commit",
					       "load, lock cmpxchg",
					       where[u][n], "ns/page", b->nr);
			line[HYP] = bench_add(b, "commit", "hyp/mem",
					      where[u][n], "ns/page",
					      line[BARE]);
		}
	for (u = 0; u < NR_USAGES; u++)
		for (n = 0; n < NR_LENGTHS; n++) {
			unsigned int *line = release_line[u][n];

			line[BARE] = bench_add(b, "release", usages[u].bare,
					       where[u][n], "ns/page", b->nr);
			line[HYP] = bench_add(b, "release", "hyp/mem",
					      where[u][n], "ns/page",
					      line[BARE]);
			both_line[u][n] =
				bench_add(b, "release", "hyp/mem with commit",
					  where[u][n], "ns/page", line[BARE]);
		}
}

static void take(struct bench *b, unsigned int round, unsigned int u,
		 unsigned int n, enum side side)
{
	unsigned int *commit = commit_line[u][n];
	unsigned int *release = release_line[u][n];
	unsigned int op = usages[u].op;
	double c, rel;

	if (side == BARE) {
		c = bare_commit(&runs[n], op);
		rel = bare_release(&runs[n], op);
	} else {
		hyp(&runs[n], op, &c, &rel);
		b->line[both_line[u][n]].v[round] = c + rel;
	}
	b->line[commit[side]].v[round] = c;
	b->line[release[side]].v[round] = rel;
}

void release_round(struct bench *b, unsigned int round)
{
	unsigned int u, n, s;

	for (u = 0; u < NR_USAGES; u++)
		for (n = 0; n < NR_LENGTHS; n++) {
			bench_resident(mem, &runs[n]);
			for (s = 0; s < NR_SIDES; s++)
				take(b, round, u, n, (s + round) % NR_SIDES);
		}
}
