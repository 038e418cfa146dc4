// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of 1, 2 and 4 threads at once, in elapsed time of a fault: with more
 * threads it may become shorter, not longer.  Each touch is a fault of its own:
 * what comes along with a page is touched by nobody.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <essa/step.h>

#include "hyp/mem/bench/bench.h"
#include "hyp/mem/discard.h"
#include "hyp/mem/state.h"
#include "hyp/mem/touch.h"

#define FRAMES 32768u
#define FAULTS 1024u
#define STRIDE (FRAMES / FAULTS)
#define KINDS  3u
#define COUNTS 3u

static const unsigned int counts[COUNTS] = { 1, 2, 4 };
static const char *const count_names[COUNTS] = { "1 thread", "2 threads",
						 "4 threads" };
static const char *const kind_names[KINDS] = { "zero fill", "page-in",
					       "discard fault" };

static unsigned int line[KINDS][COUNTS];
static struct mem *mem;

static struct toucher {
	pthread_t thread;
	unsigned int first, step;
	enum guest_access expected;
} touchers[4];

/* Not in the order of addresses. */
static uint64_t frame_of(unsigned int i)
{
	return (uint64_t)(i * 389u % FAULTS) * STRIDE;
}

static void *touch_pages(void *arg)
{
	const struct toucher *t = arg;
	uint64_t val;
	unsigned int i;

	for (i = t->first; i < FAULTS; i += t->step)
		if (guest_access(mem,
				 (volatile uint64_t *)mem_hva(mem, frame_of(i)),
				 &val, 0) != t->expected)
			abort();
	return NULL;
}

static double elapsed(unsigned int nr, enum guest_access expected)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < nr; i++) {
		touchers[i] = (struct toucher){ .first = i,
						.step = nr,
						.expected = expected };
		bench_must(pthread_create(&touchers[i].thread, NULL,
					  touch_pages, &touchers[i]),
			   "cannot start a thread");
	}
	for (i = 0; i < nr; i++)
		pthread_join(touchers[i].thread, NULL);
	return (double)(now_ns() - start) / FAULTS;
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
	unsigned int k, c;

	guest_init();
	mem = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, true, false);
	bench_must(mem_start(mem), "cannot start the threads of memory");
	for (k = 0; k < KINDS; k++)
		for (c = 0; c < COUNTS; c++)
			line[k][c] = bench_add(b, "faults", kind_names[k],
					       count_names[c], "ns/fault",
					       c ? line[k][0] : b->nr);
}

void fault_round(struct bench *b, unsigned int round)
{
	unsigned int n, c;

	for (n = 0; n < COUNTS; n++) {
		c = (n + round) % COUNTS;
		discard(ESSA_OP_SET_UNUSED, 1);
		b->line[line[0][c]].v[round] = elapsed(counts[c], GUEST_OK);
		page_out();
		b->line[line[1][c]].v[round] = elapsed(counts[c], GUEST_OK);
		discard(ESSA_OP_SET_VOLATILE, STRIDE);
		b->line[line[2][c]].v[round] =
			elapsed(counts[c], GUEST_DISCARDED);
	}
}
