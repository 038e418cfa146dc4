/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Discards: commit frame by frame, release in batches of neighbours.
 *
 * Late release (SPEC.md, R-REL-1 to R-REL-7).  A guest that sees a discard may free and reuse the frame at
 * once; the release of the old page must not destroy the new content.  Hence
 * the commit sets ESSA_BUSY in the same compare-and-exchange that takes the
 * content; a guest does not make a busy frame Stable before ESSA_CMD_WAIT
 * returns, and that sleeps on the private busy mark, which is published only
 * when the old page is gone and the poison marker in place.
 */
#ifndef HYP_MEM_DISCARD_H
#define HYP_MEM_DISCARD_H

#include <stdint.h>

struct mem;

#define DISCARD_BATCH 512u

/** struct discard_run - neighbours that are discarded in the same way */
struct discard_run {
	uint64_t first; /* first frame << 4 | DISCARD_* */
	uint32_t nr;
};

/**
 * struct discard_batch - frames committed, their release still to come
 *
 * Private to one thread; the busy marks keep everyone else off the frames.
 */
struct discard_batch {
	uint32_t nr;	   /* frames */
	uint32_t nr_freed; /* frames whose memory went, of all flushes */
	uint32_t nr_runs;
	struct discard_run run[DISCARD_BATCH];
};

/**
 * __discard_commit() - discard a frame, if that is allowed
 *
 * Caller holds the stripe and has room in @b.
 * Return: 0; -EBUSY if it is busy, pinned or the guest forbids it; -EINVAL if
 * it has no content to discard.
 */
int __discard_commit(struct mem *mem, struct discard_batch *b, uint64_t idx);

/**
 * discard_commit_block() - discard those frames of a block that may be
 * @mem:  memory
 * @b:    batch; flushed first if it might not hold them
 * @idx:  first frame of the block
 * @mask: bit i: frame @idx + i
 *
 * Context: no stripe held.
 */
void discard_commit_block(struct mem *mem, struct discard_batch *b,
			  uint64_t idx, uint64_t mask);

/** discard_flush() - release what has been committed and publish it */
void discard_flush(struct mem *mem, struct discard_batch *b);

/** discard_probe() - can process_madvise() discard in one call? (not on 6.12) */
void discard_probe(struct mem *mem);

#endif /* HYP_MEM_DISCARD_H */
