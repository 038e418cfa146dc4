// SPDX-License-Identifier: GPL-2.0-only
/* Events to bytes and back; the form is in trace.h. */
#include "essa-emu/trace/trace.h"

#define TAG_KIND 0x0f
#define TAG_TIME 0x10
#define TAG_GFN	 0x20
#define TAG_NR	 0x40

#define VARINT_MAX_BYTES 10u

_Static_assert(TRACE_NR_KINDS <= TAG_KIND + 1, "kinds fit into a tag");
_Static_assert(TRACE_EVENT_MAX_BYTES == 1 + 3 * VARINT_MAX_BYTES, "an event");

static size_t put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

/* Return: bytes, 0 if it does not end in time or does not fit 64 bits. */
static size_t get(const uint8_t *p, size_t len, uint64_t *v)
{
	size_t n;

	*v = 0;
	for (n = 0; n < len && n < VARINT_MAX_BYTES; n++) {
		if (n == VARINT_MAX_BYTES - 1 && p[n] > 1)
			return 0;
		*v |= (uint64_t)(p[n] & 0x7f) << 7 * n;
		if (!(p[n] & 0x80))
			return n + 1;
	}
	return 0;
}

static uint64_t zigzag(uint64_t diff)
{
	return diff << 1 ^ (diff >> 63 ? UINT64_MAX : 0);
}

static uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ (v & 1 ? UINT64_MAX : 0);
}

static void remember(struct trace_coder *c, const struct trace_event *ev)
{
	c->time_ms = ev->time_ms;
	c->end = ev->gfn + ev->nr;
	c->ends[ev->kind] = c->end;
}

size_t trace_encode(struct trace_coder *c, const struct trace_event *ev,
		    uint8_t *out)
{
	size_t n = 1;

	out[0] = (uint8_t)ev->kind;
	if (ev->time_ms != c->time_ms) {
		out[0] |= TAG_TIME;
		n += put(out + n, ev->time_ms - c->time_ms);
	}
	if (ev->gfn != c->ends[ev->kind]) {
		out[0] |= TAG_GFN;
		n += put(out + n, zigzag(ev->gfn - c->end));
	}
	if (ev->nr != 1) {
		out[0] |= TAG_NR;
		n += put(out + n, ev->nr - 1);
	}
	remember(c, ev);
	return n;
}

size_t trace_decode(struct trace_coder *c, const uint8_t *p, size_t len,
		    struct trace_event *ev)
{
	size_t n = 1, part;
	uint64_t v;

	if (!len || (p[0] & TAG_KIND) >= TRACE_NR_KINDS || p[0] & 0x80)
		return 0;
	ev->kind = p[0] & TAG_KIND;
	ev->time_ms = c->time_ms;
	ev->gfn = c->ends[ev->kind];
	ev->nr = 1;
	if (p[0] & TAG_TIME) {
		part = get(p + n, len - n, &v);
		if (!part || v > UINT64_MAX - c->time_ms)
			return 0;
		ev->time_ms += v;
		n += part;
	}
	if (p[0] & TAG_GFN) {
		part = get(p + n, len - n, &v);
		if (!part)
			return 0;
		ev->gfn = c->end + unzigzag(v);
		n += part;
	}
	if (p[0] & TAG_NR) {
		part = get(p + n, len - n, &v);
		if (!part || v == UINT64_MAX)
			return 0;
		ev->nr = v + 1;
		n += part;
	}
	remember(c, ev);
	return n;
}

const char *trace_kind_name(unsigned int kind)
{
	static const char *const names[TRACE_NR_KINDS] = {
		"get state",
		"set stable",
		"set unused",
		"set volatile",
		"set potentially volatile",
		"set stable and make resident",
		"set stable if kept",
		"set pending",
		"commit volatile",
		"read",
		"write",
		"mark",
		"disk write",
		"end",
	};

	return kind < TRACE_NR_KINDS ? names[kind] : "?";
}
