// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/kvm/initrd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* cpio(5), "newc" and "crc": 13 fields of 8 hexadecimal digits behind the magic. */
#define CPIO_HEADER_BYTES 110
#define CPIO_FILESIZE	  54
#define CPIO_NAMESIZE	  94
#define CPIO_TRAILER	  "TRAILER!!!"

#define CHUNK_BYTES 65536

struct reader {
	int fd;
	uint64_t pos, len;
};

/* Return: bytes read, at the end of the file fewer than asked for, or errno. */
static ssize_t read_at(const struct reader *r, uint64_t pos, void *buf,
		       size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(r->fd, (char *)buf + done, len - done,
				  (off_t)(pos + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int skip_zeros(struct reader *r)
{
	char buf[CHUNK_BYTES];
	ssize_t n, i;

	while (r->pos < r->len) {
		n = read_at(r, r->pos, buf, sizeof(buf));
		if (n <= 0)
			return n < 0 ? (int)n : -EINVAL;
		for (i = 0; i < n && !buf[i]; i++)
			;
		r->pos += (uint64_t)i;
		if (i < n)
			break;
	}
	return 0;
}

static bool parse_hex(const char *digits, uint64_t *value)
{
	char text[9] = { 0 };
	int used = 0;
	unsigned int v;

	memcpy(text, digits, 8);
	if (sscanf(text, "%8x%n", &v, &used) != 1 || used != 8)
		return false;
	*value = v;
	return true;
}

static uint64_t align4(uint64_t n)
{
	return (n + 3) & ~3ull;
}

/*
 * One archive, up to and with its trailer.  What leads behind the end of the
 * file finds no header there.
 */
static int check_cpio(struct reader *r)
{
	char header[CPIO_HEADER_BYTES], name[sizeof(CPIO_TRAILER)];
	uint64_t file_bytes, name_bytes, next;
	ssize_t n;

	for (;;) {
		n = read_at(r, r->pos, header, sizeof(header));
		if (n < 0)
			return (int)n;
		if (n < CPIO_HEADER_BYTES || memcmp(header, "07070", 5) ||
		    !parse_hex(header + CPIO_FILESIZE, &file_bytes) ||
		    !parse_hex(header + CPIO_NAMESIZE, &name_bytes))
			return -EINVAL;
		n = read_at(r, r->pos + CPIO_HEADER_BYTES, name, sizeof(name));
		if (n < 0)
			return (int)n;
		next = align4(r->pos + CPIO_HEADER_BYTES + name_bytes) +
		       file_bytes;
		r->pos = align4(next);
		if (name_bytes == sizeof(CPIO_TRAILER) &&
		    (size_t)n == sizeof(name) &&
		    !memcmp(name, CPIO_TRAILER, sizeof(name)))
			return 0;
	}
}

static int check_gzip(struct reader *r)
{
	static const int any_window_gzip = 15 + 16;
	unsigned char in[CHUNK_BYTES], out[CHUNK_BYTES];
	z_stream z = { 0 };
	int ret = Z_OK;
	ssize_t n = 0;

	if (inflateInit2(&z, any_window_gzip) != Z_OK)
		return -ENOMEM;
	while (ret == Z_OK) {
		if (!z.avail_in) {
			n = read_at(r, r->pos, in, sizeof(in));
			if (n <= 0)
				break;
			r->pos += (uint64_t)n;
			z.next_in = in;
			z.avail_in = (uInt)n;
		}
		z.next_out = out;
		z.avail_out = sizeof(out);
		ret = inflate(&z, Z_NO_FLUSH);
	}
	r->pos -= z.avail_in;
	inflateEnd(&z);
	if (n < 0)
		return (int)n;
	return ret == Z_STREAM_END ? 0 : -EINVAL;
}

int initrd_check(int fd, uint64_t len)
{
	struct reader r = { .fd = fd, .len = len };
	unsigned char magic[5];
	ssize_t n;
	int err;

	for (;;) {
		err = skip_zeros(&r);
		if (err || r.pos >= len)
			return err;
		memset(magic, 0, sizeof(magic));
		n = read_at(&r, r.pos, magic, sizeof(magic));
		if (n < 0)
			return (int)n;
		if (!memcmp(magic, "07070", 5))
			err = check_cpio(&r);
		else if (magic[0] == 0x1f && magic[1] == 0x8b)
			err = check_gzip(&r);
		else
			return 0;
		if (err)
			return err;
	}
}
