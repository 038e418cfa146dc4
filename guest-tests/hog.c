// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes different content to all of its memory and verifies it, round after
 * round: more than a small limit and swap file can hold.
 */
#include "guest-tests/lib/guest.h"

#define ROUNDS 2

_Noreturn void guest_main(void)
{
	uint64_t nr = (guest.ram_end - guest.scratch) / PAGE_SIZE;
	uint64_t round, i;
	int word;

	for (round = 1; round <= ROUNDS; round++) {
		for (i = 0; i < nr; i++)
			page_fill(scratch_page(i), round);
		for (i = 0; i < nr; i++) {
			word = page_check(scratch_page(i), round);
			if (word >= 0)
				bail_out("page %lu word %d is wrong", i, word);
		}
	}
	print("all of %lu pages right\n", nr);
	guest_exit(0);
}
