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
	uint32_t features; /* mem_features() */
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

/**
 * cpuid_inject_as_interrupt() - must vector 20 go in as an external interrupt?
 *
 * On AMD: EVENTINJ refuses exception vectors that AMD does not define (APM
 * volume 2, "Event Injection").  Not on QEMU's emulation of AMD, which takes
 * them, and which may deliver an event of type interrupt a second time later:
 * helper_vmrun() leaves exception_index set.
 */
bool cpuid_inject_as_interrupt(void);

#endif /* HYP_KVM_CPUID_H */
