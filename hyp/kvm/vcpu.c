// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals.  SIGBUS (the guest touched a poison marker) and the kick signal are
 * blocked in the thread and open only inside KVM_RUN (KVM_SET_SIGNAL_MASK);
 * either makes KVM_RUN return EINTR and is then fetched with sigtimedwait().
 * A signal that arrives outside stays pending and ends the next KVM_RUN at
 * once, so none is lost.  A SIGBUS that hyp's own access causes meets a
 * blocked signal and kills the process: that is a bug of ours.
 *
 * Delivery of a discard fault (the address area first, then the latch, then
 * vector 20): a discarded page is not present for KVM, so the access has not
 * happened, and RIP is on the instruction.  SVM's EVENTINJ refuses exception
 * vectors that AMD does not define; there, vector 20 goes in as an external
 * interrupt, which delivers the same frame (cpuid_inject_as_interrupt()).
 */
#include "hyp/kvm/vcpu.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/config.h"
#include "hyp/kvm/kvmstats.h"
#include "hyp/kvm/layout.h"
#include "hyp/kvm/vcpu_state.h"
#include "hyp/mem/mem.h"

#define KICK_SIGNAL	(SIGRTMIN + 1)
/* The kernel's sigset_t: one bit per signal. */
#define KERNEL_SIGSET_BYTES	8

const char *const vcpu_count_names[VCPU_NR_COUNTS] = {
	[VCPU_IO] = "exit_io",
	[VCPU_MMIO] = "exit_mmio",
	[VCPU_HLT] = "exit_hlt",
	[VCPU_HYPERCALL] = "exit_hypercall",
	[VCPU_INTR] = "exit_intr",
	[VCPU_SIGBUS] = "exit_sigbus",
	[VCPU_SHUTDOWN] = "exit_shutdown",
	[VCPU_OTHER] = "exit_other",
	[VCPU_EMULATION] = "emulation_retries",
	[VCPU_INJECTED] = "discard_faults_injected",
};

struct vcpu {
	const struct vcpu_env *env;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	bool stop;			/* atomic; set once, by anyone */
	sigset_t wait_set;		/* SIGBUS and the kick */
	struct {
		uint64_t gpa, rip;
		unsigned int seen;
	} suspect;			/* discard fault, not injected yet */
	struct {
		uint64_t rip;
		unsigned int seen;
	} emulation;			/* that KVM failed at */
	struct kvmstats kvmstats;
	uint64_t counts[VCPU_NR_COUNTS];/* atomic; written by the thread */
};

static void count(struct vcpu *v, enum vcpu_count what)
{
	__atomic_fetch_add(&v->counts[what], 1, __ATOMIC_RELAXED);
}

static bool stopping(const struct vcpu *v)
{
	return __atomic_load_n(&v->stop, __ATOMIC_ACQUIRE);
}

/* The VM ends because of something this vCPU met. */
static void stop_vm(struct vcpu *v, int code, const char *what)
{
	struct kvm_regs regs = { 0 };
	char line[200];

	if (ioctl(v->fd, KVM_GET_REGS, &regs))
		regs.rip = 0;
	snprintf(line, sizeof(line), "vcpu %u: %s at rip 0x%llx", v->index,
		 what, (unsigned long long)regs.rip);
	v->env->stop(v->env->ctx, code, line);
	/*
	 * Not into the guest again: after a triple fault, for one, KVM has
	 * reset the vCPU, and what it would meet now is not worth a line.
	 */
	__atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
}

static int set_signal_mask(struct vcpu *v)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t set[KERNEL_SIGSET_BYTES];
	} mask = { .head.len = KERNEL_SIGSET_BYTES };
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, KICK_SIGNAL);
	/* glibc's sigset_t begins with the kernel's. */
	memcpy((char *)&mask + sizeof(mask.head), &set, KERNEL_SIGSET_BYTES);
	return ioctl(v->fd, KVM_SET_SIGNAL_MASK, &mask) ? -errno : 0;
}

/* Attempts to deliver one discard fault behind other events. */
#define MAX_SUSPECT	64
/* Attempts to get an instruction done that KVM failed to emulate. */
#define MAX_EMULATION	8

static bool event_in_delivery(const struct kvm_vcpu_events *e)
{
	return e->exception.injected || e->exception.pending ||
	       e->interrupt.injected || e->nmi.injected;
}

