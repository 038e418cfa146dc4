// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the guest touched and that have a poison marker.
 *
 * Delivery of a discard fault (the information first, then the latch, then
 * vector 20; R-FLT-5): a discarded page is not present for KVM, so the access has not
 * happened, and RIP is on the instruction.  SVM's EVENTINJ refuses exception
 * vectors that AMD does not define; there, vector 20 goes in as an external
 * interrupt, which delivers the same frame (cpuid_inject_as_interrupt()).
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <essa/abi.h>

#include "hyp/config.h"
#include "hyp/kvm/layout.h"
#include "hyp/kvm/vcpu_priv.h"
#include "hyp/mem/mem.h"

/* SIGBUS in a row, at one instruction, on a page that is there. */
#define MAX_RETRIES 1000
/* Attempts to deliver one discard fault behind other events. */
#define MAX_SUSPECT 64

static bool event_in_delivery(const struct kvm_vcpu_events *e)
{
	return e->exception.injected || e->exception.pending ||
	       e->interrupt.injected || e->nmi.injected;
}

int fault_inject(struct vcpu *v, uint8_t vector)
{
	struct kvm_vcpu_events e;

	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e))
		return -errno;
	if (event_in_delivery(&e))
		return -EBUSY;
	/*
	 * No flags: what they would make valid (pending NMI, SIPI, shadow)
	 * another vCPU may have changed since; leave it to KVM.
	 */
	e.flags = 0;
	if (vector == ESSA_VECTOR && v->env->inject_interrupt) {
		e.interrupt.injected = 1;
		e.interrupt.nr = vector;
		e.interrupt.soft = 0;
	} else {
		e.exception.injected = 1;
		e.exception.nr = vector;
		e.exception.has_error_code = 0;
		e.exception.error_code = 0;
	}
	return ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e) ? -errno : 0;
}

static void deliver_discard_fault(struct vcpu *v, uint64_t gpa)
{
	struct essa_vcpu_info *info =
		(void *)((char *)v->env->info +
			 (size_t)v->index * LAYOUT_INFO_STRIDE);
	int err;

	/*
	 * A latch that is still set belongs to a fault whose handler was
	 * itself interrupted by this one; abi.h: overwrite, the guest retries.
	 */
	__atomic_store_n(&info->gpa, gpa, __ATOMIC_RELAXED);
	__atomic_store_n(&info->access, 0, __ATOMIC_RELAXED);
	/* Release: pairs with the guest's exchange of the latch. */
	__atomic_store_n(&info->latch, ESSA_LATCH_DISCARD, __ATOMIC_RELEASE);
	err = fault_inject(v, ESSA_VECTOR);
	if (!err) {
		v->suspect.seen = 0;
		mem_note_discard(v->env->mem, v->suspect.since_ns);
		vcpu_inc(v, VCPU_INJECTED);
		return;
	}
	/*
	 * An interrupt that KVM took for this entry must not be lost.  Let it
	 * be delivered; the access comes again behind it.  If it does not get
	 * through, the page is touched by the delivery itself: the guest has
	 * its stack or its descriptor tables in volatile memory.
	 */
	if (err == -EBUSY && v->suspect.seen < MAX_SUSPECT)
		return;
	if (err == -EBUSY)
		vcpu_stop_vm(
			v, EXIT_GUEST_CRASHED,
			"discarded page touched while an event was delivered");
	else
		vcpu_stop_vm(v, EXIT_HYP_FAILED,
			     "cannot inject a discard fault");
}

/*
 * Is this SIGBUS from the instruction that the vCPU is about to execute?
 *
 * Not always.  Where a page is missing KVM may let a worker wait for it (host
 * side of asynchronous page faults, which no capability turns off) and come
 * back to it once more before some later entry: if the page is a poison marker
 * by then, that raises a SIGBUS while the guest is somewhere else, perhaps in
 * its system call entry, where an exception must not be injected (R-FLT-13).
 *
 * So inject only when the same page comes a second time at the same RIP.  KVM
 * keeps at most one such work per page and vCPU, so one of the two was the
 * instruction at RIP.  Not if the guest has gone on in between and come back:
 * an idle vCPU is always at the same RIP, and both may have been late then.
 */
static bool is_confirmed(struct vcpu *v, uint64_t gpa, uint64_t since_ns)
{
	uint64_t rip = v->run->s.regs.regs.rip;

	if (v->suspect.gpa != gpa || v->suspect.rip != rip)
		v->suspect.seen = 0;
	if (!v->suspect.seen)
		v->suspect.since_ns = since_ns;
	v->suspect.gpa = gpa;
	v->suspect.rip = rip;
	return v->suspect.seen++;
}

void fault_forget(struct vcpu *v)
{
	v->suspect.seen = 0;
}

void fault_sigbus(struct vcpu *v, const siginfo_t *si)
{
	uint64_t since_ns = mem_clock_ns();
	uint64_t gpa;

	if (si->si_code != BUS_MCEERR_AR && si->si_code != BUS_ADRERR) {
		/* Sent by a process; nothing was touched. */
		log_line("vcpu %u: ignoring a SIGBUS from outside", v->index);
		return;
	}
	vcpu_inc(v, VCPU_SIGBUS);
	switch (mem_fault(v->env->mem, si->si_addr, &gpa)) {
	case MEM_FAULT_RETRY:
		/* Not a poison marker, then: the real thing. */
		if (is_confirmed(v, gpa, since_ns) &&
		    v->suspect.seen > MAX_RETRIES)
			vcpu_stop_vm(
				v, EXIT_HYP_FAILED,
				"the host reports a memory error in a page of the guest");
		break;
	case MEM_FAULT_DISCARD:
		if (is_confirmed(v, gpa, since_ns))
			deliver_discard_fault(v, gpa);
		break;
	case MEM_FAULT_FOREIGN:
		log_line("vcpu %u: SIGBUS at %p, outside guest memory",
			 v->index, si->si_addr);
		abort();
	}
}
