/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much a VM suffers from its limit, from counters that are looked at now and
 * then: an average over time whose weight falls with age.
 */
#ifndef HYP_HYPD_STRAIN_H
#define HYP_HYPD_STRAIN_H

#include "hyp/hypd/policy.h"

/* How fast what has been is forgotten. */
#define STRAIN_TAU_MS 5000
/* Costs a second (policy_vm.pressure) from which a VM is strained, */
#define STRAIN_ON 10.0
/* and below which it no longer is. */
#define STRAIN_OFF 2.0
/* A fault now and then is no sign of life. */
#define STRAIN_LIFE 0.5
/* Who shows no sign of life for so long is idle. */
#define STRAIN_IDLE_MS 10000

/** struct strain - zeroed: never seen */
struct strain {
	bool seen;
	bool strained;
	double rate; /* costs a second */
	uint64_t at_ms;
	uint64_t active_ms; /* when it last did something */
	uint64_t charged;   /* then */
	struct policy_counters last;
	uint64_t limit, had; /* when last looked at; charged then */
	double forgiven;     /* pages that a lowered limit may yet cost */
};

/** strain_update() - take in what @vm's figures say at @now_ms */
void strain_update(struct strain *s, const struct policy_vm *vm,
		   uint64_t now_ms);

/** strain_is_idle() - has it done nothing for long? */
bool strain_is_idle(const struct strain *s, uint64_t now_ms);

/** strain_ends_ms() - when it is no longer strained if nothing happens */
uint64_t strain_ends_ms(const struct strain *s);

#endif /* HYP_HYPD_STRAIN_H */
