// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of 1, 2 and 4 threads at once, by elapsed time of a fault: with more
 * threads it may become shorter, not longer.  Beside it what does not depend on
 * what else runs on this machine: processor time of all threads, the pager's
 * included, and how often one of them slept.  Each touch is a fault of its own:
 * what comes along with a page is touched by nobody.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <essa/step.h>

#include "hyp/mem/access.h"
#include "hyp/mem/bench/bench.h"
#include "hyp/mem/discard.h"
#include "hyp/mem/state.h"
#include "hyp/mem/touch.h"

#define FRAMES 8192u
#define FAULTS 256u
#define STRIDE (FRAMES / FAULTS)
#define KINDS  3u
#define COUNTS 3u
#define TURNS  6u

static const unsigned int counts[COUNTS] = { 1, 2, 4 };
static const char *const count_names[COUNTS] = { "1 thread", "2 threads",
						 "4 threads" };
static const char *const kind_names[KINDS] = { "zero fill", "page-in",
					       "discard fault" };

static const char *const units[] = { "ns/fault", "cpu ns/fault",
				     "sleeps/fault" };

#define NR_UNITS 3u

/* In the order of @units. */
struct cost {
	double v[NR_UNITS];
};

static unsigned int line[KINDS][NR_UNITS][COUNTS];
static struct mem *mem;

static struct toucher {
	pthread_t thread;
	unsigned int first, step;
	enum guest_access expected;
} touchers[4];

/* To create threads is no part of it. */
static pthread_barrier_t begin, end;

/* Not in the order of addresses. */
static uint64_t frame_of(unsigned int i)
{
	return (uint64_t)(i * 37u % FAULTS) * STRIDE;
}

static void *touch_pages(void *arg)
{
	const struct toucher *t = arg;
	uint64_t val;
	unsigned int i;

	pthread_barrier_wait(&begin);
	for (i = t->first; i < FAULTS; i += t->step)
		if (guest_access(mem,
				 (volatile uint64_t *)mem_hva(mem, frame_of(i)),
				 &val, 0) != t->expected)
			abort();
	pthread_barrier_wait(&end);
	return NULL;
}

static double cpu_of(const struct rusage *ru)
{
	return (double)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1e9 +
	       (double)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec) * 1e3;
}

static struct cost cost_of(unsigned int nr, enum guest_access expected)
{
	struct rusage before, after;
	uint64_t start;
	unsigned int i;

	pthread_barrier_init(&begin, NULL, nr + 1);
	pthread_barrier_init(&end, NULL, nr + 1);
	for (i = 0; i < nr; i++) {
		touchers[i] = (struct toucher){ .first = i,
						.step = nr,
						.expected = expected };
		bench_must(pthread_create(&touchers[i].thread, NULL,
					  touch_pages, &touchers[i]),
			   "cannot start a thread");
	}
	getrusage(RUSAGE_SELF, &before);
	start = now_ns();
	pthread_barrier_wait(&begin);
	pthread_barrier_wait(&end);
	start = now_ns() - start;
	getrusage(RUSAGE_SELF, &after);
	for (i = 0; i < nr; i++)
		pthread_join(touchers[i].thread, NULL);
	pthread_barrier_destroy(&begin);
	pthread_barrier_destroy(&end);
	return (struct cost){ {
		(double)start / FAULTS,
		(cpu_of(&after) - cpu_of(&before)) / FAULTS,
		(double)(after.ru_nvcsw - before.ru_nvcsw) / FAULTS,
	} };
}

static void settle_all(void)
{
	uint64_t i;

	for (i = 0; i < FRAMES; i++) {
		frame_lock(mem, i);
		__frame_wait_idle(mem, i);
		frame_unlock(mem, i);
	}
}

/* Whatever there is of the frames from @first on, every @step: gone. */
static void discard(unsigned int op, unsigned int step)
{
	static struct discard_batch b;
	uint64_t i, k, mask;
	uint8_t old;

	settle_all();
	for (i = 0; i < FRAMES; i += FRAME_BLOCK) {
		for (k = 0, mask = 0; k < FRAME_BLOCK; k += step) {
			state_guest_op(mem, i + k, ESSA_OP_SET_STABLE, &old);
			/*
			 * What has no content cannot be discarded, and a
			 * marker that is left is no way to a message.
			 */
			if ((i + k) % STRIDE == 0)
				bench_must(access_resident(
						   mem, i + k, i + k + 1, false,
						   &mem->count.fault_zero, 0),
					   "cannot fill a frame");
			state_guest_op(mem, i + k, op, &old);
			mask |= 1ull << k;
		}
		discard_commit_block(mem, &b, i, mask);
	}
	discard_flush(mem, &b);
	if (op != ESSA_OP_SET_UNUSED)
		return;
	for (i = 0; i < FRAMES; i++)
		state_guest_op(mem, i, ESSA_OP_SET_STABLE, &old);
}

static void page_out(void)
{
	uint64_t idx[FAULTS];
	unsigned int i;

	settle_all();
	for (i = 0; i < FAULTS; i++)
		idx[i] = (uint64_t)i * STRIDE;
	bench_page_out(mem, idx, FAULTS);
}

void fault_add(struct bench *b)
{
	unsigned int k, u, c;

	guest_init();
	mem = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, true, false);
	bench_must(mem_start(mem), "cannot start the threads of memory");
	for (k = 0; k < KINDS; k++)
		for (u = 0; u < NR_UNITS; u++)
			for (c = 0; c < COUNTS; c++)
				line[k][u][c] = bench_add(
					b, "faults", kind_names[k],
					count_names[c], units[u],
					/* For a marker nobody sleeps. */
					c && (k < 2 || u < 2) ? line[k][u][0] :
								b->nr);
}

static struct cost take(unsigned int kind, unsigned int nr)
{
	switch (kind) {
	case 0:
		discard(ESSA_OP_SET_UNUSED, 1);
		return cost_of(nr, GUEST_OK);
	case 1:
		page_out();
		return cost_of(nr, GUEST_OK);
	default:
		discard(ESSA_OP_SET_VOLATILE, STRIDE);
		return cost_of(nr, GUEST_DISCARDED);
	}
}

/* The best of some: with what else runs here, most are somebody else's time. */
void fault_round(struct bench *b, unsigned int round)
{
	unsigned int k, n, c, i, u;
	struct cost best, cost;

	for (k = 0; k < KINDS; k++)
		for (n = 0; n < COUNTS; n++) {
			c = (n + round) % COUNTS;
			best = take(k, counts[c]);
			for (i = 1; i < TURNS; i++) {
				cost = take(k, counts[c]);
				for (u = 0; u < NR_UNITS; u++)
					if (cost.v[u] < best.v[u])
						best.v[u] = cost.v[u];
			}
			for (u = 0; u < NR_UNITS; u++)
				b->line[line[k][u][c]].v[round] = best.v[u];
		}
}
