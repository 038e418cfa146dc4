/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames that go to the swap file: by second chance.  The clock's hand puts those
 * without a reference into probation; a touch there is the reference.
 */
#ifndef HYP_MEM_EVICT_H
#define HYP_MEM_EVICT_H

#include <stdint.h>

#include "hyp/mem/probation.h"

struct mem;

/* All of these: reclaim's thread only. */

/** struct evict_size - how many frames of a kind are in probation; begins as zeros */
struct evict_size {
	uint64_t parked_seen, rescued_seen; /* counters when last looked at */
	uint64_t parked, rescued;	    /* lately, fading */
	unsigned int less;		    /* than the most */
};

/** evict_target() - how many frames of a kind are to be in probation; once a round */
uint64_t evict_target(struct mem *mem, enum probation_kind kind);

/**
 * evict_park() - @nr frames that are stable and not referenced into probation
 *
 * Stops when something becomes urgent (limit.h).
 */
void evict_park(struct mem *mem, uint64_t nr);

/**
 * evict_parked() - what has been in probation longest goes, until @need is reached
 * @need: frames, with those that reclaim.batch has freed
 *
 * Return: frames paged out; those discarded are counted in reclaim.batch.
 */
uint64_t evict_parked(struct mem *mem, enum probation_kind kind, uint64_t need);

/**
 * evict_stable() - page out at once what is not in probation
 *
 * Return: frames freed, @need or what there is.
 */
uint64_t evict_stable(struct mem *mem, uint64_t need);

#endif /* HYP_MEM_EVICT_H */
