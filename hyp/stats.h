/* SPDX-License-Identifier: GPL-2.0-only */
/* One snapshot of all counters of a VM, and the forms it is shown in. */
#ifndef HYP_STATS_H
#define HYP_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "hyp/dev/virtio/balloon.h"
#include "hyp/dev/virtio/blk.h"
#include "hyp/kvm/vcpu.h"
#include "hyp/mem/mem.h"

/** struct stats - a snapshot; the parts are not of the very same moment */
struct stats {
	uint64_t ms; /* since the VM started */
	uint64_t pauses, paused_ms;
	struct mem_stats mem;
	struct mem_latency waits[MEM_NR_WAITS];
	struct mem_dist dist;
	struct blk_stats disk;
	struct balloon_state balloon;
	uint64_t entropy_bytes;
	uint64_t counts[VCPU_NR_COUNTS];
	uint64_t kvm[KVMSTATS_NR];
};

/** stats_csv_header(), stats_csv_line() - for --stats. Return: 0 or -EIO. */
int stats_csv_header(FILE *file);
int stats_csv_line(FILE *file, const struct stats *s);

/**
 * stats_each() - all counters by name, but for the frames by state
 * @s:   snapshot
 * @fn:  called with each
 * @ctx: its first argument
 */
void stats_each(const struct stats *s,
		void (*fn)(void *ctx, const char *name, uint64_t value),
		void *ctx);

/**
 * stats_summary() - all counters, "key value" a line, for --summary
 * @file:      where
 * @s:         snapshot
 * @exit_code: of hyp
 *
 * Return: 0 or -EIO.
 */
int stats_summary(FILE *file, const struct stats *s, int exit_code);

/**
 * stats_mark() - exits so far, to standard error: "mark N" and "key value" pairs
 * @number: the guest's
 * @s:      with @counts and @kvm
 */
void stats_mark(unsigned int number, const struct stats *s);

/** stats_print() - for people, to standard error */
void stats_print(const struct stats *s);

#endif /* HYP_STATS_H */
