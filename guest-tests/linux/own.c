// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process writes itself: files whose every page is a function of
 * (file, page, version), and anonymous memory with stamps.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-tests/linux/workload.h"

#define OWN_FILES 6
#define OWN_PAGES 96
#define WORDS	  (WL_PAGE / 8)

struct own_file {
	char path[128];
	bool exists;
	unsigned int pages;
	uint64_t version[OWN_PAGES]; /* 0: reads as zeros */
};

struct own {
	char dir[96];
	struct own_file files[OWN_FILES];
	uint64_t next_version;
};

static uint64_t content(uint64_t key, unsigned int i)
{
	uint64_t v = key * 0x9e3779b97f4a7c15ull + i;

	v = (v ^ v >> 31) * 0xbf58476d1ce4e5b9ull;
	return key ? v ^ v >> 29 : 0;
}

static void fill(uint64_t *page, uint64_t key)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		page[i] = content(key, i);
}

static int check(struct worker *w, const char *path, const char *how,
		 uint64_t nr, const uint64_t *page, uint64_t key)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		uint64_t have = page[i];

		if (have != content(key, i))
			return mismatch(w, path, how, nr, content(key, i), have,
					page);
	}
	return 0;
}

static uint64_t new_version(struct worker *w)
{
	return ++w->own->next_version * 64 + w->id + 1;
}

