/* SPDX-License-Identifier: GPL-2.0-only */
/* Dividing an amount by weight between bounds; arithmetic that policies share. */
#ifndef HYP_HYPD_DIVIDE_H
#define HYP_HYPD_DIVIDE_H

#include <stddef.h>
#include <stdint.h>

#include "hyp/hypd/policy.h"

/** struct divide_part - bytes, multiples of POLICY_PAGE; weight from 1 */
struct divide_part {
	uint64_t low, high; /* low <= high <= 2^50 */
	unsigned int weight;
	uint64_t got; /* set */
};

/**
 * divide_fill() - weighted water-filling
 *
 * Each part gets level * weight, but at least low and at most high; the level is
 * the highest with which the sum of all does not exceed @amount.  At most a page a
 * part is left over by rounding.  Where the lows exceed @amount, each gets its low.
 */
void divide_fill(uint64_t amount, struct divide_part *parts, size_t nr);

/** divide_step() - changes of a limit that are smaller are not worth it; bytes */
uint64_t divide_step(uint64_t limit);

/**
 * divide_steady() - leave VMs alone whose budget differs little from their limit
 *
 * Not at the cost of the sum: where that would exceed @amount, small reductions
 * are made after all.  Budgets set; they stay between floor and ceiling.
 */
void divide_steady(uint64_t amount, struct policy_vm *vms, size_t nr);

#endif /* HYP_HYPD_DIVIDE_H */
