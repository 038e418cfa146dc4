// SPDX-License-Identifier: GPL-2.0-only
/* Claims about trace files: what was written comes back, all else is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <essa/random.h>

#include "essa-emu/trace/synth.h"
#include "essa-emu/trace/trace.h"

#define NR_FRAMES 16384u

struct file {
	char path[64];
	uint8_t *bytes;
	size_t len;
};

static void temp_path(char *path)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(path, 64, "%s/trace-test.XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
}

static void put_file(const char *path, const uint8_t *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

static void slurp(struct file *f)
{
	int fd = open(f->path, O_RDONLY);
	off_t len = lseek(fd, 0, SEEK_END);

	assert_true(fd >= 0 && len > 0);
	f->len = (size_t)len;
	f->bytes = malloc(f->len);
	assert_non_null(f->bytes);
	assert_int_equal(pread(fd, f->bytes, f->len, 0), len);
	close(fd);
}

static void write_file(struct file *f, const struct trace_event *ev, size_t nr)
{
	struct trace_writer *w;
	int fd;

	temp_path(f->path);
	fd = open(f->path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(trace_writer_create(&w, fd, NR_FRAMES), 0);
	assert_int_equal(trace_write(w, ev, nr), 0);
	assert_int_equal(trace_writer_finish(w), 0);
	close(fd);
	slurp(f);
}

static void drop(struct file *f)
{
	unlink(f->path);
	free(f->bytes);
}

/* Runs and jumps; times that stand still and leap. */
static void random_events(struct trace_event *ev, size_t nr, uint64_t seed)
{
	struct rng rng = { seed };
	uint64_t time_ms = 0, gfn = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		uint64_t r = rng_next(&rng);

		time_ms += r % 8 ? 0 : r >> 3 & ((1ull << (r >> 40 & 31)) - 1);
		if (r >> 8 & 1)
			gfn = (r >> 9) % NR_FRAMES;
		ev[i] = (struct trace_event){
			.time_ms = time_ms,
			.kind = (unsigned int)(r >> 50) % TRACE_END,
			.gfn = gfn,
			.nr = 1 + (r >> 30 & 3) % (NR_FRAMES - gfn),
		};
		if (ev[i].kind == TRACE_DISK)
			ev[i].gfn |= (r & 3) << TRACE_DISK_SHIFT;
		gfn = (gfn + ev[i].nr) % NR_FRAMES;
	}
}

static void expect_events(const struct trace *t, const struct trace_event *ev,
			  size_t nr)
{
	struct trace_cursor cur;
	struct trace_event got;
	size_t i;

	assert_int_equal(t->nr_frames, NR_FRAMES);
	assert_int_equal(t->nr_events, nr);
	trace_rewind(&cur, t);
	for (i = 0; i < nr; i++) {
		assert_int_equal(trace_next(&cur, &got), 1);
		assert_int_equal(got.kind, ev[i].kind);
		assert_int_equal(got.gfn, ev[i].gfn);
		assert_int_equal(got.nr, ev[i].nr);
		assert_int_equal(got.time_ms, ev[i].time_ms);
	}
	assert_int_equal(trace_next(&cur, &got), 0);
	assert_int_equal(trace_next(&cur, &got), 0);
	assert_int_equal(got.kind, TRACE_END);
}

static void what_was_written_comes_back(void **s)
{
	static struct trace_event ev[50000];
	const size_t nr = sizeof(ev) / sizeof(ev[0]);
	const char *why = "?";
	struct trace *t;
	struct file f;

	(void)s;
	random_events(ev, nr, 1);
	write_file(&f, ev, nr);
	assert_int_equal(trace_load(&t, f.path, &why), 0);
	expect_events(t, ev, nr);
	trace_free(t);
	drop(&f);
}

static void neighbours_take_one_byte(void **s)
{
	struct trace_coder c = { 0 };
	struct trace_event ev = { .kind = ESSA_OP_SET_UNUSED, .nr = 1 };
	uint8_t out[TRACE_EVENT_MAX_BYTES];

	(void)s;
	for (ev.gfn = 0; ev.gfn < 1000; ev.gfn++)
		assert_int_equal(trace_encode(&c, &ev, out), 1);
}

static void every_cut_and_every_changed_byte_is_refused(void **s)
{
	struct trace_event ev[300];
	const size_t nr = sizeof(ev) / sizeof(ev[0]);
	const char *why;
	struct trace *t;
	struct file f;
	size_t i;

	(void)s;
	random_events(ev, nr, 2);
	write_file(&f, ev, nr);
	for (i = 0; i < f.len; i++) {
		put_file(f.path, f.bytes, i);
		why = NULL;
		assert_int_equal(trace_load(&t, f.path, &why), -EINVAL);
		assert_non_null(why);
		f.bytes[i] ^= 1 << i % 8;
		put_file(f.path, f.bytes, f.len);
		why = NULL;
		assert_int_equal(trace_load(&t, f.path, &why), -EINVAL);
		assert_non_null(why);
		f.bytes[i] ^= 1 << i % 8;
	}
	f.bytes = realloc(f.bytes, f.len + 1);
	assert_non_null(f.bytes);
	f.bytes[f.len] = 0;
	put_file(f.path, f.bytes, f.len + 1);
	assert_int_equal(trace_load(&t, f.path, &why), -EINVAL);
	drop(&f);
}

