// SPDX-License-Identifier: GPL-2.0-only
/* essa-trace: look into traces, make one of what a guest's recording left. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/trace/merge.h"

static int complain(const char *what, const char *why, int err)
{
	if (err && err != -EINVAL)
		fprintf(stderr, "essa-trace: %s: %s: %s\n", what, why,
			strerror(-err));
	else
		fprintf(stderr, "essa-trace: %s: %s\n", what, why);
	return 1;
}

static void print_info(const struct trace *t, const char *path)
{
	uint64_t events[TRACE_NR_KINDS] = { 0 }, frames[TRACE_NR_KINDS] = { 0 };
	struct trace_cursor cur;
	struct trace_event ev;
	unsigned int k;

	trace_rewind(&cur, t);
	while (trace_next(&cur, &ev)) {
		events[ev.kind]++;
		frames[ev.kind] += ev.nr;
	}
	printf("%s: guest of %" PRIu64 " frames, %" PRIu64 " events in %" PRIu64
	       ".%03" PRIu64 " s, %zu bytes unpacked\n",
	       path, t->nr_frames, t->nr_events, t->end_ms / 1000,
	       t->end_ms % 1000, t->len_bytes);
	printf("%-28s %10s %10s\n", "", "events", "frames");
	for (k = 0; k < TRACE_END; k++)
		if (events[k])
			printf("%-28s %10" PRIu64 " %10" PRIu64 "\n",
			       trace_kind_name(k), events[k], frames[k]);
}

static void print_text(const struct trace *t)
{
	struct trace_cursor cur;
	struct trace_event ev;

	trace_rewind(&cur, t);
	while (trace_next(&cur, &ev))
		printf("%" PRIu64 "\t%s\t%" PRIu64 "\t%" PRIu64 "\n",
		       ev.time_ms, trace_kind_name(ev.kind), ev.gfn, ev.nr);
}

static int show(const char *path, int all)
{
	const char *why = "";
	struct trace *t;
	int err;

	err = trace_load(&t, path, &why);
	if (err)
		return complain(path, why, err);
	if (all)
		print_text(t);
	else
		print_info(t, path);
	trace_free(t);
	return fflush(stdout) ? complain("standard output", "write", -errno) :
				0;
}

/* The part before @end_ms; what is in the file stays in order. */
static int copy_until(const struct trace *t, int fd, uint64_t end_ms)
{
	struct trace_writer *w;
	struct trace_cursor cur;
	struct trace_event ev;
	int err;

	err = trace_writer_create(&w, fd, t->nr_frames);
	if (err)
		return err;
	trace_rewind(&cur, t);
	while (trace_next(&cur, &ev) && ev.time_ms < end_ms)
		trace_write(w, &ev, 1);
	return trace_writer_finish(w);
}

static int cut(const char *path, const char *ms, const char *out)
{
	const char *why = "not a number of milliseconds";
	struct trace *t;
	uint64_t end_ms;
	char *end;
	int fd, err;

	end_ms = strtoull(ms, &end, 10);
	if (!*ms || *end)
		return complain(ms, why, 0);
	err = trace_load(&t, path, &why);
	if (err)
		return complain(path, why, err);
	fd = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	err = fd < 0 ? -errno : copy_until(t, fd, end_ms);
	trace_free(t);
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (err && fd >= 0)
		unlink(out);
	return err ? complain(out, "cannot write", err) : 0;
}

static int merge(const char *raw_path, const char *samples, const char *out)
{
	const char *why = "cannot open the samples";
	struct trace *raw;
	int in, fd, err;

	err = trace_load(&raw, raw_path, &why);
	if (err)
		return complain(raw_path, why, err);
	in = open(samples, O_RDONLY | O_CLOEXEC);
	if (in < 0) {
		err = complain(samples, why, -errno);
		goto out_free;
	}
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		err = complain(out, "cannot write", -errno);
		goto out_close;
	}
	err = trace_merge(raw, in, fd, &why);
	if (close(fd) && !err)
		err = -errno;
	if (err) {
		unlink(out);
		err = complain(raw_path, why, err);
	}
out_close:
	close(in);
out_free:
	trace_free(raw);
	return err;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "info"))
		return show(argv[2], 0);
	if (argc == 3 && !strcmp(argv[1], "text"))
		return show(argv[2], 1);
	if (argc == 5 && !strcmp(argv[1], "cut"))
		return cut(argv[2], argv[3], argv[4]);
	if (argc == 5 && !strcmp(argv[1], "merge"))
		return merge(argv[2], argv[3], argv[4]);
	fputs("usage: essa-trace info TRACE\n"
	      "       essa-trace text TRACE	one line an event: ms, kind, gfn, frames\n"
	      "       essa-trace cut TRACE MS OUT	the part before that moment\n"
	      "       essa-trace merge RECORDING SAMPLES-DISK TRACE\n",
	      argc == 2 && !strcmp(argv[1], "--help") ? stdout : stderr);
	return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 1;
}
