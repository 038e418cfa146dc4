// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's life: set-up and teardown in order, its threads, why it stops.
 * Threads and lock order: see hyp/DESIGN.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hyp/sandbox.h"
#include "hyp/vm/control.h"
#include "hyp/vm/priv.h"

/* A vCPU thread ends within a disk access; longer means a bug. */
#define JOIN_TIMEOUT_MS 10000

/*
 * The first cause wins.  loop_quit() comes last: the loop's thread reads the
 * cause after it has seen the event.
 */
void vm_stop(void *ctx, int code, const char *what)
{
	struct vm *vm = ctx;

	if (__atomic_exchange_n(&vm->stopping, true, __ATOMIC_ACQ_REL))
		return;
	vm->stop_code = code;
	if (what)
		why_set(&vm->stop_why, 0, "%s", what);
	loop_quit(vm->loop);
}

/* Device threads first; the vCPUs' wait at the gate until all is confined. */
static int start_threads(struct vm *vm, struct why *why)
{
	unsigned int i;
	int err;

	pthread_mutex_lock(&vm->gate);
	err = vm_start_reports(vm);
	if (!err)
		err = vm_start_devices(vm);
	for (i = 0; !err && i < vm->cfg->cpus; i++)
		err = vcpu_start(vm->vcpus[i]);
	vm_pause_vcpus(vm, true);
	mem_bear_trouble(vm->mem, true);
	if (err)
		why_set(why, err, "cannot start the threads");
	else
		err = sandbox_finish(why);
	if (err)
		vm_stop(vm, EXIT_HYP_FAILED, why->text);
	for (i = 0; err && i < vm->cfg->cpus; i++)
		vcpu_kick(vm->vcpus[i]); /* before they run a guest at all */
	pthread_mutex_unlock(&vm->gate);
	return err;
}

/* A thread that does not end may still use anything: no orderly way out. */
static void give_up(struct vm *vm, const char *what, unsigned int index)
{
	if (vm->stop_why.text[0])
		log_line("%s", vm->stop_why.text);
	log_line("%s %u does not stop; giving up", what, index);
	_exit(EXIT_HYP_FAILED);
}

/*
 * vCPUs first: until the last of them has ended, it may wait for a disk, the
 * pager or reclaim.  Then the devices, which only wait for memory.
 */
static void stop_threads(struct vm *vm)
{
	const char *device;
	unsigned int i;

	/* Who sleeps until there is space would not end. */
	mem_bear_trouble(vm->mem, false);
	for (i = 0; i < vm->cfg->cpus; i++)
		vcpu_kick(vm->vcpus[i]);
	for (i = 0; i < vm->cfg->cpus; i++)
		if (vcpu_join(vm->vcpus[i], JOIN_TIMEOUT_MS))
			give_up(vm, "vcpu", i);
	vm_pause_vcpus(vm, false);
	device = vm_stop_devices(vm, JOIN_TIMEOUT_MS);
	if (device)
		give_up(vm, device, 0);
}

int vm_run(struct vm *vm, struct why *why)
{
	int err;

	vm->start_ms = now_ms();
	start_threads(vm, why);
	err = loop_run(vm->loop);
	if (err)
		vm_stop(vm, EXIT_HYP_FAILED, "the event loop failed");
	stop_threads(vm);
	console_flush(vm->console);
	if (vm_finish_reports(vm, why))
		return EXIT_HYP_FAILED;
	if (vm->stop_why.text[0])
		why_set(why, 0, "%s", vm->stop_why.text);
	return vm->stop_code;
}

/*
 * All signals are blocked, in this thread and those it will create: they are
 * read from the signalfd, or opened inside KVM_RUN.
 */
static void block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

int vm_create(struct vm **out, const struct config *cfg, struct why *why)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return why_set(why, -ENOMEM, "VM");
	vm->cfg = cfg;
	vm->share = cfg->share;
	vm->signals.fd = vm->timeout.fd = vm->stats_tick.fd = -1;
	pthread_mutex_init(&vm->gate, NULL);
	vm_pause_init(vm);
	block_signals();
	/*
	 * One heap for all threads: those of others are 64 MiB of addresses
	 * each, and to shrink one glibc opens a file, which no filter allows.
	 */
	mallopt(M_ARENA_MAX, 1);
	vm->start_ms = now_ms();
	err = loop_create(&vm->loop);
	if (err) {
		why_set(why, err, "cannot create the event loop");
		goto err_destroy;
	}
	err = vm_pause_open(vm, why);
	if (err)
		goto err_destroy;
	/* While there is one thread: they fork. */
	err = vm_open_control(vm, why);
	if (!err)
		err = vm_open_channels(vm, why);
	if (err)
		goto err_destroy;
	if (cfg->sandbox)
		err = sandbox_prepare(cfg->test_hooks, why);
	if (err)
		goto err_destroy;
	err = kvm_create(&vm->kvm, why);
	if (err)
		goto err_destroy;
	err = vm_build(vm, why);
	if (err)
		goto err_destroy;
	err = vm_open_reports(vm, why);
	if (err)
		goto err_destroy;
	err = vm_serve_control(vm, why);
	if (err)
		goto err_destroy;
	*out = vm;
	return 0;

err_destroy:
	/*
	 * When memory gives up, the loader only sees -ECANCELED.  The true
	 * cause may come from a thread of mem: read it when they have ended.
	 */
	if (vm->mem_started)
		mem_stop(vm->mem);
	vm->mem_started = false;
	if (vm->stop_why.text[0])
		*why = vm->stop_why;
	vm_destroy(vm);
	return err;
}

void vm_destroy(struct vm *vm)
{
	unsigned int i;

	if (!vm)
		return;
	for (i = 0; i < vm->cfg->cpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vm_destroy_devices(vm);
	if (vm->mem_started)
		mem_stop(vm->mem);
	kvm_destroy(vm->kvm);
	if (vm->info)
		munmap(vm->info, vm->info_bytes);
	mem_destroy(vm->mem);
	vm_close_reports(vm);
	vm_close_channels(vm);
	/* Last: who waits for the end of the connection finds the VM gone. */
	vm_close_control(vm);
	vm_pause_fini(vm);
	loop_destroy(vm->loop);
	pthread_mutex_destroy(&vm->gate);
	free(vm);
}
