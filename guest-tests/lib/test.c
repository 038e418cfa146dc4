// SPDX-License-Identifier: GPL-2.0-only
/* Reports: TAP 13 on the serial console, exit code 0 or 1. */
#include "guest-tests/lib/guest.h"

#define MAX_DIAGNOSTICS 8

/* Of the running test. */
static unsigned int failures;
static const char *skipped;

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (failures++ >= MAX_DIAGNOSTICS)
		return;
	print("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
}

void test_skip(const char *why)
{
	skipped = why;
}

_Noreturn void test_run(const struct test *tests, unsigned int nr)
{
	unsigned int failed = 0;
	unsigned int i;

	print("TAP version 13\n1..%u\n", nr);
	for (i = 0; i < nr; i++) {
		failures = 0;
		skipped = NULL;
		tests[i].fn(tests[i].arg);
		print("%s %u - %s%s%s\n", failures ? "not ok" : "ok", i + 1,
		      tests[i].name, skipped ? " # SKIP " : "",
		      skipped ? skipped : "");
		if (failures)
			failed++;
	}
	guest_exit(failed ? 1 : 0);
}

_Noreturn void bail_out(const char *fmt, ...)
{
	va_list ap;

	print("Bail out! ");
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	print("\n");
	guest_exit(1);
}

_Noreturn void skip_all(const char *why)
{
	print("TAP version 13\n1..0 # SKIP %s\n", why);
	guest_exit(4);
}
