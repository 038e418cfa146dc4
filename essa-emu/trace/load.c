// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a file or from events to a checked trace in memory.  All of it is
 * checked here, so that a cursor cannot fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "essa-emu/trace/format.h"
#include "essa-emu/trace/trace.h"

#define FIRST_ROOM ((size_t)64 << 10)

static int is_valid(const struct trace *t, const struct trace_event *ev)
{
	if (ev->kind == TRACE_MARK || ev->kind == TRACE_DISK)
		return 1;
	return ev->gfn < t->nr_frames && ev->nr <= t->nr_frames - ev->gfn;
}

/* One pass over the events: is each valid, and is TRACE_END the last? */
static int check(struct trace *t)
{
	struct trace_coder c = { 0 };
	struct trace_event ev;
	size_t at = 0, n;

	for (;;) {
		n = trace_decode(&c, t->bytes + at, t->len_bytes - at, &ev);
		if (!n)
			return -EINVAL;
		at += n;
		if (ev.kind == TRACE_END)
			break;
		if (!is_valid(t, &ev))
			return -EINVAL;
		t->nr_events++;
		t->end_ms = ev.time_ms;
	}
	return at == t->len_bytes && ev.gfn == t->nr_events ? 0 : -EINVAL;
}

static int check_header(const uint8_t *h, size_t len, uint64_t *nr_frames,
			const char **why)
{
	*why = "not a trace of page states";
	if (len < TRACE_HEADER_BYTES || memcmp(h, TRACE_MAGIC, 8))
		return -EINVAL;
	*why = "the trace is of another version";
	if (trace_get32(h + 8) != TRACE_VERSION)
		return -EINVAL;
	*why = "the trace is damaged (header)";
	*nr_frames = trace_get64(h + 16);
	if (trace_get32(h + 12) || trace_get32(h + 24) ||
	    trace_get32(h + 28) != crc32(0, h, 28))
		return -EINVAL;
	if (!*nr_frames || *nr_frames > TRACE_MAX_FRAMES)
		return -EINVAL;
	return 0;
}

static int grow(uint8_t **p, size_t *room)
{
	size_t more = *room ? 2 * *room : FIRST_ROOM;
	uint8_t *q;

	if (more > TRACE_MAX_BYTES)
		return -EFBIG;
	q = realloc(*p, more);
	if (!q)
		return -ENOMEM;
	*p = q;
	*room = more;
	return 0;
}

static int unpack(struct trace *t, const uint8_t *p, size_t len,
		  const char **why)
{
	z_stream z = { .next_in = (uint8_t *)p };
	size_t room = 0;
	int err = 0;
	int ret;

	/* Of what inflate() does not look at, too: bits of padding. */
	*why = "the trace is cut short or damaged";
	if (len < 4 || trace_get32(p + len - 4) != crc32(0, p, (uInt)len - 4))
		return -EINVAL;
	z.avail_in = (uInt)len - 4;
	*why = "out of memory";
	if (inflateInit(&z) != Z_OK)
		return -ENOMEM;
	do {
		if (t->len_bytes == room)
			err = grow(&t->bytes, &room);
		if (err)
			break;
		z.next_out = t->bytes + t->len_bytes;
		z.avail_out = (uInt)(room - t->len_bytes);
		ret = inflate(&z, Z_NO_FLUSH);
		t->len_bytes = room - z.avail_out;
	} while (ret == Z_OK);
	if (err == -EFBIG)
		*why = "the trace is too large";
	if (!err && (ret != Z_STREAM_END || z.avail_in)) {
		err = -EINVAL;
		*why = "the trace is damaged (stream)";
	}
	inflateEnd(&z);
	return err;
}

static int slurp(const char *path, uint8_t **out, size_t *len, const char **why)
{
	size_t room = 0;
	uint8_t *p = NULL;
	struct stat st;
	ssize_t n = 0;
	int err = 0;
	int fd;

	*why = "cannot open the trace";
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*len = 0;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		*why = "the trace is not a file";
		err = -EINVAL;
	}
	while (!err) {
		if (*len == room) {
			err = grow(&p, &room);
			continue;
		}
		n = read(fd, p + *len, room - *len);
		if (!n)
			break;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	close(fd);
	if (err)
		free(p);
	*out = p;
	return err;
}

int trace_load(struct trace **out, const char *path, const char **why)
{
	uint8_t *file = NULL;
	struct trace *t;
	size_t len = 0;
	int err;

	err = slurp(path, &file, &len, why);
	if (err)
		return err;
	t = calloc(1, sizeof(*t));
	*why = "out of memory";
	err = t ? check_header(file, len, &t->nr_frames, why) : -ENOMEM;
	if (!err)
		err = unpack(t, file + TRACE_HEADER_BYTES,
			     len - TRACE_HEADER_BYTES, why);
	free(file);
	if (!err) {
		err = check(t);
		if (err)
			*why = "the trace is damaged (events)";
	}
	if (err) {
		trace_free(t);
		return err;
	}
	*out = t;
	return 0;
}

void trace_free(struct trace *trace)
{
	if (!trace)
		return;
	free(trace->bytes);
	free(trace);
}

void trace_rewind(struct trace_cursor *cur, const struct trace *trace)
{
	*cur = (struct trace_cursor){ .trace = trace };
}

int trace_next(struct trace_cursor *cur, struct trace_event *ev)
{
	const struct trace *t = cur->trace;
	struct trace_coder c = cur->coder;
	size_t n;

	n = trace_decode(&c, t->bytes + cur->at, t->len_bytes - cur->at, ev);
	if (ev->kind == TRACE_END)
		return 0;
	cur->coder = c;
	cur->at += n;
	return 1;
}

void trace_add(struct trace_builder *b, const struct trace_event *ev)
{
	if (!b->err && b->room_bytes - b->len_bytes < TRACE_EVENT_MAX_BYTES)
		b->err = grow(&b->bytes, &b->room_bytes);
	if (b->err)
		return;
	b->len_bytes += trace_encode(&b->coder, ev, b->bytes + b->len_bytes);
	b->nr_events++;
}

int trace_build(struct trace_builder *b, uint64_t nr_frames, struct trace **out,
		const char **why)
{
	const struct trace_event end = {
		.time_ms = b->coder.time_ms,
		.kind = TRACE_END,
		.gfn = b->nr_events,
		.nr = 1,
	};
	struct trace *t = calloc(1, sizeof(*t));
	int err;

	*why = "out of memory";
	trace_add(b, &end);
	err = t ? b->err : -ENOMEM;
	if (!err) {
		*t = (struct trace){ .nr_frames = nr_frames,
				     .len_bytes = b->len_bytes,
				     .bytes = b->bytes };
		b->bytes = NULL;
		err = check(t);
		*why = "an event outside of the guest's memory";
	}
	free(b->bytes);
	*b = (struct trace_builder){ 0 };
	if (err) {
		trace_free(t);
		return err;
	}
	*out = t;
	return 0;
}
