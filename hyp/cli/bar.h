/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines of hyp top as text; no terminal here. */
#ifndef HYP_CLI_BAR_H
#define HYP_CLI_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hyp/cli/rates.h"

/* Sr Sp Sz, Ur Up Uz, Vr Vp Vz, Pr Pp Pz */
#define BAR_NR	     12
#define BAR_MIN	     BAR_NR
#define LINE_MAX_LEN 512

/** bar_signs - a character for each, so that it needs no colour */
extern const char bar_signs[BAR_NR + 1];
extern const char bar_legend[];

/**
 * bar_fill() - divide a bar
 * @n:     pages by state
 * @width: characters, at least BAR_MIN
 * @cells: set: how many each gets; the sum is @width, or 0 if there is no page;
 *	   each that is not 0 gets one at least
 */
void bar_fill(const uint64_t n[BAR_NR], unsigned int width,
	      unsigned int cells[BAR_NR]);

/** struct row - a VM's line */
struct row {
	const char *name, *state;
	bool has_figures, has_limit, has_rates;
	double resident_mib, limit_mib;
	double per_s[RATE_NR];
	/* hypd's, where it runs */
	bool has_budget;
	double budget_mib, pressure;
	const char *why; /* NULL: it has not changed */
};

/* With all columns of hypd, the last of them in full. */
#define ROW_WITH_HOST 135u

/**
 * row_text() - lay it out
 * @text:  set
 * @width: at most so many characters; columns that do not fit are left out
 * @with_host: hypd's columns, too
 * @row:   NULL: the heading.  Characters that do not print become "?".
 */
void row_text(char text[LINE_MAX_LEN], unsigned int width, bool with_host,
	      const struct row *row);

#endif /* HYP_CLI_BAR_H */
