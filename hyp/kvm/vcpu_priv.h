/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vcpu.c, exit.c and fault.c share.  The functions are for the vCPU thread
 * alone; so is what changes and is not atomic.
 */
#ifndef HYP_KVM_VCPU_PRIV_H
#define HYP_KVM_VCPU_PRIV_H

#include <signal.h>

#include "hyp/kvm/vcpu.h"

struct kvm_run;

struct vcpu {
	const struct vcpu_env *env;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;	 /* of the five below, and of immediate_exit */
	pthread_cond_t released; /* stop, or no pause any more */
	bool stop;		 /* atomic; set once, by anyone */
	bool paused;		 /* atomic: not to enter the guest */
	bool was_paused;	 /* since it last entered the guest */
	bool in_guest;	   /* atomic; written by the thread, without lock */
	sigset_t wait_set; /* SIGBUS and the kick */
	struct {
		uint64_t gpa, rip;
		uint64_t since_ns; /* mem_clock_ns() of the first */
		unsigned int seen;
	} suspect; /* discard fault, not injected yet */
	struct {
		uint64_t rip;
		unsigned int seen;
	} emulation; /* that KVM failed at */
	struct ratelimit log;
	struct kvmstats kvmstats;
	uint64_t counts[VCPU_NR_COUNTS]; /* atomic; written by the thread */
};

static inline void vcpu_inc(struct vcpu *v, enum vcpu_count what)
{
	__atomic_fetch_add(&v->counts[what], 1, __ATOMIC_RELAXED);
}

/**
 * vcpu_stop_vm() - end the VM because of something this vCPU met
 * @v:    vCPU; does not enter the guest again
 * @code: exit code of the process
 * @what: to be followed by "at rip ..."
 */
void vcpu_stop_vm(struct vcpu *v, int code, const char *what);

/** exit_handle() - KVM_RUN returned: do what the guest wants, or end the VM */
void exit_handle(struct vcpu *v);

/** fault_forget() - the guest went on: two SIGBUS must come one on the other */
void fault_forget(struct vcpu *v);

/** fault_sigbus() - make the page accessible, or deliver a discard fault */
void fault_sigbus(struct vcpu *v, const siginfo_t *si);

/**
 * fault_inject() - have an exception without error code delivered before the
 * next instruction
 *
 * Return: 0, -EBUSY if another event would be lost, or another negative errno.
 */
int fault_inject(struct vcpu *v, uint8_t vector);

#endif /* HYP_KVM_VCPU_PRIV_H */
