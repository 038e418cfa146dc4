// SPDX-License-Identifier: GPL-2.0-only
/* Write tracking; the invariant is in track.h. */
#include <errno.h>

#include <essa/abi.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/sparse.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

/* Frames that one system call protects: others want mmap_lock meanwhile. */
#define TRACK_RUN_MAX 512u

static uint64_t nr_words(const struct mem *mem)
{
	return (mem->nr_frames + FRAME_BLOCK * 64 - 1) / (FRAME_BLOCK * 64);
}

static size_t blocks_bytes(const struct mem *mem)
{
	return nr_words(mem) * sizeof(*mem->track.blocks);
}

int track_init(struct mem *mem)
{
	mem->track.blocks = sparse_alloc(blocks_bytes(mem));
	return mem->track.blocks ? 0 : -ENOMEM;
}

void track_fini(struct mem *mem)
{
	sparse_free(mem->track.blocks, blocks_bytes(mem));
	mem->track.blocks = NULL;
}

static bool __may_arm(struct mem *mem, uint64_t idx)
{
	const struct frame *f = &mem->frames[idx];

	/*
	 * Not what is Potentially Volatile already: arming would clear the
	 * record (R-POT-8).
	 */
	return f->content == FRAME_RESIDENT && !f->parked && !f->busy &&
	       !f->pins &&
	       state_usage(mem, state_read(mem, idx)) == ESSA_STABLE;
}

/* Frames of one block.  Return: bit i: frame @idx + i is to be protected. */
static uint64_t mark(struct mem *mem, uint64_t idx, uint64_t end)
{
	uint64_t block = idx / FRAME_BLOCK;
	uint64_t mask = 0;
	uint64_t i;

	frame_lock(mem, idx);
	/* As a commit does: what DISABLE has passed is not armed any more. */
	if (atomic_load(&mem->features) & ESSA_FEAT_POTENTIAL)
		for (i = idx; i < end; i++)
			if (__may_arm(mem, i)) {
				mem->frames[i].armed = 1;
				mask |= 1ull << (i - idx);
			}
	if (mask)
		atomic_fetch_or(&mem->track.blocks[block / 64],
				1ull << block % 64);
	frame_unlock(mem, idx);
	mem_count(&mem->count.armed, (unsigned int)__builtin_popcountll(mask));
	return mask;
}

static void unmark(struct mem *mem, uint64_t idx, uint64_t nr)
{
	uint64_t i;

	for (i = idx; i < idx + nr; i++) {
		frame_lock(mem, i);
		mem->frames[i].armed = 0;
		frame_unlock(mem, i);
	}
}

static int protect(struct mem *mem, uint64_t idx, uint64_t end)
{
	return idx == end ? 0 :
			    uffd_protect(mem->uffd, mem_hva(mem, idx),
					 (end - idx) << MEM_PAGE_SHIFT);
}

int track_arm(struct mem *mem, uint64_t idx, uint64_t nr)
{
	uint64_t end = idx + nr;
	uint64_t first = idx; /* of a run that is marked, not yet protected */
	uint64_t next = idx;  /* behind it */
	uint64_t at, stop, mask;
	int err = 0;

	for (at = idx; at < end && !err; at = stop) {
		stop = at - at % FRAME_BLOCK + FRAME_BLOCK;
		if (stop > end)
			stop = end;
		for (mask = mark(mem, at, stop); mask && !err;
		     mask &= mask - 1) {
			uint64_t i = at + (unsigned int)__builtin_ctzll(mask);

			if (i != next || next - first == TRACK_RUN_MAX) {
				err = protect(mem, first, next);
				first = i;
			}
			next = i + 1;
		}
		if (mem_is_stopping(mem))
			err = -ECANCELED;
	}
	if (!err)
		err = protect(mem, first, next);
	if (err)
		unmark(mem, idx, nr);
	return err;
}

void __track_allow_write(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];
	bool wake;
	int err;

	f->armed = 0;
	f->busy = FRAME_UNPROTECT;
	frame_unlock(mem, idx);
	err = uffd_unprotect(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
	if (err)
		mem_fatal(
			mem, err,
			"cannot make guest memory writable again: out of memory for page tables?");
	frame_lock(mem, idx);
	wake = __frame_publish(mem, idx);
	if (!wake)
		return;
	frame_unlock(mem, idx);
	uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
	frame_lock(mem, idx);
}

void track_forget(struct mem *mem)
{
	uint64_t end = nr_words(mem) * 64;
	uint64_t block, i;

	for (block = 0; (block = track_next(mem, block, end)) < end; block++) {
		frame_lock(mem, block * FRAME_BLOCK);
		for (i = block * FRAME_BLOCK;
		     i < (block + 1) * FRAME_BLOCK && i < mem->nr_frames; i++)
			mem->frames[i].armed = 0;
		frame_unlock(mem, block * FRAME_BLOCK);
	}
}

uint64_t track_next(const struct mem *mem, uint64_t block, uint64_t end)
{
	uint64_t word;

	while (block < end) {
		word = atomic_load(&mem->track.blocks[block / 64]) >>
		       block % 64;
		if (word) {
			block += (unsigned int)__builtin_ctzll(word);
			break;
		}
		block = block - block % 64 + 64;
	}
	return block < end ? block : end;
}

uint64_t track_clean(struct mem *mem, uint64_t block)
{
	uint64_t idx = block * FRAME_BLOCK;
	uint64_t mask = 0;
	bool armed = false;
	unsigned int i;

	frame_lock(mem, idx);
	for (i = 0; i < FRAME_BLOCK && idx + i < mem->nr_frames; i++) {
		if (!mem->frames[idx + i].armed)
			continue;
		armed = true;
		if (state_usage(mem, state_read(mem, idx + i)) ==
		    ESSA_POTENTIAL)
			mask |= 1ull << i;
	}
	if (!armed)
		atomic_fetch_and(&mem->track.blocks[block / 64],
				 ~(1ull << block % 64));
	frame_unlock(mem, idx);
	return mask;
}
