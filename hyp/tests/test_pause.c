// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pausing: real vCPU threads on a KVM that is played by ioctl() below.  Its guest
 * counts, and KVM_RUN ends as KVM's does: at once with immediate_exit, later by
 * a signal that is pending.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/kvm/vcpu_priv.h"
#include "hyp/vm/priv.h"

#define NR_VCPUS  3
#define RUN_BYTES 4096
#define NR_ROUNDS 300

struct rig {
	struct vm vm;
	struct kvm kvm;
	struct config cfg;
	int pending_fd;
	uint64_t progress;	/* atomic: instructions of the guest */
	unsigned int told;	/* atomic: KVM_KVMCLOCK_CTRL */
	unsigned int immediate; /* atomic: KVM_RUN that did not run */
	struct kvm_run *runs[NR_VCPUS];
	int fds[NR_VCPUS];
};

static struct rig *rig;

static int run_guest(int fd)
{
	struct pollfd pending = { .fd = rig->pending_fd, .events = POLLIN };
	struct kvm_run *run = NULL;
	unsigned int i;

	for (i = 0; i < NR_VCPUS; i++)
		if (rig->fds[i] == fd)
			run = rig->runs[i];
	errno = EINTR;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add(&rig->immediate, 1, __ATOMIC_RELAXED);
		return -1;
	}
	while (!poll(&pending, 1, 0))
		__atomic_fetch_add(&rig->progress, 1, __ATOMIC_SEQ_CST);
	errno = EINTR;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	int memfd;

	switch (request) {
	case KVM_CREATE_VCPU:
		memfd = memfd_create("vcpu", MFD_CLOEXEC);
		assert_int_equal(ftruncate(memfd, RUN_BYTES), 0);
		return memfd;
	case KVM_SET_MSRS:
		return 2;
	case KVM_GET_STATS_FD:
		errno = ENOTTY;
		return -1;
	case KVM_KVMCLOCK_CTRL:
		__atomic_fetch_add(&rig->told, 1, __ATOMIC_RELAXED);
		return 0;
	case KVM_RUN:
		return run_guest(fd);
	default:
		return 0;
	}
}

static int setup(void **state)
{
	struct kvm_cpuid2 cpuid = { 0 };
	struct why why = { "" };
	unsigned int i;
	sigset_t set;

	rig = calloc(1, sizeof(*rig));
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	rig->pending_fd = signalfd(-1, &set, SFD_CLOEXEC);
	rig->kvm.run_bytes = RUN_BYTES;
	rig->cfg.cpus = NR_VCPUS;
	rig->vm.cfg = &rig->cfg;
	rig->vm.env.kvm = &rig->kvm;
	rig->vm.env.gate = &rig->vm.gate;
	rig->vm.env.left = vm_pause_left;
	rig->vm.env.ctx = &rig->vm;
	pthread_mutex_init(&rig->vm.gate, NULL);
	assert_int_equal(loop_create(&rig->vm.loop), 0);
	vm_pause_init(&rig->vm);
	assert_int_equal(vm_pause_open(&rig->vm, &why), 0);
	for (i = 0; i < NR_VCPUS; i++) {
		struct vcpu **v = &rig->vm.vcpus[i];

		assert_int_equal(vcpu_create(v, &rig->vm.env, i, &cpuid, &why),
				 0);
		rig->runs[i] = (*v)->run;
		rig->fds[i] = (*v)->fd;
	}
	*state = rig;
	return 0;
}

static void start(void)
{
	unsigned int i;

	pthread_mutex_lock(&rig->vm.gate);
	for (i = 0; i < NR_VCPUS; i++)
		assert_int_equal(vcpu_start(rig->vm.vcpus[i]), 0);
	vm_pause_vcpus(&rig->vm, true);
	pthread_mutex_unlock(&rig->vm.gate);
}

static void stop(void)
{
	unsigned int i;

	for (i = 0; i < NR_VCPUS; i++)
		vcpu_kick(rig->vm.vcpus[i]);
	for (i = 0; i < NR_VCPUS; i++)
		assert_int_equal(vcpu_join(rig->vm.vcpus[i], 60000), 0);
	vm_pause_vcpus(&rig->vm, false);
}

static int teardown(void **state)
{
	unsigned int i;

	(void)state;
	stop();
	for (i = 0; i < NR_VCPUS; i++)
		vcpu_destroy(rig->vm.vcpus[i]);
	vm_pause_fini(&rig->vm);
	loop_destroy(rig->vm.loop);
	close(rig->pending_fd);
	free(rig);
	return 0;
}

static uint64_t progress(void)
{
	return __atomic_load_n(&rig->progress, __ATOMIC_SEQ_CST);
}

static void assert_runs(void)
{
	uint64_t before = progress();

	while (progress() == before)
		sched_yield();
}

static void on_settled(void *ctx)
{
	loop_quit(ctx);
}

