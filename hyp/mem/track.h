/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write tracking, for frames that are Potentially Volatile (SPEC.md, R-POT-*).
 *
 * A frame is armed (ESSA_CMD_ARM) by write-protecting its page with the
 * userfaultfd.  The invariant: while a frame is armed, and the call that armed
 * it has returned, its page is write-protected.
 *
 *	- Whoever lets a write through clears @armed first, under the stripe,
 *	  then marks the frame busy, and only then removes the protection; a
 *	  frame that is busy is not armed.  So no removal can come behind an
 *	  arming and leave a frame armed and writable.
 *	- A page that is taken away (discarded, paged out) takes its protection
 *	  along; @armed is cleared in the step that marks the frame busy.
 *
 * Hence a commit that finds @armed under the stripe knows that the page has not
 * been written and, the frame being busy from then on, will not be: there is
 * no time between the look and the commit.  Writes wait in the kernel, until
 * the release is over, and then meet the marker.
 */
#ifndef HYP_MEM_TRACK_H
#define HYP_MEM_TRACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;

struct track {
	bool offered; /* wanted, and the host kernel can; see mem_features() */
	_Atomic uint64_t *blocks; /* one bit a block: may have armed frames */
	uint64_t hand;		  /* reclaim's: block where it goes on */
};

/** track_init() - Return: 0 or -ENOMEM */
int track_init(struct mem *mem);
void track_fini(struct mem *mem);

/**
 * track_arm() - record writes to the frames of a range from now on
 * @mem: memory
 * @idx: first frame
 * @nr:  frames
 *
 * Leaves out what is not Stable, not resident, busy, in probation, or in use by a
 * device.
 * Context: no stripe held.
 * Return: 0; -ECANCELED if the VM is stopping, or the errno of the host kernel:
 * none of them is armed then.
 */
int track_arm(struct mem *mem, uint64_t idx, uint64_t nr);

/**
 * __track_allow_write() - void the mark of an idle, resident frame
 *
 * Caller holds the stripe, which is dropped meanwhile: look at everything again.
 * Who waits for the page is woken.
 */
void __track_allow_write(struct mem *mem, uint64_t idx);

/** track_forget() - void all marks; writes find out one by one */
void track_forget(struct mem *mem);

/**
 * track_clean() - frames of a block to be discarded, Potentially Volatile and
 * unwritten
 *
 * They are only nominated: __discard_commit() decides.
 * Context: reclaim's thread, no stripe held.
 * Return: bit i: frame i of @block
 */
uint64_t track_clean(struct mem *mem, uint64_t block);

/**
 * track_next() - next block that may have armed frames
 * @block: where to begin
 * @end:   behind the last
 *
 * Return: @end if there is none.
 */
uint64_t track_next(const struct mem *mem, uint64_t block, uint64_t end);

#endif /* HYP_MEM_TRACK_H */
