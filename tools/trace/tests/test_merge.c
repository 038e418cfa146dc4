// SPDX-License-Identifier: GPL-2.0-only
/* From a recording and samples to a trace: what is kept, added, refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-tests/linux/idlewatch.h"
#include "tools/trace/merge.h"

#define NR_FRAMES 64u
#define SECTORS	  (SAMPLE_BYTES(NR_FRAMES) / 512)
#define DISK1	  (1ull << TRACE_DISK_SHIFT)
#define ARRAY(a)  (a), sizeof(a) / sizeof((a)[0])

/* Frames 8 to 63 are free when the interface is enabled. */
#define BOOT                                                                   \
	{ 0, TRACE_PHASE_ENABLE, 1, TRACE_MARK },                              \
	{                                                                      \
		0, 8, 56, ESSA_OP_SET_UNUSED                                   \
	}

struct files {
	char samples[40], out[40];
	int in, fd;
};

static void open_files(struct files *f, const uint64_t *bitmaps, size_t nr)
{
	size_t i;

	strcpy(f->samples, "/tmp/merge-samples-XXXXXX");
	strcpy(f->out, "/tmp/merge-out-XXXXXX");
	f->in = mkstemp(f->samples);
	f->fd = mkstemp(f->out);
	assert_true(f->in >= 0 && f->fd >= 0);
	for (i = 0; i < nr; i++)
		assert_int_equal(pwrite(f->in, &bitmaps[i], 8,
					(off_t)(SAMPLES_SECTOR * 512 +
						i * SAMPLE_BYTES(NR_FRAMES))),
				 8);
	assert_int_equal(ftruncate(f->in,
				   (off_t)(SAMPLES_SECTOR * 512 +
					   nr * SAMPLE_BYTES(NR_FRAMES))),
			 0);
}

static int merge(const struct files *f, const struct trace_event *ev, size_t nr,
		 const char **why)
{
	struct trace_builder b = { .bytes = NULL };
	struct trace *raw;
	size_t i;
	int err;

	for (i = 0; i < nr; i++)
		trace_add(&b, &ev[i]);
	assert_int_equal(trace_build(&b, NR_FRAMES, &raw, why), 0);
	err = trace_merge(raw, f->in, f->fd, why);
	trace_free(raw);
	return err;
}

static void close_files(struct files *f)
{
	close(f->in);
	close(f->fd);
	unlink(f->samples);
	unlink(f->out);
}

static void expect(const struct trace_event *raw, size_t nr_raw,
		   const struct trace_event *want, size_t nr_want,
		   const uint64_t *bitmaps, size_t nr_bitmaps)
{
	struct trace_cursor cur;
	const char *why = "?";
	struct trace_event ev;
	struct trace *t;
	struct files f;
	size_t i;

	open_files(&f, bitmaps, nr_bitmaps);
	assert_int_equal(merge(&f, raw, nr_raw, &why), 0);
	assert_int_equal(trace_load(&t, f.out, &why), 0);
	trace_rewind(&cur, t);
	for (i = 0; i < nr_want; i++) {
		assert_int_equal(trace_next(&cur, &ev), 1);
		assert_int_equal(ev.kind, want[i].kind);
		assert_int_equal(ev.gfn, want[i].gfn);
		assert_int_equal(ev.nr, want[i].nr);
		assert_int_equal(ev.time_ms, want[i].time_ms);
	}
	assert_int_equal(trace_next(&cur, &ev), 0);
	trace_free(t);
	close_files(&f);
}

