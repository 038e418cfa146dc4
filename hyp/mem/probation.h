/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Probation: frames that reclaim would like to have are out of the guest's reach
 * for a while before they go, and their pages stay in memory.
 *
 * It is what tells a host without hardware of its own which pages a guest uses:
 * the accessed bits that KVM sees are the kernel's alone (page_idle, MGLRU and
 * DAMON want root and a configuration), and write protection tells of writes
 * only.  A page in probation has been moved (UFFDIO_MOVE) to an area where
 * frame i is at page i.  A touch finds no page, and the pager moves it back: the
 * frame is rescued, and young again.  What nobody wanted until its turn comes
 * is discarded or written to the swap file from there, oldest first: the second
 * list of a segmented FIFO (Turner and Levy, SIGMETRICS 1981), as in VMS.
 *
 * A frame is @parked while its page is in the area.  It is idle and counts as
 * resident; to guest and budget it is.  Rules:
 *
 *	- Only who has marked a frame busy moves, releases or writes its page.  So
 *	  a touch while the page is written is the same as one while it is on its
 *	  way (frame.h): it sets @waited, and the page comes back.
 *	- A pinned frame is not parked: mem_get() rescues it before it pins it, and
 *	  nothing pinned is parked, both under the stripe.
 *	- A page comes into the area under pageout.lock only, and who holds it has
 *	  released what it leaves there before it lets go: no late release hits
 *	  what comes after.
 *	- What the guest does to the state meanwhile needs no care: usage is looked
 *	  at when the frame's turn comes, and a discard commits as any other.  So
 *	  does giving up; both release the page where it is.
 *	- A raised limit changes nothing: what is parked waits for a touch, or for
 *	  the next time that memory is short.
 *
 * An entry of a queue is not taken out when its frame leaves: it is the frame's
 * own only if the frame is parked with the entry's number (struct frame: slot).
 */
#ifndef HYP_MEM_PROBATION_H
#define HYP_MEM_PROBATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;

enum probation_kind { PROBATION_VOLATILE, PROBATION_STABLE, PROBATION_NR };

/* A ring; reclaim's thread only.  Numbers of entries run on, in 31 bits. */
struct probation_queue {
	uint32_t *frame; /* @size of them */
	uint32_t size;	 /* a power of two */
	uint32_t head, tail;
};

struct probation {
	uint8_t *area; /* as large as RAM */
	struct probation_queue queue[PROBATION_NR];
	_Atomic uint64_t nr[PROBATION_NR]; /* frames; under stripes to write */
};

/** probation_init() - reserve the area; after uffd_open() */
int probation_init(struct mem *mem, const char **why);
void probation_fini(struct mem *mem);

/** probation_hva() - where the page of a frame is while it is parked, or staged */
uint8_t *probation_hva(const struct mem *mem, uint64_t idx);

/** probation_room() - how many more frames a queue can take */
uint32_t probation_room(struct mem *mem, enum probation_kind kind);

/**
 * probation_park() - put frames into probation
 * @mem:  memory
 * @kind: queue; has room for them
 * @idx:  frames, marked FRAME_PARK; runs of neighbours are cheaper
 * @nr:   their number
 *
 * Frames whose page is in use elsewhere stay as they are, as do those that were
 * touched meanwhile.
 * Context: reclaim's thread; holds pageout.lock since before the frames were
 * marked, and no stripe.
 */
void probation_park(struct mem *mem, enum probation_kind kind,
		    const uint64_t *idx, unsigned int nr);

/**
 * probation_move_out() - pages of busy frames into the area
 * @mem:  memory
 * @idx:  frames; runs of neighbours are cheaper
 * @nr:   their number
 * @came: called for each whose page has come, in their order
 * @ctx:  its last argument
 *
 * Frames whose page is in use elsewhere are published as they were.  What does not
 * work on this host at all ends the VM.
 * Context: pageout.lock is held, no stripe.
 */
void probation_move_out(struct mem *mem, const uint64_t *idx, unsigned int nr,
			void (*came)(struct mem *mem, uint64_t idx, void *ctx),
			void *ctx);

/** probation_bring_back() - the page of a busy frame, from the area */
void probation_bring_back(struct mem *mem, uint64_t idx);

/**
 * __probation_rescue() - bring back the page of an idle frame that is parked
 *
 * Caller holds the stripe, which is dropped meanwhile: look at everything again.
 * Whoever waits for the page is woken.
 */
void __probation_rescue(struct mem *mem, uint64_t idx);

/** __probation_leave() - a frame is no longer parked; caller holds its stripe */
void __probation_leave(struct mem *mem, uint64_t idx);

/**
 * __probation_next() - the frame that has been there longest
 * @idx: set to it.  Its stripe is held on success.
 *
 * It is idle and parked, and is not handed out again; the caller does something
 * with it, or puts back the turn with probation_unget().
 * Context: reclaim's thread.
 * Return: false if there is none.
 */
bool __probation_next(struct mem *mem, enum probation_kind kind, uint64_t *idx);

/** probation_unget() - the last one handed out is still the next */
void probation_unget(struct mem *mem, enum probation_kind kind);

#endif /* HYP_MEM_PROBATION_H */
