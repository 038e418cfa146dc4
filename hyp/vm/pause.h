/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeping the guest from running, for reasons that do not know of each other.
 *
 * The guest runs while there is no reason.  Devices go on: a request that is
 * under way ends, and its interrupt waits for the guest.  So does the guest's
 * time: it finds its clock ahead, as after a suspend.
 */
#ifndef HYP_VM_PAUSE_H
#define HYP_VM_PAUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hyp/loop.h"
#include "hyp/util.h"

struct vm;

/** enum vm_pause_reason - one bit each; names in vm_pause_names[] */
enum vm_pause_reason {
	VM_PAUSE_USER = 1 << 0, /* somebody asked for it */
	VM_PAUSE_SWAP = 1 << 1, /* memory waits for space on the host */
};

#define VM_PAUSE_NR 2

extern const char *const vm_pause_names[VM_PAUSE_NR];

/** struct pause - part of struct vm */
struct pause {
	pthread_mutex_t lock; /* of all below but @left and @settled */
	bool vcpus_ready;
	unsigned int reasons;
	uint64_t count;		    /* of times that it was made to pause */
	uint64_t since_ms, past_ms; /* this time; all times before */
	struct loop_handler left;   /* eventfd: look whether all have left */
	/* A pause is complete (loop's thread); set before the loop runs. */
	void (*settled)(void *ctx);
	void *settled_ctx;
};

/** struct pause_state - of one moment */
struct pause_state {
	unsigned int reasons; /* 0: runs */
	bool settled;	      /* no instruction of the guest is executed */
	uint64_t count, total_ms;
};

/**
 * vm_pause() - the guest is not to run, for one reason more
 * @vm:     VM
 * @reason: one; nothing happens if it is there already
 *
 * Returns at once: vCPUs are still on their way out of the guest, pause.settled
 * is called when all are.  Before the vCPUs exist it keeps them from starting,
 * once they have ended it only notes the reason.  A VM that is paused can be
 * stopped.
 * Context: any thread; takes pause.lock and vCPU locks, which are leaves.
 */
void vm_pause(struct vm *vm, enum vm_pause_reason reason);

/** vm_resume() - take a reason away; the guest runs if it was the last one */
void vm_resume(struct vm *vm, enum vm_pause_reason reason);

/** vm_pause_state() - any thread */
void vm_pause_state(struct vm *vm, struct pause_state *out);

/**
 * vm_pause_vcpus() - the vCPUs have been started, or have been joined
 * @vm:    VM
 * @ready: they may be paused; otherwise they are not touched any more
 */
void vm_pause_vcpus(struct vm *vm, bool ready);

/** vm_pause_left() - struct vcpu_env.left; @ctx is a struct vm */
void vm_pause_left(void *ctx);

/** vm_pause_init() - before anybody can pause */
void vm_pause_init(struct vm *vm);

/** vm_pause_open() - with the event loop. Return: 0 or a negative errno. */
int vm_pause_open(struct vm *vm, struct why *why);

/** vm_pause_fini() - nobody can pause any more */
void vm_pause_fini(struct vm *vm);

#endif /* HYP_VM_PAUSE_H */
