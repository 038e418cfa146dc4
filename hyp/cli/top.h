/* SPDX-License-Identifier: GPL-2.0-only */
/* What hyp top knows of a VM, and the screen it is on. */
#ifndef HYP_CLI_TOP_H
#define HYP_CLI_TOP_H

#include "hyp/cli/bar.h"
#include "hyp/cli/peers.h"

#define TOP_STATE 80

/** struct guest - a peer's @data: the last figures, and whether they still hold */
struct guest {
	enum ask_code code; /* of the last request that has ended */
	uint64_t at_ms;	    /* when the figures came; 0: none have */
	struct sample last;
	bool has_rates;
	double per_s[RATE_NR];
	uint64_t resident, limit; /* bytes; 0: no limit */
	uint64_t frames[BAR_NR];
	char state[TOP_STATE];
};

/** top_take() - take in what VMs have answered */
void top_take(struct peers *peers);

/** top_is_old() - do the figures need their age beside them? */
bool top_is_old(const struct guest *g, uint64_t interval_ms);

/**
 * top_row() - a VM's line
 * @row:   set; points to @state and the peer's name
 * @state: room for it
 * @p:     with @data
 * @interval_ms: between two answers
 */
void top_row(struct row *row, char state[TOP_STATE], const struct peer *p,
	     uint64_t interval_ms);

/** top_bar() - its memory; "" without figures.  @width: from BAR_MIN on. */
void top_bar(char text[LINE_MAX_LEN], const struct guest *g,
	     unsigned int width);

/** top_live() - on the terminal until q or a signal. Return: 0 or -errno. */
int top_live(uint64_t interval_ms, struct why *why);

#endif /* HYP_CLI_TOP_H */
