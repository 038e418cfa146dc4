// SPDX-License-Identifier: GPL-2.0-only
#include "tools/trace/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <essa/step.h>

#include "guest-tests/linux/idlewatch.h"

#define SAMPLES_DISK 1u

struct merge {
	const struct trace *raw;
	int samples;
	struct trace_writer *writer;
	struct trace_event run; /* not written yet; nr 0: none */
	uint8_t *state;		/* of frames that are always resident */
	uint8_t *bits;		/* a sample */
	size_t sample_bytes;
	uint64_t sectors; /* of a sample */
	int enabled, booted, over;
	int err;
	const char *why;
};

static void fail(struct merge *m, int err, const char *why)
{
	if (m->err)
		return;
	m->err = err;
	m->why = why;
}

static void flush(struct merge *m)
{
	int err;

	if (!m->run.nr)
		return;
	err = trace_write(m->writer, &m->run, 1);
	if (err)
		fail(m, err, "cannot write the trace");
	m->run.nr = 0;
}

/* Neighbours of one kind and moment become one event. */
static void emit(struct merge *m, uint64_t time_ms, unsigned int kind,
		 uint64_t gfn)
{
	if (m->run.nr && m->run.kind == kind && m->run.time_ms == time_ms &&
	    m->run.gfn + m->run.nr == gfn) {
		m->run.nr++;
		return;
	}
	flush(m);
	m->run = (struct trace_event){
		.time_ms = time_ms,
		.kind = kind,
		.gfn = gfn,
		.nr = 1,
	};
}

/* What was not free when the kernel had said what is. */
static void boot_content(struct merge *m, uint64_t time_ms)
{
	uint64_t gfn;

	for (gfn = 0; gfn < m->raw->nr_frames; gfn++)
		if ((m->state[gfn] & ESSA_USAGE_MASK) == ESSA_STABLE)
			emit(m, time_ms, TRACE_WRITE, gfn);
	m->booted = 1;
}

static void operation(struct merge *m, const struct trace_event *ev)
{
	uint64_t gfn;

	if (!m->booted && ev->kind != ESSA_OP_SET_UNUSED)
		boot_content(m, ev->time_ms);
	for (gfn = ev->gfn; gfn < ev->gfn + ev->nr; gfn++) {
		uint8_t old = m->state[gfn];
		uint8_t next = (uint8_t)essa_next(old, ev->kind);

		m->state[gfn] = next;
		if ((old & ESSA_USAGE_MASK) != (next & ESSA_USAGE_MASK))
			emit(m, ev->time_ms,
			     ev->kind == ESSA_OP_COMMIT_VOLATILE ?
				     ESSA_OP_SET_VOLATILE :
				     ev->kind,
			     gfn);
	}
}

static void sample(struct merge *m, uint64_t time_ms, uint64_t sector)
{
	size_t len = m->sample_bytes;
	uint64_t gfn;

	if (pread(m->samples, m->bits, len, (off_t)(sector * 512)) !=
	    (ssize_t)len) {
		fail(m, -EINVAL, "the samples' disk is too short");
		return;
	}
	for (gfn = 0; gfn < m->raw->nr_frames; gfn++)
		if (m->bits[gfn / 8] >> gfn % 8 & 1 &&
		    (m->state[gfn] & ESSA_USAGE_MASK) != ESSA_UNUSED)
			emit(m, time_ms, TRACE_READ, gfn);
}

static void disk_write(struct merge *m, const struct trace_event *ev)
{
	uint64_t sector = ev->gfn & ((1ull << TRACE_DISK_SHIFT) - 1);

	if (ev->gfn >> TRACE_DISK_SHIFT != SAMPLES_DISK)
		return;
	if (sector < SAMPLES_SECTOR) {
		emit(m, ev->time_ms, TRACE_MARK, sector);
		flush(m);
		return;
	}
	if ((sector - SAMPLES_SECTOR) % m->sectors || ev->nr != m->sectors)
		fail(m, -EINVAL,
		     "a sample is not one write: not a recording of idlewatch");
	else if (m->booted)
		sample(m, ev->time_ms, sector);
}

static void one_event(struct merge *m, const struct trace_event *ev)
{
	if (ev->kind == TRACE_MARK && ev->gfn == TRACE_PHASE_ENABLE) {
		if (m->enabled)
			fail(m, -EINVAL, "the guest booted twice");
		m->enabled = 1;
		emit(m, ev->time_ms, TRACE_MARK, ev->gfn);
		flush(m);
	} else if (ev->kind == TRACE_MARK) {
		m->over = 1;
	} else if (!m->enabled || m->over) {
		return;
	} else if (ev->kind == TRACE_DISK) {
		disk_write(m, ev);
	} else if (ev->kind < TRACE_NR_OPS) {
		operation(m, ev);
	}
}

int trace_merge(const struct trace *raw, int samples, int out, const char **why)
{
	struct merge m = {
		.raw = raw,
		.samples = samples,
		.sample_bytes = SAMPLE_BYTES(raw->nr_frames),
		.why = "out of memory",
	};
	struct trace_cursor cur;
	struct trace_event ev;
	int err;

	m.sectors = m.sample_bytes / 512;
	m.state = calloc(raw->nr_frames, 1);
	m.bits = calloc(m.sample_bytes, 1);
	if (!m.state || !m.bits)
		fail(&m, -ENOMEM, m.why);
	if (!m.err) {
		err = trace_writer_create(&m.writer, out, raw->nr_frames);
		if (err)
			fail(&m, err, "cannot write the trace");
	}
	trace_rewind(&cur, raw);
	while (!m.err && trace_next(&cur, &ev))
		one_event(&m, &ev);
	if (!m.err && !m.booted)
		fail(&m, -EINVAL, "the guest recorded no operations");
	if (!m.err)
		flush(&m);
	if (m.writer) {
		err = trace_writer_finish(m.writer);
		if (err)
			fail(&m, err, "cannot write the trace");
	}
	free(m.state);
	free(m.bits);
	*why = m.why;
	return m.err;
}
