/* SPDX-License-Identifier: GPL-2.0-only */
/* What a VM says of itself (the watch command); none of it is believed unchecked. */
#ifndef HYP_HYPD_SAMPLE_H
#define HYP_HYPD_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "hyp/hypd/policy.h"
#include "hyp/share.h"
#include "hyp/util.h"

/** struct sample - sizes in bytes, multiples of POLICY_PAGE */
struct sample {
	uint64_t mem;
	uint64_t limit;	 /* mem: none */
	uint64_t lowest; /* limit that is accepted; mem: it cannot be limited */
	uint64_t charged;
	uint64_t resident, preserved;
	bool unlimited; /* there is no limit */
	bool running;
	bool stuck; /* it cannot page out: swap is full, or fails */
	bool has_balloon;
	uint64_t balloon_target, balloon_actual;
	struct share share;
	struct policy_counters counters;
};

/**
 * sample_parse() - understand and check a sample
 * @s:	  set on success
 * @json: untrusted
 * @why:  set on failure: what is wrong
 *
 * Return: 0 or -EINVAL.
 */
int sample_parse(struct sample *s, const cJSON *json, struct why *why);

#endif /* HYP_HYPD_SAMPLE_H */
