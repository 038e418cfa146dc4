/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who gets how much: the border between hypd's mechanism and its policies.
 *
 * A policy is a function of plain figures.  It does no I/O, reads no clock and
 * keeps nothing but its memory of each VM, so that it can be tested by itself.
 * What it says is a wish: the mechanism (ledger.h) sees to it that no wish makes
 * the sum exceed the host's limit at any moment.
 */
#ifndef HYP_HYPD_POLICY_H
#define HYP_HYPD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_PAGE  4096u
#define POLICY_NEVER UINT64_MAX

/** struct policy_host - what all VMs have in common */
struct policy_host {
	uint64_t now_ms;      /* never goes backwards */
	uint64_t limit_bytes; /* for all VMs */
	bool pressed;	      /* the host itself is short of memory now */
};

/** struct policy_counters - since the VM's start; may go backwards */
struct policy_counters {
	uint64_t fault_preserved; /* pages read back from swap */
	uint64_t fault_discard;	  /* discarded pages that were wanted again */
	uint64_t swapped_out;	  /* pages */
	uint64_t stall_us;	  /* what accesses have waited for swap */
	bool has_stall;
};

/**
 * struct policy_vm - one VM: figures, and behind them what the policy says
 *
 * Bytes are multiples of POLICY_PAGE.  floor <= entitlement <= ceiling <= mem.
 */
struct policy_vm {
	uint64_t mem;
	uint64_t limit;	  /* now; mem: none */
	uint64_t charged; /* counted against it now */
	uint64_t floor;	  /* less cannot be; = ceiling: cannot be changed */
	uint64_t ceiling;
	uint64_t entitlement;
	unsigned int weight; /* from 1 */
	bool running;
	struct policy_counters counters;
	bool has_balloon;
	uint64_t balloon_target;
	uint64_t balloon_actual;
	void *memory; /* policy->memory_bytes of this VM; zeroed at first */

	/* Set by the policy: from floor to ceiling; */
	uint64_t budget;
	uint64_t guaranteed;   /* of it, to be granted before other budgets; */
	uint64_t want_balloon; /* where there is a balloon; */
	double pressure;       /* 0: none; costs a second, a page-in being 1; */
	bool idle;
	const char *reason; /* why the budget is that, a constant */
};

/** struct policy - one way to divide */
struct policy {
	const char *name;
	size_t memory_bytes;
	/**
	 * @decide: divide host->limit_bytes; where all floors together are more,
	 *	    a VM gets its floor
	 *
	 * Return: when to be called again at the latest, by the clock of now_ms,
	 * even if nothing happens; POLICY_NEVER.
	 */
	uint64_t (*decide)(const struct policy_host *host,
			   struct policy_vm *vms, size_t nr);
};

extern const struct policy policy_share;
extern const struct policy policy_static;

/** policy_find() - by name; NULL: there is none */
const struct policy *policy_find(const char *name);

/** policy_names() - all of them, for error lines */
const char *policy_names(void);

#endif /* HYP_HYPD_POLICY_H */
