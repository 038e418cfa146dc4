// SPDX-License-Identifier: GPL-2.0-only
/* The recorder: what is recorded comes back, in order, and errors come once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <essa/abi.h>

#include "essa-emu/trace/trace.h"
#include "hyp/record.h"

#define NR_FRAMES 65536u

struct failures {
	_Atomic int calls;
	_Atomic int err;
};

static void on_fail(void *ctx, int err)
{
	struct failures *f = ctx;

	atomic_fetch_add(&f->calls, 1);
	atomic_store(&f->err, err);
}

static struct record *begin(char *path, struct failures *f)
{
	struct why why = { "" };
	struct record *rec;
	int fd;

	strcpy(path, "/tmp/hyp-record-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(record_create(&rec, path, NR_FRAMES, &why), 0);
	assert_int_equal(record_start(rec, on_fail, f), 0);
	return rec;
}

static struct trace *end(struct record *rec, const char *path, uint64_t *nr)
{
	const char *why = "?";
	struct trace *t;

	assert_int_equal(record_finish(rec, nr), 0);
	record_destroy(rec);
	assert_int_equal(trace_load(&t, path, &why), 0);
	unlink(path);
	return t;
}

static void more_than_the_buffer_comes_back_in_order(void **s)
{
	const uint64_t nr = 100000;
	struct failures f = { 0 };
	struct trace_cursor cur;
	struct trace_event ev;
	struct record *rec;
	struct trace *t;
	uint64_t i, ops;
	char path[40];

	(void)s;
	rec = begin(path, &f);
	for (i = 0; i < nr; i++) {
		record_call(rec, ESSA_CMD_OP + ESSA_OP_SET_UNUSED,
			    i % NR_FRAMES, 1, 1 << 8);
		if (i % 1000 == 0)
			record_disk_write(rec, 1, i, 16);
	}
	t = end(rec, path, &ops);
	assert_int_equal(ops, nr);
	trace_rewind(&cur, t);
	for (i = 0; i < nr; i++) {
		assert_int_equal(trace_next(&cur, &ev), 1);
		assert_int_equal(ev.kind, ESSA_OP_SET_UNUSED);
		assert_int_equal(ev.gfn, i % NR_FRAMES);
		if (i % 1000)
			continue;
		assert_int_equal(trace_next(&cur, &ev), 1);
		assert_int_equal(ev.kind, TRACE_DISK);
		assert_int_equal(ev.gfn, 1ull << TRACE_DISK_SHIFT | i);
		assert_int_equal(ev.nr, 16);
	}
	assert_int_equal(trace_next(&cur, &ev), 0);
	assert_int_equal(atomic_load(&f.calls), 0);
	trace_free(t);
}

/* What a hostile guest may pass; and what the trace is to have of it. */
static void only_what_was_done_is_recorded(void **s)
{
	static const struct {
		uint64_t cmd, gfn, nr;
		int32_t ret;
		uint64_t kind, want; /* want: frames; 0: no event */
	} c[] = {
		{ ESSA_CMD_ENABLE, 1, 3, 0, TRACE_MARK, 1 },
		{ ESSA_CMD_ENABLE, 9, 3, -EINVAL, 0, 0 },
		{ ESSA_OP_SET_STABLE, 5, 8, 3 << 8, ESSA_OP_SET_STABLE, 3 },
		{ ESSA_OP_SET_STABLE, 5, 8, -EINVAL, 0, 0 },
		{ ESSA_OP_SET_STABLE, 5, 8, -ENOSYS, 0, 0 },
		{ ESSA_OP_GET, 5, 8, 8 << 8, 0, 0 },
		/* Not done by the slow path: the guest does it in place. */
		{ ESSA_OP_SET_PENDING, 5, 1, -ENOSYS, ESSA_OP_SET_PENDING, 1 },
		{ ESSA_OP_COMMIT_VOLATILE, 5, 1, 1 << 8,
		  ESSA_OP_COMMIT_VOLATILE, 1 },
		{ ESSA_OP_SET_PENDING, NR_FRAMES, 1, -ENOSYS, 0, 0 },
		{ ESSA_OP_SET_PENDING, UINT64_MAX, 2, -ENOSYS, 0, 0 },
		{ ESSA_OP_SET_PENDING, 1, UINT64_MAX, -ENOSYS, 0, 0 },
		{ ESSA_OP_SET_PENDING, 1, 0, -ENOSYS, 0, 0 },
		{ ESSA_NR_OPS, 1, 1, -ENOSYS, 0, 0 },
		{ ESSA_CMD_WAIT, 1, 1, 0, 0, 0 },
		{ UINT64_MAX, 1, 1, -ENOSYS, 0, 0 },
		{ ESSA_CMD_DISABLE, 0, 0, 0, TRACE_MARK, 1 },
	};
	struct failures f = { 0 };
	struct trace_cursor cur;
	struct trace_event ev;
	struct record *rec;
	struct trace *t;
	char path[40];
	uint64_t ops;
	size_t i;

	(void)s;
	rec = begin(path, &f);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		record_call(rec, c[i].cmd, c[i].gfn, c[i].nr, c[i].ret);
	t = end(rec, path, &ops);
	trace_rewind(&cur, t);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		if (!c[i].want)
			continue;
		assert_int_equal(trace_next(&cur, &ev), 1);
		assert_int_equal(ev.kind, c[i].kind);
		assert_int_equal(ev.nr, c[i].want);
	}
	assert_int_equal(trace_next(&cur, &ev), 0);
	trace_free(t);
}

static void full_disk_is_told_once_and_holds_nobody_up(void **s)
{
	struct failures f = { 0 };
	struct record *rec;
	uint64_t rnd = 1;
	char path[40];
	uint64_t i, nr;
	int fd, full;

	(void)s;
	rec = begin(path, &f);
	/* Behind its back, the recorder's file becomes a full disk. */
	full = open("/dev/full", O_WRONLY);
	assert_true(full >= 0);
	for (fd = full - 1; fd > 2; fd--) {
		char link[64], target[64] = "";

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) > 0 &&
		    !strcmp(target, path))
			break;
	}
	assert_true(fd > 2);
	assert_int_equal(dup2(full, fd), fd);
	close(full);
	/* Far more than the buffers hold, and nothing that compresses. */
	for (i = 0; i < 500000; i++) {
		rnd ^= rnd << 13;
		rnd ^= rnd >> 7;
		rnd ^= rnd << 17;
		record_call(rec, ESSA_CMD_OP + ESSA_OP_SET_STABLE,
			    rnd % NR_FRAMES, 1, 1 << 8);
	}
	assert_int_equal(record_finish(rec, &nr), -ENOSPC);
	record_destroy(rec);
	assert_int_equal(atomic_load(&f.calls), 1);
	assert_int_equal(atomic_load(&f.err), -ENOSPC);
	unlink(path);
}

static void file_that_cannot_be_made_is_one_line(void **s)
{
	struct why why = { "" };
	struct record *rec;

	(void)s;
	assert_int_equal(record_create(&rec, "/nowhere/trace", NR_FRAMES, &why),
			 -ENOENT);
	assert_non_null(strstr(why.text, "/nowhere/trace"));
	memset(&why, 0, sizeof(why));
	assert_int_equal(record_create(&rec, "/dev/full", NR_FRAMES, &why),
			 -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_the_buffer_comes_back_in_order),
		cmocka_unit_test(only_what_was_done_is_recorded),
		cmocka_unit_test(full_disk_is_told_once_and_holds_nobody_up),
		cmocka_unit_test(file_that_cannot_be_made_is_one_line),
	};

	alarm(120);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
