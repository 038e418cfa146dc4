// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that gives away all it has, its code, stack and page tables
 * included, while the host takes what it may (hyp run --storm).  It dies of
 * that in one way or another; the host must not.
 */
#include "guest-tests/lib/guest.h"

#define ROUNDS 64

_Noreturn void guest_main(void)
{
	struct rng rng = { 0xfeedface };
	unsigned int round;
	uint64_t i;

	essa_need(false);
	if (essa_enable())
		bail_out("ESSA_CMD_ENABLE failed");
	discard_refill = refill_nothing;
	for (i = guest.scratch; i < guest.ram_end; i += PAGE_SIZE)
		*(volatile uint64_t *)(uintptr_t)i = i;
	print("scribbling\n");
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < essa.nr_frames; i++)
			essa.table[i] = (uint8_t)(rng_next(&rng) >> 32);
		for (i = guest.scratch; i < guest.ram_end; i += PAGE_SIZE)
			*(volatile uint64_t *)(uintptr_t)i += i;
	}
	guest_exit(0);
}
