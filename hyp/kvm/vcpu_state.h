/* SPDX-License-Identifier: GPL-2.0-only */
/* Registers of a vCPU before it first runs. */
#ifndef HYP_KVM_VCPU_STATE_H
#define HYP_KVM_VCPU_STATE_H

#include <stdint.h>

struct kvm_cpuid2;

/**
 * vcpu_state_init() - CPUID, MSRs and local APIC, as firmware leaves them
 * @fd:    of the vCPU
 * @index: vCPU
 * @cpuid: of this vCPU
 *
 * Return: 0 or a negative errno.
 */
int vcpu_state_init(int fd, unsigned int index, struct kvm_cpuid2 *cpuid);

/**
 * vcpu_state_boot() - long mode at an entry point, RSI = boot_params
 * @fd:        of the vCPU
 * @entry_gpa: of a kernel that boot_load() has loaded
 *
 * Return: 0 or a negative errno.
 */
int vcpu_state_boot(int fd, uint64_t entry_gpa);

#endif /* HYP_KVM_VCPU_STATE_H */
