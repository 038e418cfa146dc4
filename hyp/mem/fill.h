/* SPDX-License-Identifier: GPL-2.0-only */
/* Making frames resident: zeros, or what the swap file has kept. */
#ifndef HYP_MEM_FILL_H
#define HYP_MEM_FILL_H

#include <pthread.h>
#include <stdint.h>

#include "hyp/mem/swapio.h"

struct mem;

/* Frames that come with one that has no backing: fault-around. */
#define FILL_MAX_ZERO 16u
/* Frames that are made resident for a device at a time. */
#define FILL_MAX_DEVICE 512u
#define FILL_NONE	UINT64_MAX

/*
 * Where devices' threads read to.  Whoever finds it in use does with less, on its
 * stack: nobody waits for this lock, so it may be held while there is trouble.
 */
struct fill_buffer {
	pthread_mutex_t lock;
	uint8_t *pages; /* FILL_BUFFER_PAGES; NULL: no swap */
};

/** fill_init() - there is a swap file now. Return: 0 or -ENOMEM */
int fill_init(struct fill_buffer *b);
void fill_fini(struct fill_buffer *b);

/**
 * __fill_alike() - which neighbours one fill_run() can bring along with a frame
 * @mem:   memory; caller holds the stripe of @first to @end, frames of one block
 * @idx:   frame that is to be filled: of that block, or busy and the caller's
 * @first: lower bound, then first frame of the run
 * @end:   upper bound (not included), then end of the run
 *
 * The caller charges them and marks them FRAME_FILL under the same lock.
 */
void __fill_alike(struct mem *mem, uint64_t idx, uint64_t *first,
		  uint64_t *end);

/**
 * struct fill - preserved frames that are being read back
 * @io:  the transfer; its buffer, slot and length are set by fill_prepare()
 * @idx: first frame; consecutive ones, in consecutive slots, marked FRAME_FILL
 *	 and, but for @probe, charged.  They are the fill's until it is over.
 * @nr:  how many
 * @hit: the frame that was asked for, or FILL_NONE; the others get no second
 *	 chance
 * @probe: a frame that is to stay preserved, its page copied to @kept; or
 *	 FILL_NONE (ahead.h)
 * @kept: a page
 * @since_ns: when the access that waits for it was read; 0: none is measured
 *
 * A read that fails is trouble: the fill keeps its frames, and is started again.
 */
struct fill {
	struct swap_io io;
	uint64_t idx, hit, probe, since_ns;
	unsigned int nr;
	void *kept;
	bool stalled; /* counts as trouble */
};

/**
 * fill_prepare() - a fill that is to be started with swap_start()
 * @buf: room for @f->nr pages, page aligned
 *
 * The members but io and stalled are set.  Context: no stripe held.
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

/** fill_kept() - as fill_finish(), from a page that was read before (ahead.h) */
int fill_kept(struct mem *mem, struct fill *f);

/**
 * fill_run() - make neighbouring frames resident and publish them
 * @mem: memory
 * @idx: first frame
 * @nr:  frames, all zero, or all preserved in consecutive slots; marked
 *	 FRAME_FILL and charged by the caller, who holds no stripe
 * @hit: the frame that was asked for
 * @since_ns: as in struct fill
 *
 * As fill_finish(); sleeps while it reads and while there is trouble.
 * Return: 0 or a negative errno; -ECANCELED if the VM stops meanwhile.
 */
int fill_run(struct mem *mem, uint64_t idx, unsigned int nr, uint64_t hit,
	     uint64_t since_ns);

#endif /* HYP_MEM_FILL_H */