static int write_full(int fd, const uint8_t *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, buf, len);
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A new file under another name, synced, renamed over the old one. */
static int own_write(struct worker *w, struct own_file *f)
{
	unsigned int pages =
		1 + (unsigned int)(rng_next(&w->rng) >> 32) % OWN_PAGES;
	char temp[sizeof(f->path) + 4];
	unsigned int i;
	int fd, err;

	snprintf(temp, sizeof(temp), "%s.new", f->path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	memset(f->version, 0, sizeof(f->version));
	for (i = 0; i < pages; i++) {
		f->version[i] = new_version(w);
		fill((uint64_t *)(w->buf + (size_t)i * WL_PAGE), f->version[i]);
	}
	err = write_full(fd, w->buf, (size_t)pages * WL_PAGE);
	if (!err && fsync(fd))
		err = -errno;
	close(fd);
	if (!err && rename(temp, f->path))
		err = -errno;
	f->exists = true;
	f->pages = pages;
	count(w, KIND_OWN_WRITE, 0);
	return err;
}

static int own_map(const struct own_file *f, int prot, void **map)
{
	int flags = prot & PROT_WRITE ? O_RDWR : O_RDONLY;
	int fd = open(f->path, flags | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	*map = mmap(NULL, (size_t)f->pages * WL_PAGE, prot, MAP_SHARED, fd, 0);
	if (*map == MAP_FAILED)
		err = -errno;
	close(fd);
	return err;
}

static int own_msync(struct worker *w, struct own_file *f)
{
	unsigned int i, page;
	void *map;
	int err;

	err = own_map(f, PROT_READ | PROT_WRITE, &map);
	if (err)
		return err;
	for (i = 0; i < 8 && !err; i++) {
		uint64_t *p;

		page = (unsigned int)(rng_next(&w->rng) >> 32) % f->pages;
		p = (uint64_t *)map + (size_t)page * WORDS;
		if (i & 1)
			err = check(w, f->path, "own shared mapping", page, p,
				    f->version[page]);
		f->version[page] = new_version(w);
		fill(p, f->version[page]);
	}
	if (!err && msync(map, (size_t)f->pages * WL_PAGE, MS_SYNC))
		err = -errno;
	munmap(map, (size_t)f->pages * WL_PAGE);
	count(w, KIND_OWN_MSYNC, 0);
	return err;
}

static int own_truncate(struct worker *w, struct own_file *f)
{
	unsigned int pages =
		1 + (unsigned int)(rng_next(&w->rng) >> 32) % OWN_PAGES;
	unsigned int i;

	if (truncate(f->path, (off_t)pages * WL_PAGE))
		return -errno;
	for (i = f->pages < pages ? f->pages : pages; i < OWN_PAGES; i++)
		f->version[i] = 0;
	f->pages = pages;
	count(w, KIND_OWN_TRUNCATE, 0);
	return 0;
}

static int own_unlink(struct worker *w, struct own_file *f)
{
	if (unlink(f->path))
		return -errno;
	f->exists = false;
	count(w, KIND_OWN_UNLINK, 0);
	return 0;
}

static int own_verify(struct worker *w, struct own_file *f)
{
	size_t len = (size_t)f->pages * WL_PAGE;
	bool by_map = rng_next(&w->rng) >> 63;
	const uint8_t *p = w->buf;
	void *map = NULL;
	unsigned int i;
	int ret = 0;

	if (by_map) {
		ret = own_map(f, PROT_READ, &map);
		p = map;
	} else {
		int fd = open(f->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (pread(fd, w->buf, len, 0) != (ssize_t)len)
			ret = -EIO;
		close(fd);
	}
	if (ret)
		return ret;
	for (i = 0; i < f->pages && !ret; i++)
		ret = check(w, f->path, by_map ? "own mmap" : "own read", i,
			    (const uint64_t *)(p + (size_t)i * WL_PAGE),
			    f->version[i]);
	if (by_map)
		munmap(map, len);
	count(w, KIND_OWN_VERIFY, len);
	return ret;
}

int own_create(struct worker *w)
{
	char dir[sizeof(w->own->dir)];
	unsigned int i;

	w->own = calloc(1, sizeof(*w->own));
	if (!w->own)
		return -ENOMEM;
	/* A run that was killed has left its files on the disk. */
	snprintf(dir, sizeof(dir), "%s/own.XXXXXX", w->root);
	if (!mkdtemp(dir))
		return -errno;
	memcpy(w->own->dir, dir, sizeof(dir));
	for (i = 0; i < OWN_FILES; i++)
		snprintf(w->own->files[i].path, sizeof(w->own->files[i].path),
			 "%s/%u", dir, i);
	return 0;
}

int own_step(struct worker *w)
{
	uint64_t r = rng_next(&w->rng) >> 16;
	struct own_file *f = &w->own->files[r % OWN_FILES];

	if (!f->exists)
		return own_write(w, f);
	switch ((r >> 8) % 8) {
	case 0:
		return own_write(w, f);
	case 1:
	case 2:
		return own_msync(w, f);
	case 3:
		return own_truncate(w, f);
	case 4:
		return own_unlink(w, f);
	default:
		return own_verify(w, f);
	}
}

int own_finish(struct worker *w)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < OWN_FILES && !ret; i++) {
		if (!w->own->files[i].exists)
			continue;
		ret = own_verify(w, &w->own->files[i]);
		if (!ret)
			ret = own_unlink(w, &w->own->files[i]);
	}
	if (!ret && rmdir(w->own->dir))
		ret = -errno;
	return ret;
}

static uint64_t *anon_page(struct worker *w, size_t i)
{
	return w->anon + i * WORDS;
}

int anon_create(struct worker *w, size_t nr_pages)
{
	size_t i;

	w->nr_anon = nr_pages;
	if (!nr_pages)
		return 0;
	w->stamps = calloc(nr_pages, sizeof(*w->stamps));
	w->anon = mmap(NULL, nr_pages * WL_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!w->stamps || w->anon == MAP_FAILED)
		return -ENOMEM;
	for (i = 0; i < nr_pages; i++) {
		w->stamps[i] = rng_next(&w->rng) | 1;
		fill(anon_page(w, i), w->stamps[i]);
	}
	return 0;
}

int anon_step(struct worker *w)
{
	unsigned int n;
	int ret = 0;

	for (n = 0; n < 16 && w->nr_anon && !ret; n++) {
		uint64_t r = rng_next(&w->rng) >> 8;
		size_t i = r % w->nr_anon;

		ret = check(w, "anonymous memory", "load", i, anon_page(w, i),
			    w->stamps[i]);
		count(w, KIND_ANON, WL_PAGE);
		if (r >> 48 & 1) {
			w->stamps[i] = r | 1;
			fill(anon_page(w, i), w->stamps[i]);
		}
	}
	return ret;
}