/* Return: 0, -EBUSY if an event would be lost, or another negative errno. */
static int inject(struct vcpu *v)
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
	if (v->env->inject_interrupt) {
		e.interrupt.injected = 1;
		e.interrupt.nr = ESSA_VECTOR;
		e.interrupt.soft = 0;
	} else {
		e.exception.injected = 1;
		e.exception.nr = ESSA_VECTOR;
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
	err = inject(v);
	if (!err) {
		v->suspect.seen = 0;
		count(v, VCPU_INJECTED);
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
		stop_vm(v, EXIT_GUEST_CRASHED,
			"discarded page touched while an event was delivered");
	else
		stop_vm(v, EXIT_HYP_FAILED, "cannot inject a discard fault");
}

/*
 * Is this SIGBUS from the instruction that the vCPU is about to execute?
 *
 * Not always.  Where a page is missing KVM may let a worker wait for it (host
 * side of asynchronous page faults, which no capability turns off) and come
 * back to it once more before some later entry: if the page is a poison marker
 * by then, that raises a SIGBUS while the guest is somewhere else, perhaps in
 * its system call entry, where an exception must not be injected.
 *
 * So inject only when the same page comes a second time at the same RIP.  KVM
 * keeps at most one such work per page and vCPU, so one of the two was the
 * instruction at RIP.
 */
static bool is_confirmed(struct vcpu *v, uint64_t gpa)
{
	uint64_t rip = v->run->s.regs.regs.rip;

	if (v->suspect.gpa != gpa || v->suspect.rip != rip)
		v->suspect.seen = 0;
	v->suspect.gpa = gpa;
	v->suspect.rip = rip;
	return v->suspect.seen++;
}

static void handle_sigbus(struct vcpu *v, const siginfo_t *si)
{
	uint64_t gpa;

	if (si->si_code != BUS_MCEERR_AR && si->si_code != BUS_ADRERR) {
		/* Sent by a process; nothing was touched. */
		log_line("vcpu %u: ignoring a SIGBUS from outside", v->index);
		return;
	}
	count(v, VCPU_SIGBUS);
	switch (mem_fault(v->env->mem, si->si_addr, &gpa)) {
	case MEM_FAULT_RETRY:
		break;
	case MEM_FAULT_DISCARD:
		if (is_confirmed(v, gpa))
			deliver_discard_fault(v, gpa);
		break;
	case MEM_FAULT_FOREIGN:
		log_line("vcpu %u: SIGBUS at %p, outside guest memory",
			 v->index, si->si_addr);
		abort();
	}
}

static void handle_signals(struct vcpu *v)
{
	const struct timespec now = { 0 };
	siginfo_t si;

	count(v, VCPU_INTR);
	while (sigtimedwait(&v->wait_set, &si, &now) > 0)
		if (si.si_signo == SIGBUS)
			handle_sigbus(v, &si);
}

static void handle_slow_path(struct vcpu *v)
{
	const struct kvm_regs *regs = &v->run->s.regs.regs;
	int32_t result = -EINVAL;
	uint8_t *data = (uint8_t *)v->run + v->run->io.data_offset;

	count(v, VCPU_HYPERCALL);
	if (v->run->io.count == 1)
		result = mem_hypercall(v->env->mem, regs->rdi, regs->rsi,
				       regs->rcx, v->env->test_hooks);
	memcpy(data, &result, sizeof(result));
}

static void handle_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;

	if (run->io.port == ESSA_PORT && run->io.size == 4 &&
	    run->io.direction == KVM_EXIT_IO_IN && v->env->hints) {
		handle_slow_path(v);
		return;
	}
	count(v, VCPU_IO);
	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(v->env->pio, run->io.port, data,
				 run->io.size);
		else
			bus_write(v->env->pio, run->io.port, data,
				  run->io.size);
	}
}

static bool in_ram(const struct vcpu *v, uint64_t gpa)
{
	const struct mem_region *regions;
	unsigned int i, nr = mem_regions(v->env->mem, &regions);

	for (i = 0; i < nr; i++)
		if (gpa >= regions[i].gpa &&
		    gpa - regions[i].gpa < regions[i].size_bytes)
			return true;
	return false;
}

/*
 * KVM's instruction emulator could not reach RAM (it does not wait for a
 * page, nor does it raise SIGBUS) and takes it for a device.
 */
static void handle_ram_access(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	int err;

	if (run->mmio.is_write)
		err = mem_write(v->env->mem, run->mmio.phys_addr,
				run->mmio.data, run->mmio.len);
	else
		err = mem_read(v->env->mem, run->mmio.phys_addr,
			       run->mmio.data, run->mmio.len);
	/* Zeros here would be a silent loss; there is no fault to deliver. */
	if (err && err != -ECANCELED)
		stop_vm(v, EXIT_GUEST_CRASHED,
			"emulated instruction touched a discarded page");
}

