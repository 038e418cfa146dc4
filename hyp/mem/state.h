/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state table that guest and host share: one byte a frame.
 *
 * The guest may write anything at any time.  A byte is therefore only ever a
 * hint about usage; what it says about content is compared with the private
 * frame and put right where it differs.  Every change is a compare-and-exchange
 * through the transition function of <essa/step.h>.  Functions that take the
 * private state into account want the stripe of the frame held.
 */
#ifndef HYP_MEM_STATE_H
#define HYP_MEM_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/mem/frame.h"

struct mem;

/** state_content() - how the state byte says it: ESSA_RESIDENT, ... */
uint8_t state_content(enum frame_content content);

uint8_t state_read(struct mem *mem, uint64_t idx);

/** state_usage() - usage as far as the host believes it; pending is Stable */
uint8_t state_usage(struct mem *mem, uint8_t byte);

/** __state_is_discarded() - is a touch of this frame a discard fault? */
bool __state_is_discarded(struct mem *mem, uint64_t idx);

/**
 * __state_commit_discard() - take the content of a frame from the guest
 * @mem: memory
 * @idx: an idle frame that is resident or preserved
 * @old: set to the byte before
 *
 * Return: 0; -EBUSY if the guest does not allow it (any more).
 */
int __state_commit_discard(struct mem *mem, uint64_t idx, uint8_t *old);

/** __state_released() - the release of a committed discard is over */
void __state_released(struct mem *mem, uint64_t idx);

/**
 * __state_set_content() - record new content in the byte of a frame
 * @mem:     memory
 * @idx:     frame that the caller has marked busy, but not for a discard
 * @content: what the frame holds now or will hold in a moment
 *
 * Return: 0; -EBUSY if that would make a volatile frame look discarded.
 */
int __state_set_content(struct mem *mem, uint64_t idx,
			enum frame_content content);

/** __state_repair() - make the host's bits of the byte of an idle frame true */
void __state_repair(struct mem *mem, uint64_t idx);

/** __state_reset() - an idle frame becomes Stable, with its true content */
void __state_reset(struct mem *mem, uint64_t idx);

/**
 * state_guest_op() - apply an operation on behalf of the guest
 * @mem: memory
 * @idx: frame
 * @op:  ESSA_OP_*
 * @old: set to the byte before
 *
 * Return: the byte after, or ESSA_WAIT.
 */
int state_guest_op(struct mem *mem, uint64_t idx, unsigned int op,
		   uint8_t *old);

#endif /* HYP_MEM_STATE_H */
