// SPDX-License-Identifier: GPL-2.0-only
/* Discards; the late-release rule is in discard.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/mem/ages.h"
#include "hyp/mem/discard.h"
#include "hyp/mem/host.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

/* Low bits of a run; the frame above makes runs sort by address. */
#define DISCARD_PAGE  1u /* there is a page to release */
#define DISCARD_MARK  2u /* a touch is a discard fault: needs a marker */
#define DISCARD_CLEAN 4u /* it was Potentially Volatile */
#define DISCARD_AREA  8u /* as DISCARD_PAGE; it was in probation */
#define DISCARD_SHIFT 4

/* Commits come in the order of addresses mostly: a run grows at its end. */
static void add(struct discard_batch *b, uint64_t entry)
{
	struct discard_run *last = b->nr_runs ? &b->run[b->nr_runs - 1] : NULL;

	b->nr++;
	if (last &&
	    last->first + ((uint64_t)last->nr << DISCARD_SHIFT) == entry)
		last->nr++;
	else
		b->run[b->nr_runs++] = (struct discard_run){ entry, 1 };
}

int __discard_commit(struct mem *mem, struct discard_batch *b, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];
	uint64_t entry = idx << DISCARD_SHIFT;
	uint8_t old;

	if (f->busy || f->pins)
		return -EBUSY;
	if (f->content == FRAME_ZERO)
		return -EINVAL;
	/*
	 * R-POT-3: with the mark of this moment.  A write that comes now finds
	 * the frame busy and waits for the end of the release (track.h).
	 */
	if (__state_commit_discard(mem, idx, &old))
		return -EBUSY;
	f->busy = FRAME_DISCARD;
	f->armed = 0;
	if (f->content == FRAME_RESIDENT)
		entry |= f->parked ? DISCARD_AREA : DISCARD_PAGE;
	if (f->parked)
		__probation_leave(mem, idx);
	if ((old & ESSA_USAGE_MASK) != ESSA_UNUSED)
		entry |= DISCARD_MARK;
	if ((old & ESSA_USAGE_MASK) == ESSA_POTENTIAL)
		entry |= DISCARD_CLEAN;
	add(b, entry);
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

