/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM is to have of the host's memory beside others: nothing of it is
 * enforced here, a memory manager reads it and sets limits.
 */
#ifndef HYP_SHARE_H
#define HYP_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/util.h"

#define SHARE_WEIGHT	 100u
#define SHARE_WEIGHT_MAX 10000u

/** struct share - bytes are multiples of 4 KiB; min <= entitlement <= max */
struct share {
	uint64_t min_bytes;	    /* never less */
	uint64_t entitlement_bytes; /* if it wants it, whatever others want */
	uint64_t max_bytes;	    /* never more */
	uint64_t weight;	    /* of what is left, beside others' */
};

/** struct share_change - settings to be changed, others stay as they are */
struct share_change {
	bool has_min, has_entitlement, has_max, has_weight;
	struct share to;
};

/**
 * share_parse() - understand "min=64M,entitlement=128M,max=1G,weight=200"
 * @change: set; each setting may be missing
 * @text:   as above
 * @why:    set on failure
 *
 * Return: 0 or a negative errno.
 */
int share_parse(struct share_change *change, const char *text, struct why *why);

/**
 * share_set() - what a VM has that nobody said more of
 * @share:     set
 * @change:    what was said; the limits that were not follow from those that were
 * @mem_bytes: of the VM
 */
void share_set(struct share *share, const struct share_change *change,
	       uint64_t mem_bytes);

/** share_update() - of a VM that has a share; what was not said stays */
void share_update(struct share *share, const struct share_change *change);

/**
 * share_check() - can it be?
 * @share:     all of it
 * @mem_bytes: of the VM
 * @why:       set on failure
 *
 * Return: NULL, or the name of the setting that is wrong.
 */
const char *share_check(const struct share *share, uint64_t mem_bytes,
			struct why *why);

#endif /* HYP_SHARE_H */
