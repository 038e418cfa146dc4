// SPDX-License-Identifier: GPL-2.0-only
/* Accesses that end in SIGBUS; see touch.h. */
#include "hyp/mem/touch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

/* TSan blocks all signals in handlers, whatever SA_NODEFER says. */
#ifdef __SANITIZE_THREAD__
#define GUEST_SAVE_MASK 1
#else
#define GUEST_SAVE_MASK 0
#endif
/* Guests race on their memory with each other, devices and the host. */
#define RACY __attribute__((no_sanitize("thread")))

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

void guest_init(void)
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

RACY enum guest_access guest_access(struct mem *mem, volatile uint64_t *p,
				    uint64_t *val, int is_write)
{
	volatile int tries = 0;
	uint64_t gpa, since;
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
		since = mem_clock_ns();
		switch (mem_fault(mem, guest_addr, &gpa)) {
		case MEM_FAULT_DISCARD:
			mem_note_discard(mem, since);
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
