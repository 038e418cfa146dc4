/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/kvm and the VM file descriptor.  The only caller of KVM's system and
 * VM ioctls; vcpu*.c and fault.c do those of a vCPU.  Everything but
 * kvm_irq_line() is for set-up, by one thread.
 */
#ifndef HYP_KVM_KVM_H
#define HYP_KVM_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hyp/util.h"

struct kvm_cpuid2;

/** struct kvm - one VM; immutable after kvm_create() but for the slot count */
struct kvm {
	int sys_fd;
	int vm_fd;
	size_t run_bytes; /* size of a vCPU's struct kvm_run */
	unsigned int nr_slots;
	unsigned int max_vcpus;
};

/**
 * kvm_create() - open KVM, create a VM with interrupt controllers and PIT
 * @out: set on success; caller owns, kvm_destroy()
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int kvm_create(struct kvm **out, struct why *why);

/** kvm_destroy() - close; accepts NULL.  All vCPU descriptors are closed. */
void kvm_destroy(struct kvm *kvm);

/**
 * kvm_map() - make host memory appear in the guest
 * @kvm:        VM
 * @gpa:        where, a multiple of 4 KiB
 * @size_bytes: how much, a multiple of 4 KiB
 * @hva:        memory that outlives the VM
 *
 * Return: 0 or a negative errno.
 */
int kvm_map(struct kvm *kvm, uint64_t gpa, uint64_t size_bytes, void *hva);

/**
 * kvm_create_vcpu() - create a vCPU
 * @kvm:   VM
 * @index: also its initial APIC ID
 *
 * Return: its descriptor (caller owns) or a negative errno.
 */
int kvm_create_vcpu(struct kvm *kvm, unsigned int index);

/**
 * kvm_supported_cpuid() - what KVM can offer to a guest
 * @kvm: VM
 * @out: set on success; caller frees
 *
 * Return: 0 or a negative errno.
 */
int kvm_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 **out);

/**
 * kvm_ioeventfd() - let the guest's writes to an address signal an eventfd
 * @kvm: VM
 * @gpa: of the register; writes to it no longer end KVM_RUN
 * @fd:  outlives the VM's vCPUs
 *
 * Return: 0 or a negative errno.
 */
int kvm_ioeventfd(struct kvm *kvm, uint64_t gpa, int fd);

/**
 * kvm_irq_line() - drive an input of the interrupt controllers
 * @kvm:   VM
 * @irq:   0 to 23
 * @level: true: asserted
 *
 * Context: any thread.
 */
void kvm_irq_line(struct kvm *kvm, unsigned int irq, bool level);

#endif /* HYP_KVM_KVM_H */
