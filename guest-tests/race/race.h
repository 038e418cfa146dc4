/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two CPUs and the host on the same frames.
 *
 * Life of a frame, as in the kernel: the allocator's (Unused), then page cache
 * that may be Volatile whenever nobody has a reference, then free again.  All
 * in one word, @ref:
 *
 *	0		free, Unused
 *	FROZEN		one CPU's alone, which changes content or usage
 *	1		the cache's own reference; may be made Volatile
 *	1 + n		n users; content stays
 *	LOCKED		together with a reference: this user may try to make it
 *			Volatile; one at a time, or one's pending mark would
 *			serve another's check
 *
 * @gen names the content (page_fill()'s salt) and is odd while there is none:
 * written by who has frozen the frame, and changed whenever content changes.
 */
#ifndef GUEST_RACE_H
#define GUEST_RACE_H

#include "guest-tests/lib/guest.h"

#define RACE_CPUS   2
#define NR_FRAMES   32u /* the fewer, the more they meet */
#define NR_HELD	    4u
#define NOT_HELD    UINT32_MAX
#define FRAME_FREE  0u
#define FRAME_CACHE 1u
#define LOCKED	    0x40000000u
#define FROZEN	    0x80000000u

/* Rules to break, to see that it is noticed: option break=N. */
enum broken {
	BREAK_NOTHING,
	BREAK_KEEP_PENDING,  /* a user does not clear the pending mark */
	BREAK_NO_REF_CHECK,  /* Volatile without a look at the references */
	BREAK_STORE,	     /* operations by plain stores */
	BREAK_NO_WAIT,	     /* to Stable while a release is in flight */
	BREAK_HAND_OVER,     /* to the allocator first, then Unused */
	BREAK_FOUND_BY_BOTH, /* no claim on a page that is found discarded */
	NR_BREAKS
};

/** struct race_frame - what the CPUs know of a frame; see above */
struct race_frame {
	uint32_t ref;
	uint64_t gen;
	uint64_t last; /* @gen when it was freed or lost its content */
} __attribute__((aligned(64)));

/** struct race_worker - a CPU's own */
struct race_worker {
	struct rng rng;
	uint32_t held[NR_HELD]; /* frames this CPU has long references to */
	uint64_t steps;
	uint64_t transitions; /* state bytes changed */
	uint64_t discards;    /* bytes that said "discarded" and no more do */
	uint64_t by_state, by_fault,
		by_free;   /* the same, by how it was found */
	uint64_t faults;   /* discard faults, stale ones included */
	uint64_t in_a_row; /* without an access that came through */
	uint64_t slow_ops, page_outs, reuses, blocks, lookups;
	bool done;
} __attribute__((aligned(64)));

struct race {
	struct race_frame frames[NR_FRAMES];
	struct race_worker workers[RACE_CPUS];
	enum broken broken;
	uint64_t target; /* transitions */
	uint64_t nr_ballast;
	bool stop; /* something was wrong */
};
extern struct race race;

static inline uint64_t *race_page(unsigned int i)
{
	return scratch_page(i);
}

/** race_wrong() - note the first thing that was wrong, and stop */
void race_wrong(struct race_worker *w, const char *what, unsigned int i,
		uint64_t have, uint64_t want);

/* frame.c: what a CPU may do with a frame; false: not now */

/** race_init() - @i becomes page cache; before the race */
void race_init(struct race_worker *w, unsigned int i);
/**
 * race_get() - take a reference and see that the content stays
 * Return: false also if it turned out to be discarded, and was dealt with
 */
bool race_get(struct race_worker *w, unsigned int i);
void race_put(unsigned int i);
/** race_verify() - check content that stays: one word, or all of them */
void race_verify(struct race_worker *w, unsigned int i, bool all);
/** race_make_volatile() - behind a pending mark, if nobody uses it */
void race_make_volatile(struct race_worker *w, unsigned int i);
/** race_set_usage() - Volatile or Potentially Volatile of a frozen frame */
void race_set_usage(struct race_worker *w, unsigned int i, unsigned int op);
/** race_take_back() - Stable whatever it is, then with the old content or new */
void race_take_back(struct race_worker *w, unsigned int i, bool rewrite);
void race_free(struct race_worker *w, unsigned int i);
void race_alloc(struct race_worker *w, unsigned int i);
/** race_free_block(), race_alloc_block() - eight neighbours from @i on */
void race_free_block(struct race_worker *w, unsigned int i);
void race_alloc_block(struct race_worker *w, unsigned int i);
/** race_touch() - read it as through a page table: without any reference */
void race_touch(struct race_worker *w, unsigned int i);
/** race_fault() - for discard_found */
void race_fault(uint64_t gpa);
/** race_sweep() - the race is over: everything Stable and as it should be */
void race_sweep(struct race_worker *w, unsigned int i);

/* op.c */
/** race_op() - an operation, in place or by an exit, counted */
uint8_t race_op(struct race_worker *w, unsigned int i, unsigned int op);
/** race_op_block() - essa_op_word(), counted */
uint64_t race_op_block(struct race_worker *w, unsigned int i, unsigned int op);
/** race_linger() - let the other CPU in for sure, where CPUs take turns */
void race_linger(void);
/** race_dawdle() - let the other CPU in, now and then */
void race_dawdle(struct race_worker *w);

static inline bool one_in(struct race_worker *w, unsigned int n)
{
	return !(rng_next(&w->rng) % n);
}

#endif /* GUEST_RACE_H */
