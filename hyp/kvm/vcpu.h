/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtual CPU: its thread, KVM_RUN, dispatch of exits, discard faults.
 */
#ifndef HYP_KVM_VCPU_H
#define HYP_KVM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hyp/dev/bus.h"
#include "hyp/kvm/kvm.h"
#include "hyp/kvm/kvmstats.h"
#include "hyp/util.h"

struct essa_vcpu_info;
struct kvm_cpuid2;
struct mem;
struct record;
struct vcpu; /* opaque */

/** enum vcpu_count - what a vCPU counts; names in vcpu_count_names[] */
enum vcpu_count {
	VCPU_IO, /* ports, without the slow path */
	VCPU_MMIO,
	VCPU_HLT,
	VCPU_HYPERCALL, /* slow path of the page-hinting interface */
	VCPU_INTR,	/* KVM_RUN interrupted by a signal */
	VCPU_SIGBUS,	/* ... of which: touched a poison marker */
	VCPU_SHUTDOWN,
	VCPU_OTHER,
	VCPU_EMULATION,
	VCPU_INJECTED, /* discard faults delivered */
	VCPU_NR_COUNTS,
};

extern const char *const vcpu_count_names[VCPU_NR_COUNTS];

/** struct vcpu_env - what all vCPUs of a VM share; outlives them */
struct vcpu_env {
	struct kvm *kvm;
	struct mem *mem;
	struct record *record; /* NULL: nothing is recorded */
	const struct bus *pio, *mmio;
	struct essa_vcpu_info *info; /* array, LAYOUT_INFO_STRIDE apart */
	bool hints;
	bool test_hooks;
	bool inject_interrupt; /* SVM: see fault.c */
	/* Held by the creator until all threads exist and are confined. */
	pthread_mutex_t *gate;
	/* The VM is to stop; @code is hyp's exit code.  Any thread. */
	void (*stop)(void *ctx, int code, const char *why);
	/* A vCPU that is to pause has left the guest.  Its thread; no lock held. */
	void (*left)(void *ctx);
	void *ctx;
};

/**
 * vcpu_create() - create a vCPU in its reset state
 * @out:   set on success; caller owns, vcpu_destroy()
 * @env:   shared
 * @index: also the APIC ID
 * @cpuid: for this vCPU; not needed afterwards
 * @why:   set on failure
 *
 * Return: 0 or a negative errno.
 */
int vcpu_create(struct vcpu **out, const struct vcpu_env *env,
		unsigned int index, struct kvm_cpuid2 *cpuid, struct why *why);

/**
 * vcpu_set_boot_state() - make it the boot processor, at a 64-bit entry point
 * @vcpu:      not started
 * @entry_gpa: where
 *
 * The others wait for INIT and SIPI in KVM.
 * Return: 0 or a negative errno.
 */
int vcpu_set_boot_state(struct vcpu *vcpu, uint64_t entry_gpa);

/** vcpu_start() - start its thread. Return: 0 or a negative errno. */
int vcpu_start(struct vcpu *vcpu);

/**
 * vcpu_kick() - make its thread end; returns at once
 * Sources of work go on meanwhile: it may wait for a device or for memory.
 */
void vcpu_kick(struct vcpu *vcpu);

/**
 * vcpu_pause() - keep it out of the guest until vcpu_resume()
 * @vcpu: started or not, not joined
 *
 * Returns at once; env->left() is called if it was in the guest.  An exit of
 * the guest that is being answered goes on, and its thread may wait there.
 * Context: any thread, but not from env->left(); takes the vCPU's lock.
 */
void vcpu_pause(struct vcpu *vcpu);

/**
 * vcpu_resume() - let it into the guest again; also if it was not paused
 * Before it enters, a guest that uses KVM's clock is told that it was paused:
 * its watchdogs are not to bark at the gap (KVM_KVMCLOCK_CTRL).
 * Context: as vcpu_pause().
 */
void vcpu_resume(struct vcpu *vcpu);

/**
 * vcpu_in_guest() - may it be executing the guest's instructions?
 * Once false while it is paused, this remains so until vcpu_resume().
 * Context: any thread.
 */
bool vcpu_in_guest(const struct vcpu *vcpu);

/**
 * vcpu_join() - wait for the end of its thread
 * @vcpu:       kicked
 * @timeout_ms: how long
 *
 * Return: 0 or -ETIMEDOUT.
 */
int vcpu_join(struct vcpu *vcpu, unsigned int timeout_ms);

/** vcpu_destroy() - free; accepts NULL.  Joined. */
void vcpu_destroy(struct vcpu *vcpu);

/** vcpu_add_counts() - add its counters to @sum.  Any thread. */
void vcpu_add_counts(const struct vcpu *vcpu, uint64_t sum[VCPU_NR_COUNTS]);

/** vcpu_add_kvmstats() - add KVM's own counters to @sum.  Any thread. */
void vcpu_add_kvmstats(const struct vcpu *vcpu, uint64_t sum[KVMSTATS_NR]);

#endif /* HYP_KVM_VCPU_H */