static void only_what_changes_something_is_kept(void **s)
{
	static const struct trace_event raw[] = {
		{ 0, 3, 1, ESSA_OP_SET_UNUSED }, /* not enabled yet */
		BOOT,
		{ 5, 10, 1, ESSA_OP_SET_STABLE },
		{ 5, 11, 1, ESSA_OP_SET_STABLE }, /* a neighbour: one event */
		{ 6, 10, 2, ESSA_OP_SET_STABLE }, /* nothing new */
		{ 7, 10, 1, ESSA_OP_SET_PENDING },
		{ 7, 10, 1, ESSA_OP_COMMIT_VOLATILE },
		{ 8, 11, 1, ESSA_OP_SET_PENDING },
		{ 8, 11, 1, ESSA_OP_SET_STABLE_IF_KEPT }, /* cancels */
		{ 8, 11, 1, ESSA_OP_COMMIT_VOLATILE },
		{ 9, 10, 1, ESSA_OP_SET_STABLE_IF_KEPT },
		{ 9, 0, 1, TRACE_DISK }, /* the guest's own disk */
		{ 10, TRACE_PHASE_DISABLE, 1, TRACE_MARK },
		{ 11, 20, 1, ESSA_OP_SET_STABLE }, /* over */
	};
	static const struct trace_event want[] = {
		{ 0, TRACE_PHASE_ENABLE, 1, TRACE_MARK },
		{ 0, 8, 56, ESSA_OP_SET_UNUSED },
		{ 5, 0, 8, TRACE_WRITE }, /* what the kernel had taken */
		{ 5, 10, 2, ESSA_OP_SET_STABLE },
		{ 7, 10, 1, ESSA_OP_SET_VOLATILE },
		{ 9, 10, 1, ESSA_OP_SET_STABLE_IF_KEPT },
	};

	(void)s;
	expect(ARRAY(raw), ARRAY(want), NULL, 0);
}

static void uses_and_marks_go_where_the_guest_wrote_them(void **s)
{
	static const uint64_t bitmaps[] = { 0x10c03, 0xffff };
	static const struct trace_event raw[] = {
		BOOT,
		{ 1, 10, 1, ESSA_OP_SET_STABLE },
		{ 2, DISK1 | TRACE_PHASE_WORK, 1, TRACE_DISK },
		{ 3, DISK1 | SAMPLES_SECTOR, SECTORS, TRACE_DISK },
		{ 4, 11, 1, ESSA_OP_SET_STABLE },
		{ 5, DISK1 | (SAMPLES_SECTOR + SECTORS), SECTORS, TRACE_DISK },
	};
	static const struct trace_event want[] = {
		{ 0, TRACE_PHASE_ENABLE, 1, TRACE_MARK },
		{ 0, 8, 56, ESSA_OP_SET_UNUSED },
		{ 1, 0, 8, TRACE_WRITE },
		{ 1, 10, 1, ESSA_OP_SET_STABLE },
		{ 2, TRACE_PHASE_WORK, 1, TRACE_MARK },
		/* 11 and 16 are free at that moment */
		{ 3, 0, 2, TRACE_READ },
		{ 3, 10, 1, TRACE_READ },
		{ 4, 11, 1, ESSA_OP_SET_STABLE },
		{ 5, 0, 8, TRACE_READ },
		{ 5, 10, 2, TRACE_READ },
	};

	(void)s;
	expect(ARRAY(raw), ARRAY(want), ARRAY(bitmaps));
}

static void refuse(const struct trace_event *raw, size_t nr, const char *text)
{
	const char *why = "?";
	struct files f;

	open_files(&f, NULL, 0);
	assert_int_equal(merge(&f, raw, nr, &why), -EINVAL);
	assert_non_null(strstr(why, text));
	close_files(&f);
}

static void what_cannot_be_merged_is_refused(void **s)
{
	static const struct trace_event none[] = { { 0, 8, 1,
						     ESSA_OP_SET_UNUSED } };
	static const struct trace_event twice[] = { BOOT, BOOT };
	static const struct trace_event part[] = {
		BOOT,
		{ 1, 10, 1, ESSA_OP_SET_STABLE },
		{ 1, DISK1 | SAMPLES_SECTOR, 1, TRACE_DISK },
	};
	static const struct trace_event beyond[] = {
		BOOT,
		{ 1, 10, 1, ESSA_OP_SET_STABLE },
		{ 1, DISK1 | SAMPLES_SECTOR, SECTORS, TRACE_DISK },
	};

	(void)s;
	refuse(ARRAY(none), "no operations");
	refuse(ARRAY(twice), "booted twice");
	refuse(ARRAY(part), "not one write");
	refuse(ARRAY(beyond), "too short");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_changes_something_is_kept),
		cmocka_unit_test(uses_and_marks_go_where_the_guest_wrote_them),
		cmocka_unit_test(what_cannot_be_merged_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
