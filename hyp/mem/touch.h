/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A "vCPU" without KVM, for the simulator and for tests: a thread that touches
 * guest RAM and takes SIGBUS to mem_fault(), as a vCPU thread of hyp does, and
 * that changes the state table as a guest does.
 */
#ifndef HYP_MEM_TOUCH_H
#define HYP_MEM_TOUCH_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include <essa/step.h>

#include "hyp/mem/mem.h"

/* TSan blocks all signals in handlers, whatever SA_NODEFER says. */
#ifdef __SANITIZE_THREAD__
#define GUEST_SAVE_MASK 1
#else
#define GUEST_SAVE_MASK 0
#endif

static __thread sigjmp_buf guest_env;
static __thread volatile sig_atomic_t guest_armed;
static __thread void *volatile guest_addr;

static void guest_on_sigbus(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	if (!guest_armed) {
		signal(sig, SIG_DFL);
		return;
	}
	guest_armed = 0;
	guest_addr = info->si_addr;
	siglongjmp(guest_env, 1);
}

/* Ends an access that sleeps in the kernel, as a kick ends KVM_RUN. */
static void guest_on_kick(int sig)
{
	(void)sig;
	if (!guest_armed)
		return;
	guest_armed = 0;
	siglongjmp(guest_env, 2);
}

static inline void guest_init(void)
{
	struct sigaction sa = {
		.sa_sigaction = guest_on_sigbus,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	struct sigaction kick = {
		.sa_handler = guest_on_kick,
		.sa_flags = SA_NODEFER,
	};

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGUSR1, &kick, NULL);
}

enum guest_access { GUEST_OK, GUEST_DISCARDED, GUEST_GAVE_UP };

/* One 8-byte access; *val is what is read or written. */
static inline enum guest_access
guest_access(struct mem *mem, volatile uint64_t *p, uint64_t *val, int is_write)
{
	volatile int tries = 0;
	uint64_t gpa;
	int jump;

	for (;;) {
		jump = sigsetjmp(guest_env, GUEST_SAVE_MASK);
		if (!jump) {
			guest_armed = 1;
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
			if (is_write)
				*p = *val;
			else
				*val = *p;
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
			guest_armed = 0;
			return GUEST_OK;
		}
		if (jump == 2)
			return GUEST_GAVE_UP;
		switch (mem_fault(mem, guest_addr, &gpa)) {
		case MEM_FAULT_DISCARD:
			return GUEST_DISCARDED;
		case MEM_FAULT_RETRY:
			/* No fault loops, whatever the table says. */
			if (++tries > 1000)
				return GUEST_GAVE_UP;
			continue;
		default:
			abort();
		}
	}
}

/* Guest side of an operation: in place, ESSA_CMD_WAIT where it has to wait. */
static inline uint8_t guest_op(struct mem *mem, uint8_t *table, uint64_t gfn,
			       unsigned int op)
{
	uint8_t old = __atomic_load_n(&table[gfn], __ATOMIC_SEQ_CST);
	int next;

	for (;;) {
		next = essa_next(old, op);
		if (next == ESSA_WAIT) {
			if (mem_hypercall(mem, ESSA_CMD_WAIT, gfn, 1, false))
				return old;
			old = __atomic_load_n(&table[gfn], __ATOMIC_SEQ_CST);
			continue;
		}
		if (__atomic_compare_exchange_n(
			    &table[gfn], &old, (uint8_t)next, 0,
			    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return old;
	}
}

#endif /* HYP_MEM_TOUCH_H */
