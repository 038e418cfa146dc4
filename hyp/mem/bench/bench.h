/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the work of hyp/mem costs beside the bare system calls, or the bare
 * locked exchanges, on the same frames.
 *
 * Nothing but the benchmark runs on this memory, no pager and no guest: what is
 * compared is one thread's work, in processor time of that thread.  But for what
 * says that it is elapsed.
 */
#ifndef HYP_MEM_BENCH_H
#define HYP_MEM_BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "essa-emu/bench/bench.h"
#include "hyp/mem/priv.h"

#define NR_LENGTHS 4u

/* Runs of neighbours, all of one length, that do not touch each other. */
struct runs {
	unsigned int len; /* frames of a run, a power of two up to 512 */
	unsigned int nr;
	uint32_t *first; /* frames, in the order of use */
};

extern const unsigned int run_lengths[NR_LENGTHS];
extern const char *const run_names[NR_LENGTHS];

/**
 * runs_make() - the runs of a length among @nr_frames, in random order
 * @r: set; never freed
 */
void runs_make(struct runs *r, unsigned int len, uint64_t nr_frames);

/**
 * bench_mem() - guest memory without threads, hinting enabled
 * @size_bytes: of RAM
 * @swap:       with a swap file as large
 * @potential:  with write tracking
 *
 * Exits if that is not possible.
 */
struct mem *bench_mem(uint64_t size_bytes, bool swap, bool potential);

/** bench_resident() - make all frames of the runs Stable and resident */
void bench_resident(struct mem *mem, const struct runs *r);

/**
 * bench_page_out() - write to frames, each its number plus one, and page them out
 * @mem: memory
 * @idx: ascending
 * @nr:	 how many
 */
void bench_page_out(struct mem *mem, const uint64_t *idx, unsigned int nr);

/** bench_must() - exits, saying what failed, unless @err is 0 */
void bench_must(int err, const char *what);

void ahead_add(struct bench *b);
void ahead_round(struct bench *b, unsigned int round);
void arm_add(struct bench *b);
void arm_round(struct bench *b, unsigned int round);
void fault_add(struct bench *b);
void fault_round(struct bench *b, unsigned int round);
void mechanism_add(struct bench *b);
void mechanism_round(struct bench *b, unsigned int round);
void cut_add(struct bench *b);
void cut_round(struct bench *b, unsigned int round);
void cut_end(void);
void release_add(struct bench *b);
void release_round(struct bench *b, unsigned int round);
void pagein_add(struct bench *b);
void pagein_round(struct bench *b, unsigned int round);
void reclaim_add(struct bench *b);
void reclaim_round(struct bench *b, unsigned int round);

/* Others share this machine: their time is not ours. */
static inline uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif /* HYP_MEM_BENCH_H */
