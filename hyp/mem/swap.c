// SPDX-License-Identifier: GPL-2.0-only
/* Swap file; see swap.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyp/mem/host.h"
#include "hyp/mem/mem.h"
#include "hyp/mem/sparse.h"
#include "hyp/mem/swap.h"

static int open_unlinked(const char *dir)
{
	char *path;
	int fd;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	/* A file system without O_TMPFILE. */
	if (asprintf(&path, "%s/hyp-swap.XXXXXX", dir) < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		unlink(path);
	free(path);
	return fd;
}

/*
 * Only a transfer tells whether the file system can: some refuse it then, or
 * want another alignment.
 */
static void try_direct(struct swap *swap)
{
	static const uint8_t wrote[MEM_PAGE_SIZE]
		__attribute__((aligned(MEM_PAGE_SIZE))) = "swap";
	uint8_t page[MEM_PAGE_SIZE] __attribute__((aligned(MEM_PAGE_SIZE)));
	int flags = fcntl(swap->fd, F_GETFL);

	if (!host_may_have(HOST_DIRECT) || flags < 0 ||
	    fcntl(swap->fd, F_SETFL, flags | O_DIRECT))
		return;
	swap->direct = !swap_write(swap, 0, wrote, 1) &&
		       !swap_read(swap, 0, page, 1) &&
		       !memcmp(page, wrote, sizeof(page));
	if (!swap->direct)
		fcntl(swap->fd, F_SETFL, flags);
}

static size_t used_bytes(const struct swap *swap)
{
	return (swap->nr_slots / 64 + 1) * sizeof(*swap->used);
}

int swap_create(struct swap **out, const char *dir, uint64_t bytes,
		const char **why)
{
	struct swap *swap;
	int err;

	if (bytes < MEM_PAGE_SIZE || bytes / MEM_PAGE_SIZE >= UINT32_MAX) {
		*why = "swap size must be between 4K and 16T";
		return -EINVAL;
	}
	swap = calloc(1, sizeof(*swap));
	*why = "out of memory";
	if (!swap)
		return -ENOMEM;
	swap->nr_slots = (uint32_t)(bytes / MEM_PAGE_SIZE);
	swap->used = sparse_alloc(used_bytes(swap));
	err = -ENOMEM;
	if (!swap->used)
		goto err_free;
	swap->fd = open_unlinked(dir);
	err = swap->fd;
	*why = "cannot create the swap file: is the swap directory there and writable?";
	if (err < 0)
		goto err_free;
	try_direct(swap);
	if (ftruncate(swap->fd, 0) < 0 ||
	    ftruncate(swap->fd, (off_t)swap->nr_slots * MEM_PAGE_SIZE) < 0) {
		err = -errno;
		*why = "the swap size is too large for the file system of the swap directory";
		goto err_close;
	}
	pthread_mutex_init(&swap->lock, NULL);
	*out = swap;
	return 0;

err_close:
	close(swap->fd);
err_free:
	sparse_free(swap->used, used_bytes(swap));
	free(swap);
	return err;
}

void swap_destroy(struct swap *swap)
{
	if (!swap)
		return;
	pthread_mutex_destroy(&swap->lock);
	close(swap->fd);
	sparse_free(swap->used, used_bytes(swap));
	free(swap);
}

static bool is_used(const struct swap *swap, uint32_t slot)
{
	return swap->used[slot / 64] >> slot % 64 & 1;
}

/* First free slot in [from, to), or @to. */
static uint32_t find_free(const struct swap *swap, uint32_t from, uint32_t to)
{
	while (from < to) {
		uint64_t freebits = ~swap->used[from / 64] >> from % 64;

		if (freebits) {
			from += (uint32_t)__builtin_ctzll(freebits);
			return from < to ? from : to;
		}
		from += 64 - from % 64;
	}
	return to;
}

/* First of the slots to take, or nr_slots: none is free. */
static uint32_t find_place(const struct swap *swap, uint64_t at)
{
	uint32_t slot;

	if (at < swap->nr_slots && !is_used(swap, (uint32_t)at))
		return (uint32_t)at;
	slot = find_free(swap, swap->next, swap->nr_slots);
	if (slot < swap->nr_slots)
		return slot;
	slot = find_free(swap, 0, swap->next);
	return slot < swap->next ? slot : swap->nr_slots;
}

uint32_t swap_alloc(struct swap *swap, uint64_t at, uint32_t want,
		    uint32_t *slot)
{
	uint32_t nr = 0;
	uint32_t first;

	pthread_mutex_lock(&swap->lock);
	first = find_place(swap, at);
	while (nr < want && first + nr < swap->nr_slots &&
	       !is_used(swap, first + nr)) {
		swap->used[(first + nr) / 64] |= 1ull << (first + nr) % 64;
		nr++;
	}
	if (nr) {
		swap->next = first + nr < swap->nr_slots ? first + nr : 0;
		swap->nr_used += nr;
	}
	*slot = first;
	pthread_mutex_unlock(&swap->lock);
	return nr;
}

void swap_free(struct swap *swap, uint32_t slot, uint32_t nr)
{
	uint32_t i;

	pthread_mutex_lock(&swap->lock);
	for (i = slot; i < slot + nr; i++)
		swap->used[i / 64] &= ~(1ull << i % 64);
	swap->nr_used -= nr;
	pthread_mutex_unlock(&swap->lock);
}

bool swap_is_full(struct swap *swap)
{
	bool full;

	pthread_mutex_lock(&swap->lock);
	full = swap->nr_used == swap->nr_slots;
	pthread_mutex_unlock(&swap->lock);
	return full;
}

/* All of it, or an error.  A short file has lost pages: never make zeros of them. */
static int transfer(const struct swap *swap, uint32_t slot, char *p,
		    uint32_t nr, bool out)
{
	off_t off = (off_t)slot * MEM_PAGE_SIZE;
	size_t len = (size_t)nr * MEM_PAGE_SIZE;
	ssize_t n;

	while (len) {
		n = out ? pwrite(swap->fd, p, len, off) :
			  pread(swap->fd, p, len, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return out ? -EIO : -ENODATA;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

int swap_write(struct swap *swap, uint32_t slot, const void *src, uint32_t nr)
{
	return transfer(swap, slot, (char *)src, nr, true);
}

int swap_read(struct swap *swap, uint32_t slot, void *dst, uint32_t nr)
{
	return transfer(swap, slot, dst, nr, false);
}
