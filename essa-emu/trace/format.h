/* SPDX-License-Identifier: GPL-2.0-only */
/* Header of a trace file, for load.c and writer.c; described in trace.h. */
#ifndef ESSA_TRACE_FORMAT_H
#define ESSA_TRACE_FORMAT_H

#include <stdint.h>

#define TRACE_MAGIC	   "essatrc\n"
#define TRACE_HEADER_BYTES 32

static inline uint32_t trace_get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static inline uint64_t trace_get64(const uint8_t *p)
{
	return trace_get32(p) | (uint64_t)trace_get32(p + 4) << 32;
}

static inline void trace_put32(uint8_t *p, uint32_t v)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline void trace_put64(uint8_t *p, uint64_t v)
{
	trace_put32(p, (uint32_t)v);
	trace_put32(p + 4, (uint32_t)(v >> 32));
}

#endif /* ESSA_TRACE_FORMAT_H */
