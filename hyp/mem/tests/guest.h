/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests that touch guest RAM (hyp/mem/touch.h) need beside: seeds, time. */
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

#include <essa/random.h>

#include "hyp/mem/touch.h"

#define MIB (1ull << 20)
#define KIB (1ull << 10)

static inline uint64_t rnd(uint64_t *s)
{
	struct rng r = { *s };
	uint64_t v = rng_next(&r);

	*s = r.s;
	return v >> 8;
}

/* Of all threads: the first few failures are told, all are counted. */
#define CHECK(run, cond, ...)                                                  \
	do {                                                                   \
		if (!(cond) && atomic_fetch_add(&(run)->failures, 1) < 5) {    \
			printf("# " __VA_ARGS__);                              \
			printf("\n");                                          \
		}                                                              \
	} while (0)

static inline uint64_t stress_ms(void)
{
	const char *env = getenv("STRESS_MS");

	return env ? strtoull(env, NULL, 0) : 2000;
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

#endif /* HYP_MEM_TESTS_GUEST_H */
