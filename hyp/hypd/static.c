// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entitlements and nothing else: what a VM does changes nothing.  Where there is
 * not enough for all, they are cut by weight, no further than the floors.
 */
#include <stdlib.h>

#include "hyp/hypd/divide.h"

static uint64_t decide(const struct policy_host *host, struct policy_vm *vms,
		       size_t nr)
{
	struct divide_part *parts = calloc(nr + 1, sizeof(*parts));
	size_t i;

	for (i = 0; i < nr; i++) {
		struct policy_vm *vm = &vms[i];

		/* Without memory for better, what is always right. */
		vm->budget = vm->floor;
		if (parts)
			parts[i] = (struct divide_part){ vm->floor,
							 vm->entitlement,
							 vm->weight, 0 };
	}
	if (parts)
		divide_fill(host->limit_bytes, parts, nr);
	for (i = 0; i < nr; i++) {
		struct policy_vm *vm = &vms[i];

		if (parts)
			vm->budget = parts[i].got;
		vm->guaranteed = vm->budget;
		vm->want_balloon = vm->balloon_target;
		vm->pressure = 0;
		vm->idle = false;
		vm->reason = vm->budget == vm->entitlement ?
				     "its entitlement" :
				     "entitlements exceed the host's limit";
	}
	free(parts);
	divide_steady(host->limit_bytes, vms, nr);
	return POLICY_NEVER;
}

const struct policy policy_static = { "static", 0, decide };
