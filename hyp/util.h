/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Error text for the user, and log lines a guest cannot flood the host with.
 */
#ifndef HYP_UTIL_H
#define HYP_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

/** struct why - one line that says what failed and what to do about it */
struct why {
	char text[320];
};

/**
 * why_set() - fill in the line, unless an earlier cause is already there
 * @why: the line; begins as all zeros
 * @err: negative errno, appended in words; 0 appends nothing
 * @fmt: printf format without newline
 *
 * Return: @err, or -EINVAL if @err is 0, so that a caller can return it.
 */
int why_set(struct why *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** struct ratelimit - a budget of log lines; zero-initialised */
struct ratelimit {
	uint64_t used; /* atomic */
};

/** log_as() - lines begin with @name instead of "hyp"; before other threads */
void log_as(const char *name);

/**
 * log_line() - write "hyp: ..." to standard error with one write(2)
 * @fmt: printf format without newline
 */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * log_guest() - log something that a guest can cause at will
 * @rl:  budget of the source: ten lines for the life of the VM
 * @fmt: printf format without newline
 */
void log_guest(struct ratelimit *rl, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * now_ms() - milliseconds on the monotonic clock
 */
uint64_t now_ms(void);

#endif /* HYP_UTIL_H */
