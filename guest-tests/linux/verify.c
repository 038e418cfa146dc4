// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways to read a file.  All end in the checksum of the manifest, except
 * the direct one, which compares what the disk holds with what the page cache
 * shows; the same comparison says after a mismatch which page is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-tests/lib/sum.h"
#include "guest-tests/linux/workload.h"

#define DIRECT_LEN   (256u << 10)
#define STANDING_MAX (2u << 20)

void count(struct worker *w, enum kind kind, uint64_t bytes)
{
	w->totals->kind[kind]++;
	w->totals->bytes += bytes;
}

static bool all_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	return len && !b[0] && !memcmp(b, b + 1, len - 1);
}

int mismatch(struct worker *w, const char *path, const char *how, uint64_t page,
	     uint64_t want, uint64_t have, const void *content)
{
	w->totals->mismatches++;
	fprintf(stderr,
		"MISMATCH: process %u, %s, by %s, page %" PRIu64
		" (offset %#" PRIx64 "): expected %016" PRIx64
		", found %016" PRIx64 "%s\n",
		w->id, path, how, page, page * WL_PAGE, want, have,
		!content		   ? "" :
		all_zero(content, WL_PAGE) ? ", page all zero" :
					     ", page not zero");
	return 1;
}

static uint64_t first_word(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Compare @len bytes at @off of the disk (in w->buf) and the cache (@seen). */
static int compare(struct worker *w, const struct file *f, const char *how,
		   uint64_t off, const uint8_t *seen, size_t len)
{
	size_t i, n;

	for (i = 0; i < len; i += WL_PAGE) {
		n = len - i < WL_PAGE ? len - i : WL_PAGE;
		if (memcmp(w->buf + i, seen + i, n))
			return mismatch(w, f->path, how, (off + i) / WL_PAGE,
					first_word(w->buf + i),
					first_word(seen + i), seen + i);
	}
	return 0;
}

/* What differs between disk and cache now: page by page, whole file. */
static int diagnose(struct worker *w, const struct file *f, const char *how,
		    uint64_t sum)
{
	uint64_t off;
	ssize_t n;
	void *map;
	int bad = 0;
	int fd, cfd;

	fprintf(stderr,
		"MISMATCH: process %u, %s, by %s: checksum %016" PRIx64
		", found %016" PRIx64 ", %" PRIu64 " bytes\n",
		w->id, f->path, how, f->sum, sum, f->size);
	w->totals->mismatches++;
	fd = open(f->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	cfd = open(f->path, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, f->size, PROT_READ, MAP_SHARED, cfd, 0);
	for (off = 0; fd >= 0 && map != MAP_FAILED && off < f->size;
	     off += (uint64_t)n) {
		n = pread(fd, w->buf, DIRECT_LEN, (off_t)off);
		if (n <= 0)
			break;
		bad |= compare(w, f, how, off, (uint8_t *)map + off, (size_t)n);
	}
	if (!bad)
		fprintf(stderr, "MISMATCH: page cache and disk agree now\n");
	if (map != MAP_FAILED)
		munmap(map, f->size);
	if (fd >= 0)
		close(fd);
	if (cfd >= 0)
		close(cfd);
	return 1;
}

static int conclude(struct worker *w, const struct file *f, const char *how,
		    uint64_t sum)
{
	return sum == f->sum ? 0 : diagnose(w, f, how, sum);
}

static int sum_fd(struct worker *w, int fd, uint64_t *sum)
{
	ssize_t n;

	*sum = SUM_INIT;
	/* Regular files: only the last read is short. */
	while ((n = read(fd, w->buf, w->buf_len)) > 0)
		*sum = sum_update(*sum, w->buf, (size_t)n);
	return n < 0 ? -errno : 0;
}

static int by_read(struct worker *w, const struct file *f, int fd)
{
	uint64_t sum;
	int err = sum_fd(w, fd, &sum);

	if (err)
		return err;
	count(w, KIND_READ, f->size);
	return conclude(w, f, "read", sum);
}

static int by_mmap(struct worker *w, const struct file *f, int fd, bool shared)
{
	uint64_t sum;
	void *p;

	p = mmap(NULL, f->size, PROT_READ, shared ? MAP_SHARED : MAP_PRIVATE,
		 fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	sum = sum_update(SUM_INIT, p, f->size);
	count(w, shared ? KIND_MMAP_SHARED : KIND_MMAP_PRIVATE, f->size);
	munmap(p, f->size);
	return conclude(w, f, shared ? "mmap shared" : "mmap private", sum);
}

/* Dirty a few private copies; all but the words written must stay the file's. */
static int by_cow(struct worker *w, const struct file *f, int fd)
{
	uint64_t pages = f->size / WL_PAGE;
	struct {
		uint64_t *p, old, value;
	} writes[8];
	unsigned int nr = 0, i;
	uint64_t sum, r;
	uint8_t *map;
	int ret = 0;

	map = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	for (i = 0; pages && i < 8; i++) {
		uint64_t page;

		r = rng_next(&w->rng);
		page = r % pages;
		writes[nr].p = (uint64_t *)(map + page * WL_PAGE +
					    (r >> 40) % (WL_PAGE / 8) * 8);
		writes[nr].value = r;
		/* The first access to a page is a write half of the time. */
		if (r >> 63) {
			writes[nr].old = *writes[nr].p;
			*writes[nr].p = r;
		} else {
			writes[nr].old = __atomic_exchange_n(writes[nr].p, r,
							     __ATOMIC_RELAXED);
		}
		nr++;
	}
	/* Undone in reverse order: two writes may be to one word. */
	while (nr--) {
		if (*writes[nr].p != writes[nr].value && !ret)
			ret = mismatch(
				w, f->path, "private copy",
				(uint64_t)((uint8_t *)writes[nr].p - map) /
					WL_PAGE,
				writes[nr].value, *writes[nr].p, NULL);
		*writes[nr].p = writes[nr].old;
	}
	sum = sum_update(SUM_INIT, map, f->size);
	count(w, KIND_COW, f->size);
	munmap(map, f->size);
	return ret ? ret : conclude(w, f, "private copy", sum);
}

static int by_direct(struct worker *w, const struct file *f, int fd)
{
	uint64_t pages = f->size / WL_PAGE;
	int dfd, ret = 0;
	unsigned int i;
	uint8_t *map;
	ssize_t n;

	dfd = open(f->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (dfd < 0)
		return -errno;
	map = mmap(NULL, f->size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		ret = -errno;
		goto out_close;
	}
	for (i = 0; i < 4 && !ret; i++) {
		uint64_t off = pages ? rng_next(&w->rng) % pages * WL_PAGE : 0;

		n = pread(dfd, w->buf, DIRECT_LEN, (off_t)off);
		if (n < 0) {
			ret = -errno;
			break;
		}
		ret = compare(w, f, "direct read against mmap", off, map + off,
			      (size_t)n);
		count(w, KIND_DIRECT, (uint64_t)n);
	}
	munmap(map, f->size);
out_close:
	close(dfd);
	return ret;
}

static int by_sendfile(struct worker *w, const struct file *f, int fd)
{
	uint64_t left = f->size;
	uint64_t sum;
	ssize_t n;
	int err;

	if (ftruncate(w->tmp_fd, 0) || lseek(w->tmp_fd, 0, SEEK_SET))
		return -errno;
	while (left) {
		n = sendfile(w->tmp_fd, fd, NULL, left);
		if (n < 0)
			return -errno;
		if (!n)
			break;
		left -= (uint64_t)n;
	}
	if (lseek(w->tmp_fd, 0, SEEK_SET))
		return -errno;
	err = sum_fd(w, w->tmp_fd, &sum);
	if (ftruncate(w->tmp_fd, 0))
		return -errno;
	if (err)
		return err;
	count(w, KIND_SENDFILE, f->size);
	return conclude(w, f, "sendfile", sum);
}

/* The checksum wants multiples of 8 bytes but for the end of the file. */
static int read_full(int fd, uint8_t *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, buf + done, len - done);
		if (n < 0)
			return -errno;
		if (!n)
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static int by_splice(struct worker *w, const struct file *f, int fd)
{
	uint64_t sum = SUM_INIT, left = f->size;
	int pipe_fd[2];
	int err = 0;
	ssize_t n;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return -errno;
	while (left && !err) {
		n = splice(fd, NULL, pipe_fd[1], NULL, 16 * WL_PAGE, 0);
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		err = read_full(pipe_fd[0], w->buf, (size_t)n);
		sum = sum_update(sum, w->buf, (size_t)n);
		left -= (uint64_t)n;
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	if (err)
		return err;
	count(w, KIND_SPLICE, f->size);
	return conclude(w, f, "splice", sum);
}

static int by_exec(struct worker *w, const struct file *f)
{
	char *argv[] = { f->path, NULL };
	char line[64] = "";
	int pipe_fd[2];
	int status;
	FILE *out;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		status = -errno;
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return status;
	}
	if (!pid) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		execv(f->path, argv);
		_exit(127);
	}
	close(pipe_fd[1]);
	out = fdopen(pipe_fd[0], "r");
	if (out) {
		if (!fgets(line, sizeof(line), out))
			line[0] = '\0';
		fclose(out);
	} else {
		close(pipe_fd[0]);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "MISMATCH: %s: wait status %#x\n", f->path,
			status);
		return diagnose(w, f, "exec", 0);
	}
	count(w, KIND_EXEC, f->size);
	return conclude(w, f, "exec", strtoull(line, NULL, 16));
}

int verify_file(struct worker *w, const struct file *f)
{
	uint64_t r = rng_next(&w->rng) >> 8;
	int fd, ret;

	w->totals->files++;
	if (f->executable && r % 4 != 3)
		return by_exec(w, f);
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	switch (f->size ? (r >> 8) % 8 : 0) {
	case 0:
	case 1:
		ret = by_read(w, f, fd);
		break;
	case 2:
		ret = by_mmap(w, f, fd, false);
		break;
	case 3:
		ret = by_mmap(w, f, fd, true);
		break;
	case 4:
		ret = by_cow(w, f, fd);
		break;
	case 5:
		ret = by_direct(w, f, fd);
		break;
	case 6:
		ret = by_sendfile(w, f, fd);
		break;
	default:
		ret = by_splice(w, f, fd);
	}
	close(fd);
	return ret;
}

static int standing_map(struct standing *s, const struct file *f, bool shared,
			bool apart)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	s->map = mmap(NULL, f->size, PROT_READ,
		      shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (s->map == MAP_FAILED)
		err = -errno;
	else
		s->file = f;
	/* Without readahead every discarded page costs a fault of its own. */
	if (!err && apart)
		madvise(s->map, f->size, MADV_RANDOM);
	close(fd);
	return err;
}

/*
 * Pages that are mapped all the time are those a host can discard behind a
 * page table entry: only touching them again finds out.
 */
int standing_step(struct worker *w, const struct manifest *m)
{
	uint64_t r = rng_next(&w->rng) >> 8;
	struct standing *s = &w->standing[r % NR_STANDING];
	const struct file *f = &m->files[(r >> 16) % m->nr];
	uint64_t sum;

	if (s->file && (r >> 8) % 16) {
		sum = sum_update(SUM_INIT, s->map, s->file->size);
		count(w, KIND_STANDING, s->file->size);
		return conclude(w, s->file, "standing mapping", sum);
	}
	if (!f->size || f->size > STANDING_MAX)
		return 0;
	if (s->file)
		munmap(s->map, s->file->size);
	s->file = NULL;
	return standing_map(s, f, r >> 40 & 1, r >> 41 & 1);
}
