/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page-out: stable frames to the swap file, in batches.
 *
 * The pages are moved (UFFDIO_MOVE) out of the guest's reach first, to where
 * pages in probation are already (probation.h).  From then on the guest cannot
 * write them, so what is written is what it had; a touch sleeps in the kernel
 * until the frame is published.  Frames that were touched meanwhile are moved
 * back.
 */
#ifndef HYP_MEM_PAGEOUT_H
#define HYP_MEM_PAGEOUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hyp/mem/swapio.h"

struct mem;

#define PAGEOUT_BATCH 128u

struct pageout_page {
	uint64_t idx;
	uint32_t slot;
	bool zero; /* nothing to keep: goes without a slot */
	bool keep; /* is to be moved back */
};

struct pageout {
	pthread_mutex_t lock; /* guards what follows */
	unsigned int nr;
	struct pageout_page page[PAGEOUT_BATCH];
	unsigned int nr_ios; /* writes of this batch, all in flight at a time */
	struct swap_io io[PAGEOUT_BATCH];
	struct swap_queue queue;
};

void pageout_init(struct mem *mem);

/** pageout_open() - there is a swap file now */
void pageout_open(struct mem *mem);
void pageout_fini(struct mem *mem);

/**
 * __pageout_claim() - mark a frame for page-out; caller holds its stripe
 *
 * If it is parked, it leaves probation.
 * Return: 0; -EBUSY if it is busy or pinned; -EINVAL if it is not resident.
 */
int __pageout_claim(struct mem *mem, uint64_t idx);

/**
 * pageout_batch() - page out and publish frames that were claimed
 * @mem: memory
 * @idx: frames in ascending order
 * @nr:  their number, at most PAGEOUT_BATCH
 * @parked: their pages come from probation
 *
 * Context: no stripe held; may sleep for I/O.
 * Return: frames freed; 0 also if the swap file is full or broken (trouble.h).
 */
unsigned int pageout_batch(struct mem *mem, const uint64_t *idx,
			   unsigned int nr, bool parked);

#endif /* HYP_MEM_PAGEOUT_H */
