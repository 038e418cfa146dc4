/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long accesses had to wait for hyp: histograms by kind (mem.h).
 *
 * From the moment the access is known here, when its message has been read or
 * its SIGBUS fetched, to the moment whoever made it can run on.  Several threads
 * note at a time; what is read meanwhile is a little behind, never torn.
 */
#ifndef HYP_MEM_LATENCY_H
#define HYP_MEM_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#include "hyp/mem/mem.h"

struct latency {
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t bucket[MEM_LATENCY_BUCKETS];
};

/** latency_bucket() - which bucket a time is counted in */
unsigned int latency_bucket(uint64_t ns);

/** latency_add() - count a time */
void latency_add(struct latency *l, uint64_t ns);

/** latency_read() - the sum may miss what is being added */
void latency_read(const struct latency *l, struct mem_latency *out);

/** latency_note() - an access may run on, that is known since mem_clock_ns() was @since_ns */
void latency_note(struct mem *mem, enum mem_wait kind, uint64_t since_ns);

#endif /* HYP_MEM_LATENCY_H */
