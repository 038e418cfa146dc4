/* SPDX-License-Identifier: GPL-2.0-only */
/* What happens a second, from two answers of stat and the VM's own time. */
#ifndef HYP_CLI_RATES_H
#define HYP_CLI_RATES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum rate {
	RATE_FAULTS, /* discard faults */
	RATE_IN,     /* pages read from the swap file */
	RATE_OUT,    /* written */
	RATE_DISCARDS,
	RATE_NR
};

/** struct sample - counters at a time; all zero: none yet */
struct sample {
	bool valid;
	pid_t pid;   /* of the VM; 0: not known */
	uint64_t ms; /* since it started */
	uint64_t n[RATE_NR];
};

/**
 * rates_between() - differences by time
 * @before: earlier
 * @now:    later
 * @per_s:  set if true is returned
 *
 * Return: false if there is no telling: no sample, no time between them, or
 * another VM of the same name.
 */
bool rates_between(const struct sample *before, const struct sample *now,
		   double per_s[RATE_NR]);

#endif /* HYP_CLI_RATES_H */
