/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How a host finds the frames in a state table that it may want to discard.
 *
 * A scan only nominates, without locks or order: it may see bytes of different
 * moments.  essa_host_discard() decides later, in the compare-and-exchange that
 * commits.
 */
#ifndef _ESSA_SCAN_H
#define _ESSA_SCAN_H

#include <essa/abi.h>

#define ESSA_SCAN_BLOCK 64u

/**
 * struct essa_nominees - frames of one block that have something to discard
 * @unused:    bit i: frame i is Unused
 * @volatiles: bit i: frame i is Volatile
 *
 * Neither pending nor busy, and with content.
 */
struct essa_nominees {
	__u64 unused, volatiles;
};

/**
 * typedef essa_scan_fn - find the next block with a nominee
 * @states: state table, aligned to a block
 * @first:  frame to begin at, a multiple of the block
 * @end:    frame to end at, a multiple of the block
 * @found:  set to its nominees; to none if there is no such block
 *
 * Context: any; the states may change meanwhile.
 * Return: first frame of the block, or @end.
 */
typedef __u64 essa_scan_fn(const __u8 *states, __u64 first, __u64 end,
			   struct essa_nominees *found);

/** struct essa_scanner - one way to do it; all find the same */
struct essa_scanner {
	const char *name;
	essa_scan_fn *scan;
};

/* Slowest first; the first one works everywhere. */
#define ESSA_MAX_SCANNERS 3u

/**
 * essa_scanners() - the scanners that work on this processor
 * @out: filled in
 *
 * Return: how many; at least 1, at most ESSA_MAX_SCANNERS.
 */
unsigned int essa_scanners(struct essa_scanner out[ESSA_MAX_SCANNERS]);

/** essa_best_scanner() - the fastest of them */
essa_scan_fn *essa_best_scanner(void);

#endif /* _ESSA_SCAN_H */
