// SPDX-License-Identifier: GPL-2.0-only
/* A trace file, written as events come; the form is in trace.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "essa-emu/trace/format.h"
#include "essa-emu/trace/trace.h"

#define OUT_BYTES 65536u

struct trace_writer {
	struct trace_coder coder;
	z_stream z;
	uint64_t nr_events;
	uint32_t crc; /* of the stream */
	int fd;
	int err; /* the first one; nothing is written behind it */
	uint8_t out[OUT_BYTES];
};

static void write_all(struct trace_writer *w, const uint8_t *p, size_t len)
{
	ssize_t n;

	while (len && !w->err) {
		n = write(w->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			w->err = n ? -errno : -EIO;
			return;
		}
		p += n;
		len -= (size_t)n;
	}
}

/* Compress what @z has as input; write what that gives. */
static void pump(struct trace_writer *w, int flush)
{
	int ret;

	do {
		ret = deflate(&w->z, flush);
		if (w->z.avail_out && ret != Z_STREAM_END)
			continue;
		w->crc = (uint32_t)crc32(w->crc, w->out,
					 OUT_BYTES - w->z.avail_out);
		write_all(w, w->out, OUT_BYTES - w->z.avail_out);
		w->z.next_out = w->out;
		w->z.avail_out = OUT_BYTES;
	} while (!w->err &&
		 (w->z.avail_in || (flush == Z_FINISH && ret != Z_STREAM_END)));
}

int trace_writer_create(struct trace_writer **out, int fd, uint64_t nr_frames)
{
	uint8_t header[TRACE_HEADER_BYTES] = { 0 };
	struct trace_writer *w;
	int err;

	if (!nr_frames || nr_frames > TRACE_MAX_FRAMES)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->fd = fd;
	w->z.next_out = w->out;
	w->z.avail_out = OUT_BYTES;
	if (deflateInit(&w->z, Z_BEST_COMPRESSION) != Z_OK) {
		free(w);
		return -ENOMEM;
	}
	memcpy(header, TRACE_MAGIC, 8);
	trace_put32(header + 8, TRACE_VERSION);
	trace_put64(header + 16, nr_frames);
	trace_put32(header + 28, (uint32_t)crc32(0, header, 28));
	write_all(w, header, sizeof(header));
	err = w->err;
	if (err) {
		deflateEnd(&w->z);
		free(w);
		return err;
	}
	*out = w;
	return 0;
}

int trace_write(struct trace_writer *w, const struct trace_event *ev, size_t nr)
{
	uint8_t buf[TRACE_EVENT_MAX_BYTES];
	size_t i;

	for (i = 0; i < nr && !w->err; i++) {
		w->z.next_in = buf;
		w->z.avail_in = (uInt)trace_encode(&w->coder, &ev[i], buf);
		w->nr_events++;
		pump(w, Z_NO_FLUSH);
	}
	return w->err;
}

int trace_writer_finish(struct trace_writer *w)
{
	const struct trace_event end = {
		.time_ms = w->coder.time_ms,
		.kind = TRACE_END,
		.gfn = w->nr_events,
		.nr = 1,
	};
	uint8_t trailer[4];
	int err;

	trace_write(w, &end, 1);
	if (!w->err)
		pump(w, Z_FINISH);
	trace_put32(trailer, w->crc);
	write_all(w, trailer, sizeof(trailer));
	err = w->err;
	deflateEnd(&w->z);
	free(w);
	return err;
}
