// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wide operations do to each byte what a single one does: all uniform words,
 * and random mixtures; and beside a thread that changes host bits, nothing of
 * either side is lost.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <essa/random.h>

#include "essa-emu/emu/batch.h"

#define WIDE 16u

static void compare(const uint8_t *before, unsigned int width, unsigned int op)
{
	uint8_t wide[WIDE] __attribute__((aligned(16)));
	uint8_t single[WIDE];
	unsigned int i;
	int wait = 0;
	int ret;

	memcpy(wide, before, WIDE);
	memcpy(single, before, WIDE);
	for (i = 0; i < width; i++)
		if (batch_op_one(&single[i], op) == ESSA_WAIT)
			wait = ESSA_WAIT;
	ret = width == 8 ? batch_op_word(wide, op) : batch_op_pair(wide, op);
	assert_int_equal(ret, wait);
	/* All or nothing: whoever has to wait does the rest one by one. */
	assert_memory_equal(wide, wait ? before : single, WIDE);
}

static void wide_operations_are_single_ones_side_by_side(void **s)
{
	static const unsigned int ops[] = { ESSA_OP_SET_STABLE,
					    ESSA_OP_SET_UNUSED,
					    ESSA_OP_SET_VOLATILE,
					    ESSA_OP_SET_STABLE_IF_KEPT };
	uint8_t before[WIDE];
	struct rng rng = { 1 };
	unsigned int byte, op, o, i, n;

	(void)s;
	for (o = 0; o < 4; o++) {
		op = ops[o];
		for (byte = 0; byte < 256; byte++) {
			memset(before, (int)byte, sizeof(before));
			compare(before, 8, op);
			compare(before, 16, op);
		}
		for (n = 0; n < 20000; n++) {
			uint8_t mask = n & 1 ? 0xff : (uint8_t)~ESSA_BUSY;

			for (i = 0; i < WIDE; i++)
				before[i] = (uint8_t)(rng_next(&rng) >> 40) &
					    mask;
			compare(before, 8, op);
			compare(before, 16, op);
		}
	}
}

#define ROUNDS 300000u

static uint32_t host_done;
static uint8_t shared[WIDE] __attribute__((aligned(64)));

/* Changes content bits of one byte, as page-out and page-in do. */
static void *host_thread(void *arg)
{
	const char *why = NULL;
	uint64_t flips = 0;
	uint8_t old, next;

	(void)arg;
	while (flips < ROUNDS) {
		old = __atomic_load_n(&shared[5], __ATOMIC_RELAXED);
		next = (old & ~ESSA_CONTENT_MASK) |
		       (flips & 1 ? ESSA_RESIDENT : ESSA_PRESERVED);
		/* Nobody but this thread changes the content. */
		if ((old & ESSA_CONTENT_MASK) !=
		    (flips & 1 ? ESSA_PRESERVED : ESSA_RESIDENT)) {
			why = "the content that was set is not there";
			break;
		}
		flips += __atomic_compare_exchange_n(&shared[5], &old, next, 0,
						     __ATOMIC_SEQ_CST,
						     __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&host_done, 1, __ATOMIC_RELAXED);
	return (void *)why;
}

/* Threads that take turns on one processor never meet inside an operation. */
static void pin(pthread_t thread, unsigned int nth)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !nth--)
			break;
	if (cpu == CPU_SETSIZE)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

static void wide_operations_keep_the_bits_of_the_host(void **s)
{
	static const unsigned int ops[] = { ESSA_OP_SET_UNUSED,
					    ESSA_OP_SET_STABLE };
	static const uint8_t usage[] = { ESSA_UNUSED, ESSA_STABLE };
	pthread_t host;
	uint64_t wrong = 0;
	uint64_t word;
	unsigned int n;
	void *why;

	(void)s;
	memset(shared, 0, sizeof(shared));
	assert_int_equal(pthread_create(&host, NULL, host_thread, NULL), 0);
	/* In this order: the second processor of those that main() may use. */
	pin(host, 1);
	pin(pthread_self(), 0);
	for (n = 0; !__atomic_load_n(&host_done, __ATOMIC_RELAXED); n++) {
		if (n & 4)
			batch_op_word(shared, ops[n % 2]);
		else
			batch_op_pair(shared, ops[n % 2]);
		word = __atomic_load_n((uint64_t *)shared, __ATOMIC_RELAXED);
		wrong |= (word & ESSA_LANES(ESSA_USAGE_MASK)) ^
			 ESSA_LANES(usage[n % 2]);
	}
	pthread_join(host, &why);
	if (why)
		fail_msg("%s", (const char *)why);
	assert_true(!wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wide_operations_are_single_ones_side_by_side),
		cmocka_unit_test(wide_operations_keep_the_bits_of_the_host),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
