/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzz targets share: bytes that become decisions, and what must hold.
 * Each target is a function of its input alone, links the code that runs in hyp,
 * and ends by must() where that code is wrong without a sanitizer's noticing.
 */
#ifndef HYP_FUZZ_INPUT_H
#define HYP_FUZZ_INPUT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* libFuzzer's: called with every input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const uint8_t *data;
	size_t len;
};

#define must(holds)                                                            \
	do {                                                                   \
		if (!(holds)) {                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#holds);                                       \
			abort();                                               \
		}                                                              \
	} while (0)

/* The next @len bytes to @buf; zeros when there are no more. */
static inline void take(struct input *in, void *buf, size_t len)
{
	size_t n = len < in->len ? len : in->len;

	memset(buf, 0, len);
	if (!n)
		return;
	memcpy(buf, in->data, n);
	in->data += n;
	in->len -= n;
}

static inline uint8_t take_byte(struct input *in)
{
	uint8_t value;

	take(in, &value, sizeof(value));
	return value;
}

static inline uint16_t take_word(struct input *in)
{
	uint16_t value;

	take(in, &value, sizeof(value));
	return value;
}

static inline uint32_t take_long(struct input *in)
{
	uint32_t value;

	take(in, &value, sizeof(value));
	return value;
}

static inline uint64_t take_quad(struct input *in)
{
	uint64_t value;

	take(in, &value, sizeof(value));
	return value;
}

/* A number that is often small, or near @edge, where mistakes are. */
static inline uint64_t take_number(struct input *in, uint64_t edge)
{
	uint8_t kind = take_byte(in);

	switch (kind & 3) {
	case 0:
		return kind >> 2;
	case 1:
		return edge + (uint64_t)(kind >> 2) - 32;
	case 2:
		return edge ? take_long(in) % edge : 0;
	default:
		return take_quad(in);
	}
}

/* A file with these bytes and no name but @path, which has room for it. */
static inline int file_of(const void *data, size_t len, char path[32])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

#endif /* HYP_FUZZ_INPUT_H */
