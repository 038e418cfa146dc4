/* SPDX-License-Identifier: GPL-2.0-only */
/* What a simulation found, for people and for programs. */
#ifndef HYP_SIM_REPORT_H
#define HYP_SIM_REPORT_H

#include <stdio.h>

#include "hyp/sim/run.h"

/** struct sim_report - results by side; a side that was not run is NULL */
struct sim_report {
	const char *trace_name;
	uint64_t nr_frames, limit_frames;
	unsigned int guests;
	const struct sim_result *hints, *no_hints;
};

/** sim_report_text() - a table: total, median and p10 to p90 of the guests */
int sim_report_text(FILE *file, const struct sim_report *r);

/** sim_report_json() - everything, one object.  All return 0 or -EIO. */
int sim_report_json(FILE *file, const struct sim_report *r);

/** sim_report_tsv() - trace, side, counter, total, median, p10, p90 a line */
int sim_report_tsv(FILE *file, const struct sim_report *r);

/** sim_report_failures() - of all guests of both sides */
uint64_t sim_report_failures(const struct sim_report *r);

#endif /* HYP_SIM_REPORT_H */
