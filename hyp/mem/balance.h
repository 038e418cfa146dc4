/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What reclaim takes next, by what it cost lately: volatile frames that the guest
 * wanted back, each of them a read from its disk, against stable frames that were
 * written to the swap file, and read again.
 *
 * Volatile frames come first as long as they hardly ever come back.  A guest that
 * works on more page cache than is left to it has them come back at once, while
 * memory that it set up when it booted lies still: then the latter goes.  It is how
 * the kernel balances page cache and anonymous memory (get_scan_count() of
 * mm/vmscan.c), with discard faults for refaults.  What was rescued from probation
 * counts as if it had come back, as pages that are rotated do there: it shows which
 * of the two is in use before anything is lost.
 */
#ifndef HYP_MEM_BALANCE_H
#define HYP_MEM_BALANCE_H

#include <stdint.h>

/** struct balance - reclaim's thread's own; begins as zeros */
struct balance {
	uint64_t volatile_seen, stable_seen; /* counters when last looked at */
	uint64_t cost_volatile,
		cost_stable; /* pages of I/O, and rescues; fading */
};

/**
 * balance_note() - take in what has been counted since the last time
 * @b:	      balance
 * @volatiles: discard faults since the VM started, and volatile frames rescued
 * @stables:  pages written to and read from the swap file since then, and stable
 *	      frames rescued
 * @frames:   of the VM: costs fade as more of them are added
 */
void balance_note(struct balance *b, uint64_t volatiles, uint64_t stables,
		  uint64_t frames);

/**
 * balance_stable() - how much of what is needed is to come from stable frames
 * @b:	    balance
 * @need:   frames
 * @frames: of the VM: what is small for it is no reason to write to a disk
 *
 * Return: less than @need; 0 as long as volatile frames do not come back.
 */
uint64_t balance_stable(const struct balance *b, uint64_t need,
			uint64_t frames);

#endif /* HYP_MEM_BALANCE_H */
