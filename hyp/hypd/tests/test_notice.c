// SPDX-License-Identifier: GPL-2.0-only
/* Log lines about budgets: few, and never without the last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/hypd/notice.h"
#include "hyp/util.h"

static int out, saved;

static int setup(void **state)
{
	(void)state;
	out = fileno(tmpfile());
	saved = dup(STDERR_FILENO);
	dup2(out, STDERR_FILENO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(out);
	return 0;
}

/* What has been said since the last time. */
static void assert_said(const char *text)
{
	static char said[4000];
	ssize_t n = pread(out, said, sizeof(said) - 1, 0);

	assert_true(n >= 0);
	said[n] = '\0';
	assert_int_equal(ftruncate(out, 0), 0);
	lseek(out, 0, SEEK_SET);
	assert_string_equal(said, text);
}

static void many_changes_are_few_lines_and_the_last_is_said(void **state)
{
	struct notice n = { 0 };
	uint64_t now = 50000, i;

	(void)state;
	notice_change(&n, "web", 100 * MIB, 50 * MIB, "one", now);
	assert_said("hyp: web: limit 100.0 -> 50.0 MiB: one\n");
	assert_true(notice_due_ms(&n) == UINT64_MAX);
	for (i = 0; i < 100; i++)
		notice_change(&n, "web", (50 + i) * MIB, (51 + i) * MIB,
			      i < 99 ? "more" : "last", now + i);
	assert_said("");
	assert_true(notice_due_ms(&n) == now + NOTICE_EVERY_MS);
	notice_flush(&n, "web", now + NOTICE_EVERY_MS);
	assert_said(
		"hyp: web: limit 50.0 -> 150.0 MiB in 100 changes, the last: last\n");
	assert_true(notice_due_ms(&n) == UINT64_MAX);
	notice_flush(&n, "web", now + 2 * NOTICE_EVERY_MS);
	assert_said("");
}

static void small_changes_add_up(void **state)
{
	struct notice n = { 0 };
	uint64_t now = 50000, i;

	(void)state;
	for (i = 0; i < 4; i++)
		notice_change(&n, "web", (64 + i) * MIB, (65 + i) * MIB, "more",
			      now);
	assert_said("");
	assert_true(notice_due_ms(&n) == UINT64_MAX);
	/* Who asks is told the last all the same. */
	assert_true(n.last_from == 67 * MIB && n.last_to == 68 * MIB);
	assert_string_equal(n.reason, "more");
	for (; i < 8; i++)
		notice_change(&n, "web", (64 + i) * MIB, (65 + i) * MIB, "more",
			      now);
	assert_said(
		"hyp: web: limit 64.0 -> 72.0 MiB in 8 changes, the last: more\n");
	/* And what is taken back is no line at all. */
	notice_change(&n, "web", 72 * MIB, 36 * MIB, "less", now + 1);
	notice_change(&n, "web", 36 * MIB, 72 * MIB, "more", now + 2);
	assert_true(notice_due_ms(&n) == UINT64_MAX);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(many_changes_are_few_lines_and_the_last_is_said),
		CASE(small_changes_add_up),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
