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

#include "hyp/mem/touch.h"

#define MIB (1ull << 20)
#define KIB (1ull << 10)

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

#endif /* HYP_MEM_TESTS_GUEST_H */
