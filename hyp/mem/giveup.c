// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames that the guest gives up (balloon, free page reporting).
 *
 * Unlike a discard nobody is told afterwards: the guest has promised not to
 * touch the frames until the device returns its request, which is after all of
 * this.  So there is no late release to guard against and no busy bit in the
 * byte; a guest that breaks its promise loses what it wrote and nothing else:
 * whoever touches a frame in between waits for its publication (frame.h) and
 * gets zeros.
 */
#include <errno.h>
#include <sys/mman.h>

#include "hyp/mem/discard.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

/* Frames of one block; bit i: frame @idx + i. */
struct claim {
	uint64_t idx;
	uint64_t taken;	   /* marked busy, by us */
	uint64_t resident; /* of these */
	uint64_t parked;   /* of the resident ones */
	uint64_t hinted;   /* volatile: may go as a discard only */
};

/* Return: frame at which to go on, up to @end, in the same block. */
static uint64_t claim_frames(struct mem *mem, struct claim *c, uint64_t first,
			     uint64_t end)
{
	uint64_t i;

	frame_lock(mem, first);
	for (i = first; i < end; i++) {
		struct frame *f = &mem->frames[i];
		uint64_t bit = 1ull << i % FRAME_BLOCK;

		/* No one waits while he has frames marked: that may be a circle. */
		if (f->busy && c->taken)
			break;
		if (__frame_wait_idle(mem, i) < 0) {
			i = end; /* the VM is stopping */
			break;
		}
		if (f->pins || f->content == FRAME_ZERO)
			continue;
		f->busy = FRAME_DISCARD;
		/* Refused if it would look like a discard: invariant 2. */
		if (__state_set_content(mem, i, FRAME_ZERO)) {
			f->busy = FRAME_IDLE;
			c->hinted |= bit;
			continue;
		}
		f->armed = 0; /* the page takes its protection along */
		c->taken |= bit;
		if (f->content == FRAME_RESIDENT)
			c->resident |= bit;
		if (f->parked) {
			__probation_leave(mem, i);
			c->parked |= bit;
		}
	}
	frame_unlock(mem, first);
	return i;
}

/* Pages of the block that begins at @block. */
static void release(struct mem *mem, uint8_t *block, uint64_t pages)
{
	unsigned int at, nr;

	for (at = 0; at < FRAME_BLOCK; at += nr) {
		bool set = pages >> at & 1;

		for (nr = 1;
		     at + nr < FRAME_BLOCK && (pages >> (at + nr) & 1) == set;)
			nr++;
		if (set && madvise(block + (size_t)at * MEM_PAGE_SIZE,
				   (size_t)nr * MEM_PAGE_SIZE, MADV_DONTNEED))
			mem_fatal(
				mem, -errno,
				"cannot release guest memory: is it locked (mlockall)?");
	}
}

static void publish(struct mem *mem, const struct claim *c)
{
	uint32_t slot[FRAME_BLOCK];
	unsigned int nr_resident =
		(unsigned int)__builtin_popcountll(c->resident);
	unsigned int i, nr_slots = 0;
	uint64_t wake = 0, left;

	frame_lock(mem, c->idx);
	mem_count(&mem->count.given_up,
		  (unsigned int)__builtin_popcountll(c->taken));
	for (left = c->taken; left; left &= left - 1) {
		uint64_t idx = c->idx + (unsigned int)__builtin_ctzll(left);
		struct frame *f = &mem->frames[idx];

		if (f->content == FRAME_PRESERVED)
			slot[nr_slots++] = f->slot;
		f->content = FRAME_ZERO;
		f->poisoned = 0;
		/* Also for what the guest scribbled meanwhile. */
		__state_repair(mem, idx);
		if (__frame_publish(mem, idx))
			wake |= left & -left;
	}
	frame_unlock(mem, c->idx);
	for (; wake; wake &= wake - 1)
		uffd_wake(mem->uffd,
			  mem_hva(mem,
				  c->idx + (unsigned int)__builtin_ctzll(wake)),
			  MEM_PAGE_SIZE);
	for (i = 0; i < nr_slots; i++)
		swap_free(mem->swap, slot[i], 1);
	mem_recount(mem, FRAME_PRESERVED, FRAME_ZERO, nr_slots);
	mem_recount(mem, FRAME_RESIDENT, FRAME_ZERO, nr_resident);
	limit_uncharge(mem, nr_resident);
}

int mem_give_up(struct mem *mem, uint64_t gfn, uint64_t nr)
{
	struct discard_batch batch = { .nr = 0 };
	uint64_t idx, end, block_end;

	if (mem_frame_of_gfn(mem, gfn, nr, &idx))
		return -EINVAL;
	for (end = idx + nr; idx < end;) {
		struct claim c = { .idx = idx - idx % FRAME_BLOCK };

		block_end = c.idx + FRAME_BLOCK;
		idx = claim_frames(mem, &c, idx,
				   end < block_end ? end : block_end);
		if (c.taken) {
			release(mem, mem_hva(mem, c.idx),
				c.resident & ~c.parked);
			release(mem, probation_hva(mem, c.idx), c.parked);
			publish(mem, &c);
		}
		if (c.hinted)
			discard_commit_block(mem, &batch, c.idx, c.hinted);
	}
	discard_flush(mem, &batch);
	return 0;
}
