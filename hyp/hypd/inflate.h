/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Long-term sizes: the balloon of a VM whose budget has been below its size for
 * long.  Budgets follow what happens within a second; a balloon makes the guest
 * itself live with less, and is slow both ways.
 */
#ifndef HYP_HYPD_INFLATE_H
#define HYP_HYPD_INFLATE_H

#include "hyp/hypd/policy.h"

/* So long it has to be below. */
#define INFLATE_AFTER_MS 60000
/* From one change to the next; only to deflate what was just inflated is sooner. */
#define INFLATE_EVERY_MS 10000

/** struct inflate - zeroed: nothing known */
struct inflate {
	bool below, changed, inflated;
	uint64_t since_ms, changed_ms;
};

/**
 * inflate_target() - what the balloon should be
 * @f:	      of this VM
 * @vm:	      budget set; has a balloon
 * @strained: it suffers from its limit
 * @now_ms:   not before that of the last call
 * @next_ms:  lowered to when there will be something to do
 *
 * Never so large that what is left is less than the budget.
 * Return: bytes.
 */
uint64_t inflate_target(struct inflate *f, const struct policy_vm *vm,
			bool strained, uint64_t now_ms, uint64_t *next_ms);

#endif /* HYP_HYPD_INFLATE_H */
