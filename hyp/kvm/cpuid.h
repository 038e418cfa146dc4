/* SPDX-License-Identifier: GPL-2.0-only */
/* What a guest's CPUID instruction shows. */
#ifndef HYP_KVM_CPUID_H
#define HYP_KVM_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/** struct cpuid_hints - where the page-hinting interface is */
struct cpuid_hints {
	bool offered;
	bool test_hooks;
	uint64_t table_gpa;
	uint64_t nr_frames;
	uint64_t info_gpa;
};

/**
 * cpuid_build() - CPUID of one vCPU
 * @supported: from kvm_supported_cpuid()
 * @index:     vCPU
 * @nr_cpus:   of the VM
 * @hints:     page-hinting interface
 *
 * Return: entries for KVM_SET_CPUID2, caller frees; NULL: out of memory.
 */
struct kvm_cpuid2 *cpuid_build(const struct kvm_cpuid2 *supported,
			       unsigned int index, unsigned int nr_cpus,
			       const struct cpuid_hints *hints);

/** cpuid_host_is_amd() - does this host inject through SVM? */
bool cpuid_host_is_amd(void);

#endif /* HYP_KVM_CPUID_H */
