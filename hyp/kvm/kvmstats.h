/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters that KVM keeps for a vCPU: the exits it handles itself, which hyp
 * never sees (Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD).
 */
#ifndef HYP_KVM_KVMSTATS_H
#define HYP_KVM_KVMSTATS_H

#include <stdint.h>

#define KVMSTATS_NR 9

extern const char *const kvmstats_names[KVMSTATS_NR];

/** struct kvmstats - where the counters of one vCPU are; all zero: nowhere */
struct kvmstats {
	int fd; /* owned; valid if @any */
	int any;
	uint64_t offsets[KVMSTATS_NR]; /* in the file; 0: not there */
};

/**
 * kvmstats_open() - find the counters
 * @ks:      filled in; kvmstats_close() it
 * @vcpu_fd: vCPU
 *
 * Counters that this KVM does not have read as zero.
 */
void kvmstats_open(struct kvmstats *ks, int vcpu_fd);

/** kvmstats_close() - accepts an all-zero @ks */
void kvmstats_close(struct kvmstats *ks);

/** kvmstats_add() - add the current values to @sum.  Any thread. */
void kvmstats_add(const struct kvmstats *ks, uint64_t sum[KVMSTATS_NR]);

#endif /* HYP_KVM_KVMSTATS_H */
