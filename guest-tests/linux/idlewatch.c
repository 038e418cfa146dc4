// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says which pages the guest uses, for a trace (hyp run --record): marks all
 * pages idle, and a while later writes which of them no longer are.
 *
 *	idlewatch DISK FRAMES MS	for ever
 *	idlewatch DISK --mark N		phase N begins
 *
 * Sample n is a bitmap of the frames used, written to its own place behind the
 * first SAMPLES_SECTOR sectors of the disk; a mark is a write to sector N.
 * The recorder has these writes in their place among the state operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest-tests/linux/idlewatch.h"

#define BITMAP "/sys/kernel/mm/page_idle/bitmap"

static int die(const char *what)
{
	fprintf(stderr, "idlewatch: %s: %s\n", what, strerror(errno));
	return 1;
}

static int mark(int disk, uint64_t phase, void *buf)
{
	memset(buf, 0, 512);
	if (pwrite(disk, buf, 512, (off_t)(phase * 512)) != 512)
		return die("mark");
	return 0;
}

static int read_all(int fd, void *buf, size_t len)
{
	return pread(fd, buf, len, 0) == (ssize_t)len ? 0 : -1;
}

static int set_all(int fd, void *ones, size_t len)
{
	/* The file takes less than all of it at a time: no more than a page. */
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (char *)ones + done, len - done,
				   (off_t)done);

		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* @was: idle a moment after all were marked: pages that can be tracked. */
static int sample(int fd, int disk, uint64_t nr, uint64_t *ones, uint64_t *was,
		  uint64_t *now, size_t len, size_t slot)
{
	size_t i;

	if (read_all(fd, now, len))
		return die(BITMAP);
	for (i = 0; i < len / 8; i++)
		now[i] = was[i] & ~now[i];
	if (pwrite(disk, now, slot,
		   (off_t)(SAMPLES_SECTOR * 512 + nr * slot)) != (ssize_t)slot)
		return die("sample");
	if (set_all(fd, ones, len) || read_all(fd, was, len))
		return die(BITMAP);
	return 0;
}

static int watch(int disk, uint64_t frames, long ms, char *buf)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	size_t len = (frames + 63) / 64 * 8;
	size_t slot = SAMPLE_BYTES(frames);
	uint64_t *ones = (void *)buf;
	uint64_t *was = (void *)(buf + slot);
	uint64_t *now = (void *)(buf + 2 * slot);
	int fd = open(BITMAP, O_RDWR);
	uint64_t nr;

	if (fd < 0)
		return die(BITMAP);
	memset(buf, 0, 3 * slot);
	memset(ones, 0xff, len);
	if (set_all(fd, ones, len) || read_all(fd, was, len))
		return die(BITMAP);
	for (nr = 0;; nr++) {
		nanosleep(&ts, NULL);
		if (sample(fd, disk, nr, ones, was, now, len, slot))
			return 1;
	}
}

int main(int argc, char **argv)
{
	uint64_t frames;
	void *buf;
	int disk;

	if (argc != 4) {
		fputs("usage: idlewatch DISK FRAMES MS | DISK --mark N\n",
		      stderr);
		return 2;
	}
	disk = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		return die(argv[1]);
	frames = strtoull(argv[2], NULL, 0);
	if (posix_memalign(&buf, 4096, 3 * SAMPLE_BYTES(frames) + 4096))
		return die("memory");
	if (!strcmp(argv[2], "--mark"))
		return mark(disk, strtoull(argv[3], NULL, 0), buf);
	return watch(disk, frames, strtol(argv[3], NULL, 0), buf);
}
