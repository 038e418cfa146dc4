// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/vm/pause.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hyp/vm/priv.h"
#include "hyp/vm/watch.h"

const char *const vm_pause_names[VM_PAUSE_NR] = { "user", "swap" };

static bool __all_left(const struct vm *vm)
{
	unsigned int i;

	for (i = 0; vm->pause.vcpus_ready && i < vm->cfg->cpus; i++)
		if (vcpu_in_guest(vm->vcpus[i]))
			return false;
	return true;
}

static void on_left(void *ctx, uint32_t events)
{
	struct vm *vm = ctx;
	struct pause_state state;

	(void)events;
	loop_event_ack(vm->pause.left.fd);
	vm_pause_state(vm, &state);
	if (state.settled && vm->pause.settled)
		vm->pause.settled(vm->pause.settled_ctx);
	vm_news(vm);
}

void vm_pause_left(void *ctx)
{
	struct vm *vm = ctx;

	loop_event_set(vm->pause.left.fd);
}

static void __pause_vcpus(struct vm *vm)
{
	unsigned int i;

	for (i = 0; vm->pause.vcpus_ready && i < vm->cfg->cpus; i++)
		vcpu_pause(vm->vcpus[i]);
}

void vm_pause(struct vm *vm, enum vm_pause_reason reason)
{
	struct pause *p = &vm->pause;

	pthread_mutex_lock(&p->lock);
	if (!p->reasons) {
		p->count++;
		p->since_ms = now_ms();
		__pause_vcpus(vm);
	}
	p->reasons |= reason;
	pthread_mutex_unlock(&p->lock);
	/* None of them may have been in the guest. */
	vm_pause_left(vm);
	vm_news(vm);
}

void vm_resume(struct vm *vm, enum vm_pause_reason reason)
{
	struct pause *p = &vm->pause;
	unsigned int i;

	pthread_mutex_lock(&p->lock);
	if (p->reasons == reason) {
		p->past_ms += now_ms() - p->since_ms;
		for (i = 0; p->vcpus_ready && i < vm->cfg->cpus; i++)
			vcpu_resume(vm->vcpus[i]);
	}
	p->reasons &= ~reason;
	pthread_mutex_unlock(&p->lock);
	vm_news(vm);
}

void vm_pause_state(struct vm *vm, struct pause_state *out)
{
	struct pause *p = &vm->pause;

	pthread_mutex_lock(&p->lock);
	*out = (struct pause_state){
		.reasons = p->reasons,
		.settled = p->reasons && __all_left(vm),
		.count = p->count,
		.total_ms =
			p->past_ms + (p->reasons ? now_ms() - p->since_ms : 0),
	};
	pthread_mutex_unlock(&p->lock);
}

void vm_pause_vcpus(struct vm *vm, bool ready)
{
	pthread_mutex_lock(&vm->pause.lock);
	vm->pause.vcpus_ready = ready;
	if (ready && vm->pause.reasons)
		__pause_vcpus(vm);
	pthread_mutex_unlock(&vm->pause.lock);
}

void vm_pause_init(struct vm *vm)
{
	pthread_mutex_init(&vm->pause.lock, NULL);
	vm->pause.left = (struct loop_handler){ -1, on_left, vm };
}

int vm_pause_open(struct vm *vm, struct why *why)
{
	int err = loop_event();

	vm->pause.left.fd = err;
	if (err >= 0)
		err = loop_add(vm->loop, &vm->pause.left, EPOLLIN);
	return err ? why_set(why, err, "cannot create an eventfd") : 0;
}

void vm_pause_fini(struct vm *vm)
{
	if (vm->pause.left.fd >= 0)
		close(vm->pause.left.fd);
	pthread_mutex_destroy(&vm->pause.lock);
}