/* The loop's quit event stays set: every wait has a loop of its own. */
static void wait_until_settled(void)
{
	struct loop *loop;

	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(loop_add(loop, &rig->vm.pause.left, EPOLLIN), 0);
	rig->vm.pause.settled = on_settled;
	rig->vm.pause.settled_ctx = loop;
	vm_pause_left(&rig->vm); /* it may have been before */
	assert_int_equal(loop_run(loop), 0);
	loop_destroy(loop);
}

static void assert_stands(void)
{
	struct pause_state state;
	uint64_t before;
	int i;

	vm_pause_state(&rig->vm, &state);
	assert_true(state.settled);
	before = progress();
	for (i = 0; i < 1000; i++)
		sched_yield();
	assert_int_equal(progress(), before);
}

static void a_paused_guest_stands_and_a_resumed_one_runs(void **state)
{
	(void)state;
	start();
	assert_runs();
	vm_pause(&rig->vm, VM_PAUSE_USER);
	wait_until_settled();
	assert_stands();
	assert_int_equal(__atomic_load_n(&rig->told, __ATOMIC_RELAXED), 0);
	vm_resume(&rig->vm, VM_PAUSE_USER);
	/* Once each, before it runs on. */
	while (__atomic_load_n(&rig->told, __ATOMIC_RELAXED) < NR_VCPUS)
		sched_yield();
	assert_runs();
	stop();
	assert_int_equal(rig->told, NR_VCPUS);
}

static void the_last_reason_that_goes_lets_it_run(void **state)
{
	struct pause_state now;

	(void)state;
	start();
	vm_pause(&rig->vm, VM_PAUSE_USER);
	vm_pause(&rig->vm, VM_PAUSE_SWAP);
	vm_pause(&rig->vm, VM_PAUSE_USER);
	wait_until_settled();
	vm_resume(&rig->vm, VM_PAUSE_USER);
	vm_resume(&rig->vm, VM_PAUSE_USER);
	assert_stands();
	vm_pause_state(&rig->vm, &now);
	assert_int_equal(now.reasons, VM_PAUSE_SWAP);
	assert_int_equal(now.count, 1);
	vm_resume(&rig->vm, VM_PAUSE_SWAP);
	assert_runs();
	vm_resume(&rig->vm, VM_PAUSE_SWAP);
	assert_runs();
	vm_pause_state(&rig->vm, &now);
	assert_int_equal(now.reasons, 0);
	assert_false(now.settled);
}

static void a_pause_before_the_start_holds(void **state)
{
	(void)state;
	vm_pause(&rig->vm, VM_PAUSE_SWAP);
	start();
	wait_until_settled();
	assert_stands();
	assert_int_equal(progress(), 0);
	vm_resume(&rig->vm, VM_PAUSE_SWAP);
	assert_runs();
}

static void a_paused_guest_can_be_stopped(void **state)
{
	(void)state;
	start();
	vm_pause(&rig->vm, VM_PAUSE_USER);
	wait_until_settled();
	assert_stands(); /* and all of them sleep by now */
	stop();
	/* Not to be told about a gap that it never sees. */
	assert_int_equal(rig->told, 0);
	vm_resume(&rig->vm, VM_PAUSE_USER);
	vm_pause(&rig->vm, VM_PAUSE_USER);
	wait_until_settled();
}

static void *pause_and_resume(void *arg)
{
	const enum vm_pause_reason *reason = arg;
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		vm_pause(&rig->vm, *reason);
		vm_resume(&rig->vm, *reason);
	}
	return NULL;
}

static void reasons_that_race_leave_a_guest_that_runs(void **state)
{
	static enum vm_pause_reason reasons[] = { VM_PAUSE_USER,
						  VM_PAUSE_SWAP };
	pthread_t threads[ARRAY_SIZE(reasons)];
	struct pause_state now;
	unsigned int i, before;

	(void)state;
	start();
	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						pause_and_resume, &reasons[i]),
				 0);
	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		pthread_join(threads[i], NULL);
	assert_runs();
	vm_pause_state(&rig->vm, &now);
	assert_int_equal(now.reasons, 0);
	/* None is left behind with an immediate exit, or spins in them. */
	for (i = 0; i < NR_VCPUS; i++)
		assert_int_equal(rig->runs[i]->immediate_exit, 0);
	before = __atomic_load_n(&rig->immediate, __ATOMIC_RELAXED);
	assert_runs();
	assert_true(__atomic_load_n(&rig->immediate, __ATOMIC_RELAXED) -
			    before <=
		    NR_VCPUS);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_paused_guest_stands_and_a_resumed_one_runs),
		CASE(the_last_reason_that_goes_lets_it_run),
		CASE(a_pause_before_the_start_holds),
		CASE(a_paused_guest_can_be_stopped),
		CASE(reasons_that_race_leave_a_guest_that_runs),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
