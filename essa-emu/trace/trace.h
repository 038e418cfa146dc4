/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces of page states: what a guest did to its frames, in order.
 *
 * File, version 1, little endian:
 *
 *	 0  8  magic "essatrc\n"
 *	 8  4  version
 *	12  4  zero
 *	16  8  frames of the guest: every gfn is below that
 *	24  4  zero
 *	28  4  crc32 of the 28 bytes before
 *	32     one zlib stream (RFC 1950)
 *	    4  crc32 of that stream; the end of the file
 *
 * The stream is a sequence of events.  Each begins with a tag: bits 3:0 the
 * kind, then what follows, each a varint (LEB128, at most ten bytes):
 *
 *	bit 4	time since the event before in ms; else 0
 *	bit 5	gfn, as a zigzag difference to where the event before ended;
 *		else where the last event of this kind ended
 *	bit 6	number of frames - 1; else 1 frame
 *	bit 7	zero
 *
 * The last event is TRACE_END, with the number of events before it as its gfn:
 * a file that was cut anywhere, or changed anywhere, is refused as a whole.
 */
#ifndef ESSA_TRACE_H
#define ESSA_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include <essa/abi.h>

#define TRACE_VERSION 1
/* A guest of 1 TiB; what is kept of a trace in memory. */
#define TRACE_MAX_FRAMES (1ull << 28)
#define TRACE_MAX_BYTES	 (256ull << 20)

/* Kinds below are operations, ESSA_OP_*; a file's numbers do not change. */
#define TRACE_NR_OPS 9

enum trace_kind {
	TRACE_READ = TRACE_NR_OPS, /* the guest used the content of frames */
	TRACE_WRITE,		   /* ... gave them new content */
	TRACE_MARK, /* gfn: TRACE_PHASE_*, or the recorder's own */
	TRACE_DISK, /* gfn: disk << 56 | sector written, nr: sectors */
	TRACE_END,
	TRACE_NR_KINDS,
};

#define TRACE_PHASE_ENABLE  0 /* from here on all frames are Stable */
#define TRACE_PHASE_WORK    1
#define TRACE_PHASE_DONE    2
#define TRACE_PHASE_DISABLE 3

#define TRACE_DISK_SHIFT 56

/** struct trace_event - one event; @nr frames (sectors) from @gfn on */
struct trace_event {
	uint64_t time_ms; /* since the trace began; never runs back */
	uint64_t gfn;
	uint64_t nr; /* > 0 */
	unsigned int kind;
};

/** struct trace_coder - what both sides remember from event to event */
struct trace_coder {
	uint64_t time_ms;
	uint64_t end;		       /* of the event before */
	uint64_t ends[TRACE_NR_KINDS]; /* of the last event of a kind */
};

#define TRACE_EVENT_MAX_BYTES 31

/**
 * trace_encode() - bytes of an event
 * @c:	begins as all zeros
 * @ev: a valid event, not before the one before
 * @out: TRACE_EVENT_MAX_BYTES
 *
 * Return: bytes.
 */
size_t trace_encode(struct trace_coder *c, const struct trace_event *ev,
		    uint8_t *out);

/**
 * trace_decode() - the next event
 * @c:	 begins as all zeros
 * @p:	 untrusted bytes
 * @len: how many there are
 * @ev:	 set on success
 *
 * Return: bytes it took; 0 if @p holds no valid event.
 */
size_t trace_decode(struct trace_coder *c, const uint8_t *p, size_t len,
		    struct trace_event *ev);

/** struct trace - a whole trace in memory, checked; immutable */
struct trace {
	uint64_t nr_frames;
	uint64_t nr_events; /* without TRACE_END */
	uint64_t end_ms;    /* of the last event */
	size_t len_bytes;
	uint8_t *bytes;
};

/**
 * trace_load() - read and check a file
 * @out:  set on success; caller owns, trace_free()
 * @path: untrusted file
 * @why:  on failure set to one static line
 *
 * Return: 0 or a negative errno.
 */
int trace_load(struct trace **out, const char *path, const char **why);

/** trace_free() - accepts NULL */
void trace_free(struct trace *trace);

/** struct trace_cursor - a reader's place in a trace; many may share one */
struct trace_cursor {
	const struct trace *trace;
	struct trace_coder coder;
	size_t at;
};

/** trace_rewind() - to the first event */
void trace_rewind(struct trace_cursor *cur, const struct trace *trace);

/**
 * trace_next() - the next event
 * @cur: moves on
 * @ev:	 set, also at the end: to TRACE_END
 *
 * Return: 1, or 0 at the end.
 */
int trace_next(struct trace_cursor *cur, struct trace_event *ev);

/** struct trace_builder - makes a trace in memory; begins as all zeros */
struct trace_builder {
	struct trace_coder coder;
	uint8_t *bytes;
	size_t len_bytes, room_bytes;
	uint64_t nr_events;
	int err; /* sticky */
};

/** trace_add() - append an event; errors come out of trace_build() */
void trace_add(struct trace_builder *b, const struct trace_event *ev);

/**
 * trace_build() - end and check what was added
 * @b:	       empty again afterwards, also on failure
 * @nr_frames: of the guest
 * @out:       set on success; caller owns, trace_free()
 * @why:       on failure set to one static line
 *
 * Return: 0 or a negative errno.
 */
int trace_build(struct trace_builder *b, uint64_t nr_frames, struct trace **out,
		const char **why);

struct trace_writer; /* opaque: a file that is being written */

/**
 * trace_writer_create() - begin a file
 * @out:       set on success; trace_writer_finish() frees it
 * @fd:	       the caller's, stays open; only write(2) is used
 * @nr_frames: of the guest
 *
 * Return: 0 or a negative errno.
 */
int trace_writer_create(struct trace_writer **out, int fd, uint64_t nr_frames);

/** trace_write() - append events in order. Return: 0, negative errno (sticky) */
int trace_write(struct trace_writer *w, const struct trace_event *ev,
		size_t nr);

/** trace_writer_finish() - end the file, free @w. Return: 0, negative errno */
int trace_writer_finish(struct trace_writer *w);

/** trace_kind_name() - "set unused" and the like, for people */
const char *trace_kind_name(unsigned int kind);

#endif /* ESSA_TRACE_H */
