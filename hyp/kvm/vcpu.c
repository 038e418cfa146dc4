// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals.  SIGBUS (the guest touched a poison marker) and the kick signal are
 * blocked in the thread and open only inside KVM_RUN (KVM_SET_SIGNAL_MASK);
 * either makes KVM_RUN return EINTR and is then fetched with sigtimedwait().
 * A signal that arrives outside stays pending and ends the next KVM_RUN at
 * once, so none is lost.  The kick is a signal that does not queue: sending it
 * cannot fail, however often and to however busy a thread.  A SIGBUS that hyp's own access causes meets a
 * blocked signal and kills the process: that is a bug of ours.
 *
 * Pausing.  immediate_exit is set exactly while the vCPU is paused or stopping
 * (under its lock), so the thread may look at both without the lock: what it
 * misses ends the KVM_RUN that follows.
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

#include "hyp/config.h"
#include "hyp/kvm/vcpu_priv.h"
#include "hyp/kvm/vcpu_state.h"
#include "hyp/thread.h"

#define KICK_SIGNAL SIGUSR2
/* The kernel's sigset_t: one bit per signal. */
#define KERNEL_SIGSET_BYTES 8

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

static bool stopping(const struct vcpu *v)
{
	return __atomic_load_n(&v->stop, __ATOMIC_ACQUIRE);
}

void vcpu_stop_vm(struct vcpu *v, int code, const char *what)
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

static void handle_signals(struct vcpu *v)
{
	const struct timespec now = { 0 };
	siginfo_t si;

	vcpu_inc(v, VCPU_INTR);
	while (sigtimedwait(&v->wait_set, &si, &now) > 0)
		if (si.si_signo == SIGBUS)
			fault_sigbus(v, &si);
}

static void set_in_guest(struct vcpu *v, bool in)
{
	/*
	 * Sequentially consistent, like the accesses to @paused on the way in
	 * and in vcpu_pause(): either the thread sees that it is to pause, or
	 * who pauses it sees it in the guest and is told when it has left.
	 */
	__atomic_store_n(&v->in_guest, in, __ATOMIC_SEQ_CST);
}

static bool is_paused(const struct vcpu *v)
{
	return __atomic_load_n(&v->paused, __ATOMIC_SEQ_CST);
}

static void sleep_while_paused(struct vcpu *v)
{
	bool tell;

	pthread_mutex_lock(&v->lock);
	while (v->paused && !v->stop)
		pthread_cond_wait(&v->released, &v->lock);
	tell = v->was_paused && !v->stop;
	v->was_paused = false;
	pthread_mutex_unlock(&v->lock);
	/* Fails, and does not matter, if the guest uses another clock. */
	if (tell)
		ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
}

/* Return: as KVM_RUN's, or -1 and EINTR if the vCPU has been paused. */
static int enter_guest(struct vcpu *v)
{
	int ret = -1;
	int err = EINTR;

	set_in_guest(v, true);
	if (!is_paused(v)) {
		ret = ioctl(v->fd, KVM_RUN, 0);
		err = errno;
	}
	set_in_guest(v, false);
	if (is_paused(v))
		v->env->left(v->env->ctx);
	errno = err;
	return ret;
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
		if (is_paused(v)) {
			sleep_while_paused(v);
		} else if (!enter_guest(v)) {
			fault_forget(v);
			exit_handle(v);
		} else if (errno == EINTR) {
			handle_signals(v);
		} else if (errno != EAGAIN) {
			/* EAGAIN: an application processor not yet started. */
			snprintf(line, sizeof(line), "KVM_RUN failed (%s)",
				 strerror(errno));
			vcpu_stop_vm(v, EXIT_HYP_FAILED, line);
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
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->released, NULL);
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
	int err;

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_mutex_lock(&vcpu->lock);
	err = thread_start(&vcpu->thread, name, vcpu_thread, vcpu);
	vcpu->started = !err;
	pthread_mutex_unlock(&vcpu->lock);
	return err;
}

/*
 * @stop or @paused has been set.  The order matters for a thread between its
 * look at them and KVM_RUN: immediate_exit, or the pending signal, ends that.
 */
static void __interrupt(struct vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELEASE);
	if (v->started)
		pthread_kill(v->thread, KICK_SIGNAL);
}

void vcpu_kick(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	__atomic_store_n(&vcpu->stop, true, __ATOMIC_RELEASE);
	__interrupt(vcpu);
	pthread_cond_signal(&vcpu->released);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_pause(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	__atomic_store_n(&vcpu->paused, true, __ATOMIC_SEQ_CST);
	vcpu->was_paused = true;
	__interrupt(vcpu);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_resume(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	__atomic_store_n(&vcpu->paused, false, __ATOMIC_SEQ_CST);
	if (!vcpu->stop)
		__atomic_store_n(&vcpu->run->immediate_exit, 0,
				 __ATOMIC_RELEASE);
	pthread_cond_signal(&vcpu->released);
	pthread_mutex_unlock(&vcpu->lock);
}

bool vcpu_in_guest(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->in_guest, __ATOMIC_SEQ_CST);
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
	pthread_cond_destroy(&vcpu->released);
	pthread_mutex_destroy(&vcpu->lock);
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