static void handle_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	count(v, VCPU_MMIO);
	if (in_ram(v, run->mmio.phys_addr))
		handle_ram_access(v);
	else if (run->mmio.is_write)
		bus_write(v->env->mmio, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(v->env->mmio, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

/* Flags, instruction bytes, exit reason and information: see KVM's api.rst. */
static void log_internal_error(const struct vcpu *v)
{
	uint32_t i, nr = v->run->internal.ndata;

	for (i = 0; i < nr && i < ARRAY_SIZE(v->run->internal.data); i++)
		log_line("vcpu %u: internal error, data[%u] = 0x%016llx",
			 v->index, i,
			 (unsigned long long)v->run->internal.data[i]);
}

/*
 * KVM could not emulate an instruction.  It reads the bytes of the instruction
 * and its operands without waiting for a page and without raising SIGBUS, so
 * one that was discarded or paged out at this moment fails.  Nothing of the
 * instruction was done: execute it again, and the processor faults in what KVM
 * could not reach.  Said each time, and not for ever.
 */
static bool retry_emulation(struct vcpu *v)
{
	uint64_t rip = v->run->s.regs.regs.rip;

	if (v->run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
		return false;
	if (v->emulation.rip != rip)
		v->emulation.seen = 0;
	v->emulation.rip = rip;
	if (++v->emulation.seen > MAX_EMULATION)
		return false;
	log_line("vcpu %u: KVM could not emulate the instruction at rip 0x%llx, executing it again",
		 v->index, (unsigned long long)rip);
	count(v, VCPU_EMULATION);
	return true;
}

static void handle_unexpected(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	char what[100];

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what),
			 "hardware refused to enter the guest (reason 0x%llx)",
			 (unsigned long long)
				 run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (retry_emulation(v))
			return;
		snprintf(what, sizeof(what), "KVM internal error %u",
			 run->internal.suberror);
		log_internal_error(v);
		break;
	default:
		snprintf(what, sizeof(what), "unexpected exit %u",
			 run->exit_reason);
	}
	count(v, VCPU_OTHER);
	stop_vm(v, EXIT_HYP_FAILED, what);
}

static void handle_exit(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(v);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(v);
		break;
	case KVM_EXIT_HLT:
		count(v, VCPU_HLT);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		count(v, VCPU_SHUTDOWN);
		stop_vm(v, EXIT_GUEST_CRASHED, "guest crashed (triple fault)");
		break;
	default:
		handle_unexpected(v);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	char line[100];

	pthread_mutex_lock(v->env->gate);
	pthread_mutex_unlock(v->env->gate);
	/* The slow path takes its arguments in registers. */
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	while (!stopping(v)) {
		if (!ioctl(v->fd, KVM_RUN, 0)) {
			handle_exit(v);
		} else if (errno == EINTR) {
			handle_signals(v);
		} else if (errno != EAGAIN) {
			/* EAGAIN: an application processor not yet started. */
			snprintf(line, sizeof(line), "KVM_RUN failed (%s)",
				 strerror(errno));
			stop_vm(v, EXIT_HYP_FAILED, line);
			break;
		}
	}
	return NULL;
}

int vcpu_create(struct vcpu **out, const struct vcpu_env *env,
		unsigned int index, struct kvm_cpuid2 *cpuid, struct why *why)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return why_set(why, -ENOMEM, "vcpu");
	v->env = env;
	v->index = index;
	v->run = MAP_FAILED;
	sigemptyset(&v->wait_set);
	sigaddset(&v->wait_set, SIGBUS);
	sigaddset(&v->wait_set, KICK_SIGNAL);
	v->fd = kvm_create_vcpu(env->kvm, index);
	if (v->fd < 0) {
		err = why_set(why, v->fd, "cannot create vcpu %u", index);
		goto err_destroy;
	}
	v->run = mmap(NULL, env->kvm->run_bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		err = why_set(why, -errno, "cannot map vcpu %u", index);
		goto err_destroy;
	}
	err = vcpu_state_init(v->fd, index, cpuid);
	if (!err)
		err = set_signal_mask(v);
	if (err) {
		why_set(why, err, "cannot set up vcpu %u", index);
		goto err_destroy;
	}
	kvmstats_open(&v->kvmstats, v->fd);
	*out = v;
	return 0;

err_destroy:
	vcpu_destroy(v);
	return err;
}

int vcpu_set_boot_state(struct vcpu *vcpu, uint64_t entry_gpa)
{
	return vcpu_state_boot(vcpu->fd, entry_gpa);
}

int vcpu_start(struct vcpu *vcpu)
{
	char name[16];
	int err = -pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);

	if (err)
		return err;
	vcpu->started = true;
	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(vcpu->thread, name);
	return 0;
}

void vcpu_kick(struct vcpu *vcpu)
{
	/*
	 * The order matters for a thread between its look at @stop and
	 * KVM_RUN: immediate_exit, or the pending signal, ends that KVM_RUN.
	 */
	__atomic_store_n(&vcpu->stop, true, __ATOMIC_RELEASE);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	if (vcpu->started)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

int vcpu_join(struct vcpu *vcpu, unsigned int timeout_ms)
{
	int err;

	if (!vcpu->started)
		return 0;
	err = thread_join(vcpu->thread, timeout_ms);
	if (!err)
		vcpu->started = false;
	return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	assert(!vcpu->started);
	kvmstats_close(&vcpu->kvmstats);
	if (vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->env->kvm->run_bytes);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	free(vcpu);
}

void vcpu_add_counts(const struct vcpu *vcpu, uint64_t sum[VCPU_NR_COUNTS])
{
	unsigned int i;

	for (i = 0; i < VCPU_NR_COUNTS; i++)
		sum[i] += __atomic_load_n(&vcpu->counts[i], __ATOMIC_RELAXED);
}

void vcpu_add_kvmstats(const struct vcpu *vcpu, uint64_t sum[KVMSTATS_NR])
{
	kvmstats_add(&vcpu->kvmstats, sum);
}
