/* SPDX-License-Identifier: GPL-2.0-only */
/* Many guests at once, on a few threads. */
#ifndef HYP_SIM_RUN_H
#define HYP_SIM_RUN_H

#include "hyp/sim/guest.h"

/** struct sim_config - a simulation; immutable */
struct sim_config {
	const char *trace_path; /* NULL: synthetic */
	uint64_t seed;		/* of the synthetic one */
	uint64_t synth_bytes;
	unsigned int synth_rounds;
	unsigned int guests, threads, loops;
	uint64_t limit_bytes;	    /* 0: by percent */
	unsigned int limit_percent; /* of the guest's memory; 0: no limit */
	bool stagger_set;
	uint64_t stagger_ms; /* between two guests' boots */
	const char *swap_dir;
	bool hints, no_hints; /* sides to run */
	bool storm;
	bool json;
	const char *tsv_path; /* NULL: none */
};

/**
 * sim_run() - replay a trace in all guests, up to the end of the last one
 * @cfg:     how
 * @trace:   what
 * @limit_bytes: of each guest; 0: none
 * @hints:   with or without page hinting
 * @results: one for each guest
 * @why:     set on failure
 *
 * Guests take turns by the time of the trace; which thread runs a guest does
 * not change what it does.
 * Return: 0 or a negative errno.
 */
int sim_run(const struct sim_config *cfg, const struct trace *trace,
	    uint64_t limit_bytes, bool hints, struct sim_result *results,
	    struct why *why);

#endif /* HYP_SIM_RUN_H */
