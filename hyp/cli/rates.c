// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/rates.h"

bool rates_between(const struct sample *before, const struct sample *now,
		   double per_s[RATE_NR])
{
	unsigned int i;

	if (!before->valid || !now->valid || before->pid != now->pid ||
	    now->ms <= before->ms)
		return false;
	for (i = 0; i < RATE_NR; i++)
		if (now->n[i] < before->n[i])
			return false;
	for (i = 0; i < RATE_NR; i++)
		per_s[i] = (double)(now->n[i] - before->n[i]) * 1000 /
			   (double)(now->ms - before->ms);
	return true;
}
