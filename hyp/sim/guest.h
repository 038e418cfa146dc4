/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest without a processor: it replays a trace on guest memory of hyp/mem,
 * with real state operations and real loads and stores.
 *
 * Every page carries a tag (guest, gfn, generation) at both ends.  Each use of
 * a page that the host had to keep compares it; a page that was discarded is
 * read again "from the disk", which is a refault.
 */
#ifndef HYP_SIM_GUEST_H
#define HYP_SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "essa-emu/trace/trace.h"
#include "hyp/mem/mem.h"
#include "hyp/util.h"

struct sim_guest; /* opaque */

/** struct sim_guest_config - copied by sim_guest_create() */
struct sim_guest_config {
	const struct trace *trace; /* shared, outlives the guest */
	unsigned int id;	   /* below SIM_MAX_GUESTS */
	unsigned int loops;	   /* replays; a reboot between two */
	uint64_t limit_bytes;
	const char *swap_dir;
	bool hints;
	bool storm;
};

#define SIM_MAX_GUESTS 4096u

/** struct sim_result - what a guest did and what became of its memory */
struct sim_result {
	uint64_t events, state_ops, reads, writes;
	uint64_t refaults_touch; /* found by a discard fault */
	uint64_t refaults_op;	 /* found by a state operation */
	uint64_t failures;	 /* lost, stale or foreign content */
	struct mem_stats mem;
};

/**
 * sim_guest_create() - memory of a guest, with its threads running
 * @out: set on success; caller owns, sim_guest_destroy()
 * @cfg: what it is to be
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int sim_guest_create(struct sim_guest **out, const struct sim_guest_config *cfg,
		     struct why *why);

/**
 * sim_guest_run() - replay up to a moment of the trace
 * @g:	      guest; one thread at a time, which has called guest_init()
 * @until_ms: time since its (first) boot
 *
 * Return: true while there is more to replay.
 */
bool sim_guest_run(struct sim_guest *g, uint64_t until_ms);

/**
 * sim_guest_finish() - what it was like, then look at every page once more
 * @g:	 whose replay is over
 * @out: counters as of the end of the replay; failures also of the last look
 *
 * Stops the threads of its memory.
 */
void sim_guest_finish(struct sim_guest *g, struct sim_result *out);

/** sim_guest_destroy() - free; accepts NULL */
void sim_guest_destroy(struct sim_guest *g);

#endif /* HYP_SIM_GUEST_H */
