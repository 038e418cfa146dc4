// SPDX-License-Identifier: GPL-2.0-only
/*
 * Potentially Volatile: ESSA_CMD_ARM for ranges, and what it costs to write to an
 * armed page.  The bare sides: one UFFDIO_WRITEPROTECT for each range; a write
 * that has nothing to wait for.  Discards of such pages are beside those of
 * volatile ones in release.c.  And what a guest pays that never arms: the life of
 * a page, filled, written and discarded, in memory registered with and without
 * write protection.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include <essa/step.h>

#include "hyp/mem/bench/bench.h"
#include "hyp/mem/discard.h"
#include "hyp/mem/pager.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

#define FRAMES 8192u /* every other run of them is used */
#define WRITES 512u

static unsigned int line[NR_LENGTHS][2];
static unsigned int write_line[2];
static unsigned int life_line[2];
static struct runs runs[NR_LENGTHS];
static struct mem *mem, *life[2];

static double arm(const struct runs *r)
{
	const uint64_t before = mem->count.armed;
	uint64_t start = cpu_ns();
	unsigned int i;

	for (i = 0; i < r->nr; i++)
		bench_must(mem_hypercall(mem, ESSA_CMD_ARM, r->first[i], r->len,
					 false),
			   "cannot arm");
	start = cpu_ns() - start;
	/* Whoever does not do the work is no faster. */
	if (mem->count.armed - before != (uint64_t)r->nr * r->len)
		abort();
	return (double)start / r->nr / r->len;
}

static double protect(const struct runs *r)
{
	uint64_t start = cpu_ns();
	unsigned int i;

	for (i = 0; i < r->nr; i++)
		bench_must(uffd_protect(mem->uffd, mem_hva(mem, r->first[i]),
					(size_t)r->len * MEM_PAGE_SIZE),
			   "cannot protect");
	return (double)(cpu_ns() - start) / r->nr / r->len;
}

static void unprotect(void)
{
	track_forget(mem);
	bench_must(uffd_unprotect(mem->uffd, mem->ram,
				  (size_t)FRAMES * MEM_PAGE_SIZE),
		   "cannot unprotect");
}

/* Two threads take turns: what counts is the time on the wall. */
static double write_to(const struct runs *r)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < WRITES; i++)
		*(volatile uint64_t *)mem_hva(mem, r->first[i]) = i;
	return (double)(now_ns() - start) / WRITES;
}

static double lives(struct mem *m, const struct runs *r)
{
	const uint64_t mask = (1ull << r->len) - 1;
	static struct discard_batch batch;
	uint64_t start = cpu_ns();
	unsigned int i, k;
	uint8_t old;

	bench_resident(m, r);
	for (i = 0; i < r->nr; i++) {
		for (k = 0; k < r->len; k++) {
			*(volatile uint64_t *)mem_hva(m, r->first[i] + k) = i;
			state_guest_op(m, r->first[i] + k, ESSA_OP_SET_UNUSED,
				       &old);
		}
		discard_commit_block(m, &batch,
				     r->first[i] - r->first[i] % FRAME_BLOCK,
				     mask << r->first[i] % FRAME_BLOCK);
	}
	discard_flush(m, &batch);
	return (double)(cpu_ns() - start) / r->nr / r->len;
}

void arm_add(struct bench *b)
{
	unsigned int n;

	mem = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, false, true);
	for (n = 0; n < 2; n++)
		life[n] = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, false, n);
	for (n = 0; n < NR_LENGTHS; n++) {
		runs_make(&runs[n], run_lengths[n], FRAMES);
		bench_resident(mem, &runs[n]);
		line[n][0] = bench_add(b, "arm", "write-protect loop",
				       run_names[n], "ns/page", b->nr);
		line[n][1] = bench_add(b, "arm", "hyp/mem", run_names[n],
				       "ns/page", line[n][0]);
	}
	write_line[0] = bench_add(b, "write", "page not armed",
				  "pages of their own", "ns/page", b->nr);
	write_line[1] = bench_add(b, "write", "armed page",
				  "pages of their own", "ns/page",
				  write_line[0]);
	life_line[0] = bench_add(b, "life", "potential not offered",
				 run_names[1], "ns/page", b->nr);
	life_line[1] = bench_add(b, "life", "offered, not used", run_names[1],
				 "ns/page", life_line[0]);
}

static void write_round(struct bench *b, unsigned int round)
{
	pthread_t pager;

	bench_must(pthread_create(&pager, NULL, pager_thread, mem),
		   "cannot start a pager");
	unprotect();
	b->line[write_line[0]].v[round] = write_to(&runs[0]);
	arm(&runs[0]);
	b->line[write_line[1]].v[round] = write_to(&runs[0]);
	atomic_store(&mem->stopping, true);
	eventfd_write(mem->stop_fd, 1);
	pthread_join(pager, NULL);
	atomic_store(&mem->stopping, false);
}

void arm_round(struct bench *b, unsigned int round)
{
	unsigned int n, s;

	for (n = 0; n < NR_LENGTHS; n++)
		for (s = 0; s < 2; s++) {
			unsigned int side = (s + round) % 2;

			unprotect();
			b->line[line[n][side]].v[round] =
				side ? arm(&runs[n]) : protect(&runs[n]);
		}
	write_round(b, round);
	for (s = 0; s < 2; s++) {
		unsigned int side = (s + round) % 2;

		b->line[life_line[side]].v[round] = lives(life[side], &runs[1]);
	}
}
