/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mechanism: knows the VMs, asks the policy when something has changed, and
 * tells the VMs what the ledger allows.  One thread, the loop's; a timer that runs
 * only while something is to come.
 */
#ifndef HYP_HYPD_MANAGER_H
#define HYP_HYPD_MANAGER_H

#include "hyp/hypd/finder.h"
#include "hyp/hypd/guest.h"
#include "hyp/hypd/policy.h"
#include "hyp/hypd/psi.h"
#include "hyp/hypd/settings.h"

/* One more is left alone, and said so. */
#define MANAGER_MAX_GUESTS 1024

/** struct manager - what a reader may look at; changed by the functions below */
struct manager {
	struct loop *loop;
	struct finder *finder;
	struct psi psi;
	struct loop_handler timer;
	uint64_t armed_ms; /* UINT64_MAX: not armed */
	struct settings settings;
	const struct policy *policy;
	struct guest_ops guest_ops;
	struct guest *guests; /* MANAGER_MAX_GUESTS slots */
	size_t nr_slots;      /* used so far */
	bool dirty;	      /* the policy is to be asked */
	uint64_t decided_ms;  /* when it was */
	uint64_t again_ms;    /* when it wants to be */
	bool is_short; /* the limit cannot be met, and that has been said */
	bool full;     /* said */
};

/**
 * manager_init() - @m zeroed; manager_fini() in any case
 * @m:	      the manager
 * @loop:     outlives it
 * @settings: taken over, settings_fini() is done here
 * @why:      set on failure
 *
 * Return: 0 or a negative errno.
 */
int manager_init(struct manager *m, struct loop *loop,
		 struct settings *settings, struct why *why);
void manager_fini(struct manager *m);

/** manager_start() - call those that are there */
void manager_start(struct manager *m);

/** manager_set_limit(), manager_set_policy(), manager_set() - from now on */
void manager_set_limit(struct manager *m, uint64_t bytes);
void manager_set_policy(struct manager *m, const struct policy *policy);
void manager_set(struct manager *m, struct settings *settings);

/** manager_counted() - by all VMs; bytes */
uint64_t manager_counted(const struct manager *m);

/** manager_share_of() - settings over what the VM says, within what it can have */
struct share manager_share_of(const struct manager *m, const struct guest *g);

#endif /* HYP_HYPD_MANAGER_H */
