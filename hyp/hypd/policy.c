// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/policy.h"

#include <string.h>

#include "hyp/util.h"

static const struct policy *const policies[] = { &policy_share,
						 &policy_static };

const struct policy *policy_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, name))
			return policies[i];
	return NULL;
}

const char *policy_names(void)
{
	return "share, static";
}
