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

/* The file gives and takes no more than a page at a time. */
static int all_of(int fd, void *buf, size_t len, int is_write)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		void *p = (char *)buf + done;

		n = is_write ? pwrite(fd, p, len - done, (off_t)done) :
			       pread(fd, p, len - done, (off_t)done);
		if (n <= 0)
			return die(BITMAP);
		done += (size_t)n;
	}
	return 0;
}

static int mark_idle(int fd, uint64_t *ones, uint64_t *was, size_t len)
{
	return all_of(fd, ones, len, 1) || all_of(fd, was, len, 0);
}

/* @was: idle a moment after all were marked: pages that can be tracked. */
static int sample(int fd, int disk, uint64_t nr, uint64_t *ones, uint64_t *was,
		  uint64_t *now, size_t len, size_t slot)
{
	size_t i;

	if (all_of(fd, now, len, 0))
		return 1;
	for (i = 0; i < len / 8; i++)
		now[i] = was[i] & ~now[i];
	if (pwrite(disk, now, slot,
		   (off_t)(SAMPLES_SECTOR * 512 + nr * slot)) != (ssize_t)slot)
		return die("sample");
	return mark_idle(fd, ones, was, len);
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
	if (mark_idle(fd, ones, was, len))
		return 1;
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
