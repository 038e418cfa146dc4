/* SPDX-License-Identifier: GPL-2.0-only */
/* What hyp top knows of a VM, and the screen it is on. */
#ifndef HYP_CLI_TOP_H
#define HYP_CLI_TOP_H

#include "hyp/cli/bar.h"
#include "hyp/cli/peers.h"

#define TOP_STATE 80
#define TOP_WHY	  40

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
	/* By hypd's last answer; if it is in it: */
	bool has_budget;
	uint64_t budget; /* bytes it wants for the VM, */
	double pressure;
	char why[TOP_WHY]; /* and why that changed; "": it has not */
};

/** struct host - data of the peer that is hypd */
struct host {
	enum ask_code code; /* as above */
	uint64_t at_ms;
	char policy[24];
	uint64_t limit, counted; /* bytes */
	bool limit_met, pressed;
};

/** top_take() - take in what VMs and hypd have answered */
void top_take(struct peers *peers);

/** top_host() - NULL: hypd does not run */
const struct host *top_host(const struct peers *peers);

/** top_host_line() - what hypd does.  Characters that do not print become "?". */
void top_host_line(char text[LINE_MAX_LEN], const struct host *host,
		   uint64_t interval_ms);

/** top_is_old() - do the figures need their age beside them? */
bool top_is_old(const struct guest *g, uint64_t interval_ms);

/**
 * top_row() - a VM's line
 * @row:   set; points to @state and the peer's name
 * @state: room for it
 * @p:     with @data
 * @host:  NULL: hypd does not run
 * @interval_ms: between two answers
 */
void top_row(struct row *row, char state[TOP_STATE], const struct peer *p,
	     const struct host *host, uint64_t interval_ms);

/** top_bar() - its memory; "" without figures.  @width: from BAR_MIN on. */
void top_bar(char text[LINE_MAX_LEN], const struct guest *g,
	     unsigned int width);

/** top_live() - on the terminal until q or a signal. Return: 0 or -errno. */
int top_live(uint64_t interval_ms, struct why *why);

#endif /* HYP_CLI_TOP_H */
