/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a memory manager wants to know of, told once after it has been armed.
 *
 * Whoever changes what is watched looks afterwards whether that is news: while
 * nothing is armed, one load.  So nothing has to poll, and who is told and does not
 * arm again costs nothing.
 *
 * The last change is never lost: mem_watch() arms first and looks then, a change
 * is made first and its maker looks then.  All these accesses are sequentially
 * consistent (which costs a fault nothing on x86: the counters are locked
 * instructions and the load is a plain one), so of the two one at least sees what
 * the other did.  What both see is told once: one of them disarms.
 */
#ifndef HYP_MEM_WATCH_H
#define HYP_MEM_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;

/**
 * struct watch - zeroed: not armed
 *
 * Thresholds are written while it is not armed.  A look that began before may use
 * a mixture of them: it tells too early then, or is followed by mem_watch()'s own.
 */
struct watch {
	_Atomic bool armed;
	_Atomic uint64_t cost;	    /* mem_cost() that is known */
	_Atomic uint64_t low, high; /* resident frames that are no news */
	_Atomic bool over; /* charged was above the limit: tell when it is not */
};

/** __watch_look() - watch_look() of priv.h, if something is armed */
void __watch_look(struct mem *mem);

#endif /* HYP_MEM_WATCH_H */