static int cmp_run(const void *a, const void *b)
{
	const struct discard_run *x = a;
	const struct discard_run *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Next run of neighbours in @b from *@i on that all have @flag. */
static unsigned int next_run(const struct discard_batch *b, unsigned int *i,
			     unsigned int flag, uint64_t *idx)
{
	unsigned int nr = 0;

	while (*i < b->nr_runs && !(b->run[*i].first & flag))
		(*i)++;
	if (*i == b->nr_runs)
		return 0;
	*idx = b->run[*i].first >> DISCARD_SHIFT;
	while (*i < b->nr_runs && (b->run[*i].first & flag) &&
	       b->run[*i].first >> DISCARD_SHIFT == *idx + nr)
		nr += b->run[(*i)++].nr;
	return nr;
}

static int advise(struct mem *mem, struct iovec *iov, unsigned int nr,
		  size_t bytes)
{
	unsigned int i;

	if (nr > 1 && mem->has_process_madvise &&
	    syscall(SYS_process_madvise, mem->self_fd, iov, nr, MADV_DONTNEED,
		    0) == (ssize_t)bytes)
		return 0;
	for (i = 0; i < nr; i++)
		if (madvise(iov[i].iov_base, iov[i].iov_len, MADV_DONTNEED))
			return -errno;
	return 0;
}

/* Pages with @flag, which are from @base on.  Return: how many. */
static uint32_t release_pages(struct mem *mem, const struct discard_batch *b,
			      unsigned int flag, uint8_t *base)
{
	struct iovec iov[DISCARD_BATCH];
	unsigned int nr_iov = 0;
	unsigned int i = 0;
	uint32_t pages = 0;
	unsigned int nr;
	uint64_t idx;
	int err;

	while ((nr = next_run(b, &i, flag, &idx))) {
		iov[nr_iov].iov_base = base + (idx << MEM_PAGE_SHIFT);
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

/* Frames of one block; bit i: frame @idx + i. */
struct block {
	uint64_t idx;
	uint64_t all, paged_out, marked, clean;
};

/* One lock for all of them. */
static void publish_block(struct mem *mem, const struct block *bl)
{
	uint32_t slot[FRAME_BLOCK];
	unsigned int nr_slots = 0;
	uint64_t wake = 0;
	uint64_t left;
	unsigned int i;

	frame_lock(mem, bl->idx);
	/* Before the guest can know that these discards are over. */
	mem_count(&mem->count.discarded_volatile,
		  (unsigned int)__builtin_popcountll(bl->marked & ~bl->clean));
	mem_count(&mem->count.discarded_potential,
		  (unsigned int)__builtin_popcountll(bl->clean));
	mem_count(&mem->count.discarded_unused,
		  (unsigned int)__builtin_popcountll(bl->all & ~bl->marked));
	for (left = bl->all; left; left &= left - 1) {
		uint64_t bit = left & -left;
		uint64_t idx = bl->idx + (unsigned int)__builtin_ctzll(left);
		struct frame *f = &mem->frames[idx];

		if (bl->paged_out & bit)
			slot[nr_slots++] = f->slot;
		f->content = FRAME_ZERO;
		f->poisoned = !!(bl->marked & bit);
		ages_forget(mem, idx);
		refault_left(mem, idx);
		if (__frame_publish(mem, idx))
			wake |= bit;
		/*
		 * Under the stripe: ESSA_CMD_WAIT takes it, so it cannot
		 * return between the publication and this and make the guest
		 * ask again.
		 */
		__state_released(mem, idx);
	}
	mem_recount(mem, FRAME_PRESERVED, FRAME_ZERO, nr_slots);
	mem_recount(mem, FRAME_RESIDENT, FRAME_ZERO,
		    (unsigned int)__builtin_popcountll(bl->all) - nr_slots);
	frame_unlock(mem, bl->idx);
	for (; wake; wake &= wake - 1)
		uffd_wake(mem->uffd,
			  mem_hva(mem, bl->idx + (unsigned int)__builtin_ctzll(
							 wake)),
			  MEM_PAGE_SIZE);
	for (i = 0; i < nr_slots; i++)
		swap_free(mem->swap, slot[i], 1);
}

static void publish(struct mem *mem, const struct discard_batch *b)
{
	struct block bl = { .all = 0 };
	unsigned int i, n, at;
	uint64_t idx, end, bits;

	for (i = 0; i < b->nr_runs; i++) {
		const struct discard_run *run = &b->run[i];

		idx = run->first >> DISCARD_SHIFT;
		end = idx + run->nr;
		for (; idx < end; idx += n) {
			at = idx % FRAME_BLOCK;
			n = FRAME_BLOCK - at;
			if (n > end - idx)
				n = (unsigned int)(end - idx);
			if (bl.all && bl.idx != idx - at) {
				publish_block(mem, &bl);
				bl = (struct block){ .all = 0 };
			}
			bits = (n < 64 ? (1ull << n) - 1 : ~0ull) << at;
			bl.idx = idx - at;
			bl.all |= bits;
			if (!(run->first & (DISCARD_PAGE | DISCARD_AREA)))
				bl.paged_out |= bits;
			if (run->first & DISCARD_MARK)
				bl.marked |= bits;
			if (run->first & DISCARD_CLEAN)
				bl.clean |= bits;
		}
	}
	publish_block(mem, &bl);
}

void discard_flush(struct mem *mem, struct discard_batch *b)
{
	uint32_t pages;

	if (!b->nr)
		return;
	qsort(b->run, b->nr_runs, sizeof(b->run[0]), cmp_run);
	pages = release_pages(mem, b, DISCARD_PAGE, mem->ram) +
		release_pages(mem, b, DISCARD_AREA, mem->probation.area);
	place_markers(mem, b);
	publish(mem, b);
	b->nr = 0;
	b->nr_runs = 0;
	b->nr_freed += pages;
	limit_uncharge(mem, pages);
	if (!pages)
		watch_look(mem);
}

void discard_probe(struct mem *mem)
{
	struct iovec iov = { .iov_base = mem->ram, .iov_len = MEM_PAGE_SIZE };

	mem->has_process_madvise =
		host_may_have(HOST_PROCESS_MADVISE) && mem->self_fd >= 0 &&
		syscall(SYS_process_madvise, mem->self_fd, &iov, 1,
			MADV_DONTNEED, 0) == MEM_PAGE_SIZE;
}