/* A file whose stream is in order, but not what it says. */
static void refused_with(const struct trace_event *ev, size_t nr,
			 const char *text)
{
	const char *why = "?";
	struct trace *t;
	struct file f;

	write_file(&f, ev, nr);
	assert_int_equal(trace_load(&t, f.path, &why), -EINVAL);
	assert_non_null(strstr(why, text));
	drop(&f);
}

static void events_outside_of_the_guest_are_refused(void **s)
{
	struct trace_event ev = { .kind = ESSA_OP_SET_UNUSED,
				  .gfn = NR_FRAMES,
				  .nr = 1 };

	(void)s;
	refused_with(&ev, 1, "events");
	ev.gfn = NR_FRAMES - 1;
	ev.nr = 2;
	refused_with(&ev, 1, "events");
	ev.gfn = UINT64_MAX;
	refused_with(&ev, 1, "events");
	ev.gfn = 1;
	ev.nr = UINT64_MAX;
	refused_with(&ev, 1, "events");
	ev = (struct trace_event){ .kind = TRACE_END, .gfn = 0, .nr = 1 };
	refused_with(&ev, 1, "events");
}

static void foreign_files_are_refused_with_one_line(void **s)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "", "not a trace" },
		{ "\x7f"
		  "ELF and so on and so on and so on",
		  "not a trace" },
		{ "essatrc\n and no more than that, in text", "version" },
	};
	struct file f = { .bytes = NULL };
	const char *why = "?";
	struct trace *t;
	size_t i;

	(void)s;
	temp_path(f.path);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_file(f.path, (const uint8_t *)cases[i].bytes,
			 strlen(cases[i].bytes));
		assert_int_equal(trace_load(&t, f.path, &why), -EINVAL);
		assert_non_null(strstr(why, cases[i].text));
	}
	drop(&f);
	assert_int_equal(trace_load(&t, f.path, &why), -ENOENT);
	assert_int_equal(trace_load(&t, "/", &why), -EINVAL);
	assert_int_equal(trace_load(&t, "/dev/null", &why), -EINVAL);
}

static void bytes_that_are_no_event_are_refused(void **s)
{
	static const uint8_t bad[][12] = {
		{ 0x0e }, /* no such kind */
		{ 0x80 }, /* the bit that is zero */
		{ 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		  0x02 }, /* more than 64 bits */
		{ 0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0x01 }, /* 2^64 frames */
	};
	static const uint8_t unended[] = { 0x20, 0x80, 0x80 };
	struct trace_coder c = { 0 };
	struct trace_event ev;
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(trace_decode(&c, bad[i], 12, &ev), 0);
	assert_int_equal(trace_decode(&c, unended, sizeof(unended), &ev), 0);
	assert_int_equal(trace_decode(&c, unended, 0, &ev), 0);
	/* Time that runs over. */
	c.time_ms = UINT64_MAX;
	assert_int_equal(trace_decode(&c, (const uint8_t *)"\x10\x01", 2, &ev),
			 0);
}

static void a_full_disk_is_an_error(void **s)
{
	static struct trace_event ev[200000];
	const size_t nr = sizeof(ev) / sizeof(ev[0]);
	struct trace_writer *w;
	int fd = open("/dev/full", O_WRONLY);

	(void)s;
	assert_true(fd >= 0);
	assert_int_equal(trace_writer_create(&w, fd, NR_FRAMES), -ENOSPC);
	close(fd);
	fd = open("/dev/null", O_WRONLY);
	assert_int_equal(trace_writer_create(&w, fd, NR_FRAMES), 0);
	random_events(ev, nr, 3);
	assert_int_equal(dup2(open("/dev/full", O_WRONLY), fd), fd);
	assert_int_equal(trace_write(w, ev, nr), -ENOSPC);
	assert_int_equal(trace_write(w, ev, 1), -ENOSPC);
	assert_int_equal(trace_writer_finish(w), -ENOSPC);
	close(fd);
}

static void a_seed_gives_the_same_trace(void **s)
{
	struct synth synth = { .seed = 7, .nr_frames = 4096, .rounds = 6 };
	struct trace *a, *b, *c;
	const char *why = "?";

	(void)s;
	assert_int_equal(trace_synth(&a, &synth, &why), 0);
	assert_int_equal(trace_synth(&b, &synth, &why), 0);
	synth.seed = 8;
	assert_int_equal(trace_synth(&c, &synth, &why), 0);
	assert_int_equal(a->len_bytes, b->len_bytes);
	assert_memory_equal(a->bytes, b->bytes, a->len_bytes);
	assert_true(a->len_bytes != c->len_bytes ||
		    memcmp(a->bytes, c->bytes, a->len_bytes));
	trace_free(a);
	trace_free(b);
	trace_free(c);
	synth.nr_frames = 100;
	assert_int_equal(trace_synth(&a, &synth, &why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_comes_back),
		cmocka_unit_test(neighbours_take_one_byte),
		cmocka_unit_test(every_cut_and_every_changed_byte_is_refused),
		cmocka_unit_test(events_outside_of_the_guest_are_refused),
		cmocka_unit_test(foreign_files_are_refused_with_one_line),
		cmocka_unit_test(bytes_that_are_no_event_are_refused),
		cmocka_unit_test(a_full_disk_is_an_error),
		cmocka_unit_test(a_seed_gives_the_same_trace),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
