// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Enough to diagnose a driver; a hostile guest must not fill the host's disk. */
#define LOG_GUEST_LINES 10

int why_set(struct why *why, int err, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	if (!why->text[0]) {
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
		used = strlen(why->text);
		if (err)
			snprintf(why->text + used, sizeof(why->text) - used,
				 ": %s", strerror(-err));
	}
	return err ? err : -EINVAL;
}

/* Set before there is another thread. */
static const char *program = "hyp";

void log_as(const char *name)
{
	program = name;
}

__attribute__((format(printf, 1, 0))) static void vlog(const char *fmt,
						       va_list ap)
{
	char line[1200];
	size_t prefix, len;
	ssize_t ignored;

	snprintf(line, sizeof(line), "%s: ", program);
	prefix = strlen(line);
	vsnprintf(line + prefix, sizeof(line) - prefix - 1, fmt, ap);
	len = strlen(line);
	line[len++] = '\n';
	ignored = write(STDERR_FILENO, line, len);
	(void)ignored; /* nowhere left to complain */
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(fmt, ap);
	va_end(ap);
}

void log_guest(struct ratelimit *rl, const char *fmt, ...)
{
	uint64_t nr = __atomic_fetch_add(&rl->used, 1, __ATOMIC_RELAXED);
	va_list ap;

	if (nr < LOG_GUEST_LINES) {
		va_start(ap, fmt);
		vlog(fmt, ap);
		va_end(ap);
	} else if (nr == LOG_GUEST_LINES) {
		log_line("further lines of this kind are suppressed");
	}
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
