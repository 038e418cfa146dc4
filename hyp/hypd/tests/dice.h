/* SPDX-License-Identifier: GPL-2.0-only */
/* Random figures that are the same each time. */
#ifndef HYP_HYPD_TESTS_DICE_H
#define HYP_HYPD_TESTS_DICE_H

#include <stdint.h>

#include "hyp/hypd/policy.h"

static uint64_t seed;

static uint64_t dice(uint64_t sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed * 0x2545f4914f6cdd1dull >> 11) % sides;
}

static uint64_t dice_bytes(uint64_t low, uint64_t high)
{
	return (low / POLICY_PAGE + dice((high - low) / POLICY_PAGE + 1)) *
	       POLICY_PAGE;
}

#endif /* HYP_HYPD_TESTS_DICE_H */
