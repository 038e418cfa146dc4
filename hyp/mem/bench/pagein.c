// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-in.  By devices, in processor time; the bare side: pread() of a whole
 * run and one UFFDIO_COPY.  By the pager, in elapsed time, for threads that all
 * want single pages; the other side: a pager that preads them one by one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hyp/mem/access.h"
#include "hyp/mem/bench/bench.h"
#include "hyp/mem/uffd.h"

#define FRAMES	  8192u /* every other run of them is used */
#define MAX_BYTES (512u * MEM_PAGE_SIZE)

static unsigned int line[NR_LENGTHS][3];
static struct runs runs[NR_LENGTHS];
static struct mem *mem;

static uint64_t *word(uint64_t idx)
{
	return (uint64_t *)mem_hva(mem, idx);
}

/* In the order of addresses, as reclaim does: runs get slots in a row. */
static void page_out(const struct runs *r)
{
	static uint64_t idx[FRAMES];
	unsigned int nr = 0;
	uint64_t run, i;

	for (run = 0; run < FRAMES; run += 2 * r->len)
		for (i = run; i < run + r->len; i++)
			idx[nr++] = i;
	bench_page_out(mem, idx, nr);
}

static void check(const struct runs *r)
{
	unsigned int i, k;

	for (i = 0; i < r->nr; i++)
		for (k = 0; k < r->len; k++)
			if (*word(r->first[i] + k) != r->first[i] + k + 1)
				abort();
}

/* @group: no more at a time, though all of a run is wanted. */
static double hyp(const struct runs *r, unsigned int group)
{
	uint64_t start, end, idx, stop;
	unsigned int i;

	start = cpu_ns();
	for (i = 0; i < r->nr; i++) {
		stop = r->first[i] + r->len;
		for (idx = r->first[i]; idx < stop; idx++) {
			uint64_t part = idx - idx % group + group;

			if (mem->frames[idx].content == FRAME_PRESERVED &&
			    access_resident(mem, idx, part < stop ? part : stop,
					    false, &mem->count.device_fills, 0))
				abort();
		}
	}
	end = cpu_ns();
	check(r);
	return (double)(end - start) / r->nr / r->len;
}

/*
 * From the same slots, which stay as they are; what comes in goes again.  Slots
 * ascend with the frames.
 */
static double bare(const struct runs *r)
{
	const size_t bytes = (size_t)r->len * MEM_PAGE_SIZE;
	static uint8_t buf[MAX_BYTES] __attribute__((aligned(MEM_PAGE_SIZE)));
	uint64_t start, end;
	unsigned int i;

	start = cpu_ns();
	for (i = 0; i < r->nr; i++) {
		off_t off =
			(off_t)mem->frames[r->first[i]].slot * MEM_PAGE_SIZE;

		if (pread(mem->swap->fd, buf, bytes, off) != (ssize_t)bytes ||
		    uffd_copy(mem->uffd, word(r->first[i]), buf, bytes))
			abort();
	}
	end = cpu_ns();
	check(r);
	for (i = 0; i < r->nr; i++)
		if (madvise(word(r->first[i]), bytes, MADV_DONTNEED))
			abort();
	return (double)(end - start) / r->nr / r->len;
}

#define READERS	 8u
#define IN_TURNS 1024u /* pages of the pager's turn */

static unsigned int pager_line[2], rescue_line;

struct reader {
	pthread_t thread;
	unsigned int first;
};

static void *read_pages(void *arg)
{
	const struct reader *r = arg;
	unsigned int i;

	for (i = r->first; i < IN_TURNS; i += READERS)
		if (*(volatile uint64_t *)word(runs[0].first[i]) !=
		    runs[0].first[i] + 1)
			abort();
	return NULL;
}

/* Into probation, where a touch is no read. */
static void park(const struct runs *r)
{
	uint64_t idx;
	unsigned int i;

	pthread_mutex_lock(&mem->pageout.lock);
	for (i = 0; i < r->nr; i++) {
		idx = r->first[i];
		*word(idx) = idx + 1;
		frame_lock(mem, idx);
		mem->frames[idx].busy = FRAME_PARK;
		frame_unlock(mem, idx);
		/* Nobody takes it from the queue. */
		mem->probation.queue[PROBATION_STABLE].tail =
			mem->probation.queue[PROBATION_STABLE].head;
		probation_park(mem, PROBATION_STABLE, &idx, 1);
	}
	pthread_mutex_unlock(&mem->pageout.lock);
}

/* Elapsed time of a page, when all of them want one. */
static double pager(bool ring)
{
	struct reader r[READERS];
	uint64_t start, end;
	pthread_t thread;
	unsigned int i;

	mem->pager.in.queue.has_ring = ring;
	bench_must(pthread_create(&thread, NULL, pager_thread, mem),
		   "cannot start a pager");
	start = now_ns();
	for (i = 0; i < READERS; i++) {
		r[i].first = i;
		bench_must(pthread_create(&r[i].thread, NULL, read_pages,
					  &r[i]),
			   "cannot start a reader");
	}
	for (i = 0; i < READERS; i++)
		pthread_join(r[i].thread, NULL);
	end = now_ns();
	atomic_store(&mem->stopping, true);
	eventfd_write(mem->stop_fd, 1);
	pthread_join(thread, NULL);
	atomic_store(&mem->stopping, false);
	eventfd_read(mem->stop_fd, &(eventfd_t){ 0 });
	return (double)(end - start) / IN_TURNS;
}

void pagein_add(struct bench *b)
{
	unsigned int n;

	mem = bench_mem((uint64_t)FRAMES * MEM_PAGE_SIZE, true, true);
	for (n = 0; n < NR_LENGTHS; n++) {
		runs_make(&runs[n], run_lengths[n], FRAMES);
		line[n][0] = bench_add(b, "page-in", "pread+copy loop",
				       run_names[n], "ns/page", b->nr);
		line[n][1] = bench_add(b, "page-in", "8 at a time",
				       run_names[n], "ns/page", line[n][0]);
		line[n][2] = bench_add(b, "page-in", "hyp/mem", run_names[n],
				       "ns/page", line[n][0]);
	}
	if (!mem->pager.in.queue.has_ring)
		return;
	pager_line[0] = bench_add(b, "page-in", "pager, pread each",
				  "8 threads, elapsed", "ns/page", b->nr);
	pager_line[1] = bench_add(b, "page-in", "pager, io_uring",
				  "8 threads, elapsed", "ns/page",
				  pager_line[0]);
	rescue_line = bench_add(b, "page-in", "pager, probation",
				"8 threads, elapsed", "ns/page", pager_line[0]);
}

void pagein_round(struct bench *b, unsigned int round)
{
	unsigned int n;

	for (n = 0; n < NR_LENGTHS; n++) {
		const struct runs *r = &runs[n];

		bench_resident(mem, r);
		page_out(r);
		b->line[line[n][0]].v[round] = bare(r);
		b->line[line[n][1]].v[round] = hyp(r, 8);
		page_out(r);
		b->line[line[n][2]].v[round] = hyp(r, FRAMES);
	}
	for (n = 0; n < 2 && pager_line[1]; n++) {
		unsigned int side = (n + round) % 2;

		bench_resident(mem, &runs[0]);
		page_out(&runs[0]);
		b->line[pager_line[side]].v[round] = pager(side);
	}
	mem->pager.in.queue.has_ring = pager_line[1];
	if (!rescue_line)
		return;
	bench_resident(mem, &runs[0]);
	park(&runs[0]);
	b->line[rescue_line].v[round] = pager(true);
	bench_resident(mem, &runs[0]);
}
