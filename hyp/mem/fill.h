/* SPDX-License-Identifier: GPL-2.0-only */
/* Making frames resident: zeros, or what the swap file has kept. */
#ifndef HYP_MEM_FILL_H
#define HYP_MEM_FILL_H

#include <stdint.h>

#include "hyp/mem/swapio.h"

struct mem;

/* Frames that one fill may cover: fault-around, readahead. */
#define FILL_MAX_ZERO	   16u
#define FILL_MAX_PRESERVED 8u

/** fill_max() - frames that one fill_run() may cover, by what @idx has now */
unsigned int fill_max(const struct mem *mem, uint64_t idx);

/**
 * __fill_alike() - which neighbours one fill_run() can bring along with a frame
 * @mem:   memory; caller holds the stripe of @idx
 * @idx:   frame that is to be filled
 * @first: lower bound, then first frame of the run
 * @end:   upper bound (not included) of the same block, then end of the run
 *
 * The caller charges them and marks them FRAME_FILL under the same lock.
 */
void __fill_alike(struct mem *mem, uint64_t idx, uint64_t *first,
		  uint64_t *end);

/**
 * struct fill - preserved frames that are being read back
 * @io:  the transfer; its buffer, slot and length are set by fill_prepare()
 * @idx: first frame; consecutive ones, in consecutive slots, of one block,
 *	 marked FRAME_FILL and charged.  They are the fill's until it is over.
 * @nr:  how many
 * @hit: the frame that was asked for; the others get no second chance
 * @since_ns: when the access that waits for it was read; 0: none is measured
 *
 * A read that fails is trouble: the fill keeps its frames, and is started again.
 */
struct fill {
	struct swap_io io;
	uint64_t idx, hit, since_ns;
	unsigned int nr;
	bool stalled; /* counts as trouble */
};

/**
 * fill_prepare() - a fill that is to be started with swap_start()
 * @buf: room for @f->nr pages, page aligned
 *
 * idx, nr, hit and since_ns are set.  Context: no stripe held.
 */
void fill_prepare(struct mem *mem, struct fill *f, void *buf);

/**
 * fill_finish() - the transfer is over: publish the frames
 *
 * Whoever waits for them is woken.  On failure the frames are what they were,
 * uncharged, and the VM has been told to stop.
 * Return: 0; 1 if it is to be started again after trouble_wait() or mem_retry();
 * or a negative errno.
 */
int fill_finish(struct mem *mem, struct fill *f);

/**
 * fill_run() - make neighbouring frames resident and publish them
 * @mem: memory
 * @idx: first frame
 * @nr:  frames of one block, all zero, or all preserved in consecutive slots;
 *	 marked FRAME_FILL and charged by the caller, who holds no stripe
 * @hit: the frame that was asked for
 * @since_ns: as in struct fill
 *
 * As fill_finish(); sleeps while it reads and while there is trouble.
 * Return: 0 or a negative errno; -ECANCELED if the VM stops meanwhile.
 */
int fill_run(struct mem *mem, uint64_t idx, unsigned int nr, uint64_t hit,
	     uint64_t since_ns);

#endif /* HYP_MEM_FILL_H */
