// SPDX-License-Identifier: GPL-2.0-only
/* Discards; the late-release rule is in discard.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/mem/discard.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

/* Low bits of an entry; the frame above makes entries sort by address. */
#define DISCARD_PAGE  1u /* there is a page to release */
#define DISCARD_MARK  2u /* a touch is a discard fault: needs a marker */
#define DISCARD_SHIFT 2

int __discard_commit(struct mem *mem, struct discard_batch *b, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];
	uint64_t entry = idx << DISCARD_SHIFT;
	uint8_t old;

	if (f->busy || f->pins)
		return -EBUSY;
	if (f->content == FRAME_ZERO)
		return -EINVAL;
	if (__state_commit_discard(mem, idx, &old))
		return -EBUSY;
	f->busy = FRAME_DISCARD;
	if (f->content == FRAME_RESIDENT)
		entry |= DISCARD_PAGE;
	if ((old & ESSA_USAGE_MASK) != ESSA_UNUSED)
		entry |= DISCARD_MARK;
	b->entry[b->nr++] = entry;
	return 0;
}

void discard_commit_block(struct mem *mem, struct discard_batch *b,
			  uint64_t idx, uint64_t mask)
{
	unsigned int lost = 0;

	if (b->nr + FRAME_BLOCK > DISCARD_BATCH)
		discard_flush(mem, b);
	frame_lock(mem, idx);
	for (; mask; mask &= mask - 1)
		if (__discard_commit(mem, b,
				     idx + (unsigned int)__builtin_ctzll(
						   mask)) == -EBUSY)
			lost++;
	frame_unlock(mem, idx);
	if (lost)
		mem_count(&mem->count.discard_lost, lost);
}

static int cmp_entry(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Next run of neighbours in @b from *@i on that all have @flag. */
static unsigned int next_run(const struct discard_batch *b, unsigned int *i,
			     unsigned int flag, uint64_t *idx)
{
	unsigned int nr = 1;

	while (*i < b->nr && !(b->entry[*i] & flag))
		(*i)++;
	if (*i == b->nr)
		return 0;
	*idx = b->entry[*i] >> DISCARD_SHIFT;
	while (*i + nr < b->nr && (b->entry[*i + nr] & flag) &&
	       b->entry[*i + nr] >> DISCARD_SHIFT == *idx + nr)
		nr++;
	*i += nr;
	return nr;
}

static int advise(struct mem *mem, struct iovec *iov, unsigned int nr,
		  size_t bytes)
{
	unsigned int i;

	if (mem->has_process_madvise &&
	    syscall(SYS_process_madvise, mem->self_fd, iov, nr, MADV_DONTNEED,
		    0) == (ssize_t)bytes)
		return 0;
	for (i = 0; i < nr; i++)
		if (madvise(iov[i].iov_base, iov[i].iov_len, MADV_DONTNEED))
			return -errno;
	return 0;
}

static uint32_t release_pages(struct mem *mem, const struct discard_batch *b)
{
	struct iovec iov[DISCARD_BATCH];
	unsigned int nr_iov = 0;
	unsigned int i = 0;
	uint32_t pages = 0;
	unsigned int nr;
	uint64_t idx;
	int err;

	while ((nr = next_run(b, &i, DISCARD_PAGE, &idx))) {
		iov[nr_iov].iov_base = mem_hva(mem, idx);
		iov[nr_iov++].iov_len = (size_t)nr * MEM_PAGE_SIZE;
		pages += nr;
	}
	if (!nr_iov)
		return 0;
	err = advise(mem, iov, nr_iov, (size_t)pages * MEM_PAGE_SIZE);
	if (err)
		mem_fatal(
			mem, err,
			"cannot release guest memory: is it locked (mlockall)?");
	mem_count(&mem->count.release_batches, 1);
	return pages;
}

static void place_markers(struct mem *mem, const struct discard_batch *b)
{
	unsigned int i = 0;
	unsigned int nr;
	uint64_t idx;
	int err;

	while ((nr = next_run(b, &i, DISCARD_MARK, &idx))) {
		err = uffd_poison(mem->uffd, mem_hva(mem, idx),
				  (size_t)nr * MEM_PAGE_SIZE);
		/* Without a marker a touch would read zeros silently. */
		if (err)
			mem_fatal(
				mem, err,
				"cannot mark discarded guest memory: out of memory for page tables?");
	}
}

/* Entries of one block, in order: one lock for all of them. */
static void publish_block(struct mem *mem, const uint64_t *entry,
			  unsigned int nr)
{
	uint64_t first = entry[0] >> DISCARD_SHIFT;
	uint32_t slot[FRAME_BLOCK];
	unsigned int nr_slots = 0;
	uint64_t wake = 0;
	unsigned int i;

	frame_lock(mem, first);
	for (i = 0; i < nr; i++) {
		uint64_t idx = entry[i] >> DISCARD_SHIFT;
		struct frame *f = &mem->frames[idx];

		if (!(entry[i] & DISCARD_PAGE))
			slot[nr_slots++] = f->slot;
		f->content = FRAME_ZERO;
		f->poisoned = !!(entry[i] & DISCARD_MARK);
		if (__frame_publish(mem, idx))
			wake |= 1ull << (idx - first);
		/*
		 * Under the stripe: ESSA_CMD_WAIT takes it, so it cannot
		 * return between the publication and this and make the guest
		 * ask again.
		 */
		__state_released(mem, idx);
	}
	frame_unlock(mem, first);
	for (; wake; wake &= wake - 1)
		uffd_wake(mem->uffd,
			  mem_hva(mem,
				  first + (unsigned int)__builtin_ctzll(wake)),
			  MEM_PAGE_SIZE);
	for (i = 0; i < nr_slots; i++)
		swap_free(mem->swap, slot[i], 1);
	mem_uncount(&mem->count.preserved, nr_slots);
}

static void publish(struct mem *mem, const struct discard_batch *b)
{
	unsigned int marks = 0;
	unsigned int i = 0;
	unsigned int nr;

	while (i < b->nr) {
		uint64_t block = b->entry[i] >> DISCARD_SHIFT;

		block /= FRAME_BLOCK;
		for (nr = 0; i + nr < b->nr; nr++) {
			uint64_t entry = b->entry[i + nr];

			if ((entry >> DISCARD_SHIFT) / FRAME_BLOCK != block)
				break;
			marks += !!(entry & DISCARD_MARK);
		}
		publish_block(mem, &b->entry[i], nr);
		i += nr;
	}
	mem_count(&mem->count.discarded_volatile, marks);
	mem_count(&mem->count.discarded_unused, b->nr - marks);
}

void discard_flush(struct mem *mem, struct discard_batch *b)
{
	uint32_t pages;

	if (!b->nr)
		return;
	qsort(b->entry, b->nr, sizeof(b->entry[0]), cmp_entry);
	pages = release_pages(mem, b);
	place_markers(mem, b);
	publish(mem, b);
	b->nr = 0;
	b->nr_freed += pages;
	limit_uncharge(mem, pages);
}

void discard_probe(struct mem *mem)
{
	struct iovec iov = { .iov_base = mem->ram, .iov_len = MEM_PAGE_SIZE };

	mem->has_process_madvise = mem->self_fd >= 0 &&
				   syscall(SYS_process_madvise, mem->self_fd,
					   &iov, 1, MADV_DONTNEED,
					   0) == MEM_PAGE_SIZE;
}
