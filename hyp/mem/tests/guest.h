/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A "vCPU" for tests: a thread that touches guest RAM and takes SIGBUS to
 * mem_fault(), as a vCPU thread of hyp does.
 */
#ifndef HYP_MEM_TESTS_GUEST_H
#define HYP_MEM_TESTS_GUEST_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <essa/step.h>

#include "hyp/mem/mem.h"

#define MIB (1ull << 20)
#define KIB (1ull << 10)

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

static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	/* The low bits alone are a function of the last low bits. */
	return (*s * 0x2545f4914f6cdd1dull) >> 8;
}

static inline uint64_t test_seed(void)
{
	const char *env = getenv("SEED");
	uint64_t seed = env ? strtoull(env, NULL, 0) :
			      (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();

	if (!seed)
		seed = 1;
	printf("# SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline const char *swap_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir ? dir : "/tmp";
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

#endif /* HYP_MEM_TESTS_GUEST_H */
