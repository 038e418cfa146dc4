// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/ledger.h"

#include <stdlib.h>

#include "hyp/hypd/divide.h"

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Raises all to at most @high, evenly as far as it goes; parts[].got: so far. */
static void raise(uint64_t limit_bytes, struct divide_part *parts, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		parts[i].low = parts[i].got;
		parts[i].high = most(parts[i].high, parts[i].low);
		parts[i].weight = 1;
	}
	divide_fill(limit_bytes, parts, nr);
}

void ledger_settle(uint64_t limit_bytes, struct ledger_vm *vms, size_t nr)
{
	struct divide_part *parts = calloc(nr + 1, sizeof(*parts));
	uint64_t may;
	size_t i;

	for (i = 0; i < nr; i++)
		vms[i].grant = vms[i].want < vms[i].limit ? vms[i].want :
							    vms[i].limit;
	if (!parts)
		return; /* with the next event */
	for (i = 0; i < nr; i++) {
		parts[i].got = vms[i].counted;
		parts[i].high = vms[i].want < vms[i].guaranteed ?
					vms[i].want :
					vms[i].guaranteed;
	}
	raise(limit_bytes, parts, nr);
	for (i = 0; i < nr; i++)
		parts[i].high = vms[i].want;
	raise(limit_bytes, parts, nr);
	for (i = 0; i < nr; i++) {
		if (vms[i].want <= vms[i].limit)
			continue;
		may = parts[i].got < vms[i].want ? parts[i].got : vms[i].want;
		/* The rest is on its way: not in crumbs. */
		if (may == vms[i].want ||
		    (may > vms[i].limit &&
		     may - vms[i].limit >= divide_step(vms[i].limit)))
			vms[i].grant = may;
	}
	free(parts);
}
