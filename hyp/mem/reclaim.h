/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reclaim thread: holds the VM at its resident limit.
 *
 * Order: Unused; Volatile, longest first; Potentially Volatile that is known
 * unwritten; Stable, and what else is Potentially Volatile, by second chance to
 * the swap file.  Some Stable go before Volatile that keep coming back: balance.h.
 *
 * Volatile and Stable go through probation first (probation.h), so that what is
 * in use stays.  It is filled behind each round in which nobody waits, and what has
 * been there longest goes first; with pressure urgent, or nothing there, frames go
 * at once.  Without pressure there are no rounds, and ageing costs nothing.
 */
#ifndef HYP_MEM_RECLAIM_H
#define HYP_MEM_RECLAIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <essa/scan.h>

#include "hyp/mem/balance.h"
#include "hyp/mem/discard.h"
#include "hyp/mem/evict.h"

struct mem;

#define RECLAIM_AGES 256u

struct reclaim {
	uint8_t *age; /* frame: generation first seen volatile, or 0; atomic */
	uint64_t *aged;	    /* one bit a block: has a frame with an age */
	uint8_t generation; /* 1 .. 255 */
	uint64_t hand;	    /* block where the next scan for V begins */
	uint64_t clock;	    /* block where the next page-out begins */
	uint64_t by_age[RECLAIM_AGES];
	struct balance balance;
	struct evict_size size[PROBATION_NR];
	struct discard_batch batch;
	/* mem_discard(): written by the asker while @asked is 0, then reclaim's */
	_Atomic uint64_t asked; /* frames; 0: nothing is */
	void (*asked_done)(void *ctx, uint64_t nr_frames);
	void *asked_ctx;
	essa_scan_fn *scan;
	bool in_trouble;     /* since the last look */
	uint64_t retried_ms; /* when all was tried again */
	uint64_t round;	     /* trouble.round of the last page-out */
};

/** reclaim_init() - Return: 0 or -ENOMEM */
int reclaim_init(struct mem *mem);
void reclaim_fini(struct mem *mem);

/** reclaim_thread() - body of the thread; @arg is a struct mem */
void *reclaim_thread(void *arg);

#endif /* HYP_MEM_RECLAIM_H */
