/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page-out: stable frames to the swap file, in batches.
 *
 * The pages are moved (UFFDIO_MOVE) to a staging area first.  From then on the
 * guest cannot write them, so what is written is what it had; a touch sleeps in
 * the kernel until the frame is published.  Frames that were touched meanwhile
 * are moved back: that is their second chance.
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
	uint8_t *staging;     /* PAGEOUT_BATCH pages, empty between batches */
	unsigned int nr;      /* page[i] is in the i-th page of it */
	struct pageout_page page[PAGEOUT_BATCH];
	unsigned int nr_ios; /* writes of this batch, all in flight at a time */
	struct swap_io io[PAGEOUT_BATCH];
	struct swap_queue queue;
};

/** pageout_init() - reserve the staging area; after uffd_open() */
int pageout_init(struct mem *mem, const char **why);

/** pageout_open() - there is a swap file now */
void pageout_open(struct mem *mem);
void pageout_fini(struct mem *mem);

/**
 * __pageout_claim() - mark a frame for page-out; caller holds its stripe
 *
 * Return: 0; -EBUSY if it is busy or pinned; -EINVAL if it is not resident.
 */
int __pageout_claim(struct mem *mem, uint64_t idx);

/**
 * pageout_batch() - page out and publish frames that were claimed
 * @mem: memory
 * @idx: frames in ascending order
 * @nr:  their number, at most PAGEOUT_BATCH
 *
 * Context: no stripe held; may sleep for I/O.
 * Return: frames freed; 0 also if the swap file is full or broken (trouble.h).
 */
unsigned int pageout_batch(struct mem *mem, const uint64_t *idx,
			   unsigned int nr);

#endif /* HYP_MEM_PAGEOUT_H */
