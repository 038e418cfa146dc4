// SPDX-License-Identifier: GPL-2.0-only
/* Probation; the idea and the rules are in probation.h. */
#include <errno.h>
#include <sys/mman.h>

#include "hyp/mem/ages.h"
#include "hyp/mem/content.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/sparse.h"
#include "hyp/mem/uffd.h"

#define NUMBER_MASK 0x7fffffffu
#define KIND_SHIFT  31
/* Entries of a queue; half of them may have lost their frame. */
#define QUEUE_DIV 4u
#define QUEUE_MIN 1024u

#define PAGE_ENTRIES (MEM_PAGE_SIZE / (uint32_t)sizeof(uint32_t))
_Static_assert(QUEUE_MIN % PAGE_ENTRIES == 0, "whole pages: sparse_alloc()");

int probation_init(struct mem *mem, const char **why)
{
	struct probation *p = &mem->probation;
	size_t len = mem->cfg.size_bytes;
	uint32_t size = QUEUE_MIN;
	unsigned int i;

	*why = "out of memory";
	while (size < mem->nr_frames / QUEUE_DIV)
		size *= 2;
	for (i = 0; i < PROBATION_NR; i++) {
		p->queue[i].size = size;
		p->queue[i].frame = sparse_alloc(size * sizeof(uint32_t));
		if (!p->queue[i].frame)
			return -ENOMEM;
	}
	*why = "out of address space";
	p->area = content_map(len);
	if (!p->area)
		return -ENOMEM;
	/* UFFDIO_MOVE wants its destination registered, both ways. */
	return uffd_register(mem->uffd, p->area, len, false, why);
}

void probation_fini(struct mem *mem)
{
	struct probation *p = &mem->probation;
	unsigned int i;

	content_unmap(p->area, mem->cfg.size_bytes);
	p->area = NULL;
	for (i = 0; i < PROBATION_NR; i++) {
		sparse_free(p->queue[i].frame,
			    p->queue[i].size * sizeof(uint32_t));
		p->queue[i].frame = NULL;
	}
}

uint8_t *probation_hva(const struct mem *mem, uint64_t idx)
{
	return mem->probation.area + (idx << MEM_PAGE_SHIFT);
}

void probation_bring_back(struct mem *mem, uint64_t idx)
{
	uint8_t *from = probation_hva(mem, idx);
	size_t moved;
	int err;

	/* The frame is busy, so nothing else has filled its place. */
	do {
		err = uffd_move(mem->uffd, mem_hva(mem, idx), from,
				MEM_PAGE_SIZE, &moved);
	} while (err == -EAGAIN);
	if (!err)
		return;
	err = uffd_copy(mem->uffd, mem_hva(mem, idx), from, MEM_PAGE_SIZE);
	if (err)
		mem_fatal(mem, err,
			  "the host has no memory left for the guest");
	madvise(from, MEM_PAGE_SIZE, MADV_DONTNEED);
}

void __probation_leave(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];

	f->parked = 0;
	atomic_fetch_sub(&mem->probation.nr[f->slot >> KIND_SHIFT], 1);
}

void __probation_rescue(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];
	unsigned int kind = f->slot >> KIND_SHIFT;
	bool wake;

	f->busy = FRAME_FILL;
	__probation_leave(mem, idx);
	frame_unlock(mem, idx);
	/* Before the guest runs on and someone looks. */
	mem_count(&mem->count.rescued[kind], 1);
	ages_forget(mem, idx);
	probation_bring_back(mem, idx);
	frame_lock(mem, idx);
	f->referenced = 1;
	wake = __frame_publish(mem, idx);
	if (!wake)
		return;
	frame_unlock(mem, idx);
	uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
	frame_lock(mem, idx);
}

uint32_t probation_room(struct mem *mem, enum probation_kind kind)
{
	const struct probation_queue *q = &mem->probation.queue[kind];

	return q->size - (q->head - q->tail);
}

/* The page is in the area.  Return: false if somebody wants it already. */
static bool publish_parked(struct mem *mem, enum probation_kind kind,
			   uint64_t idx)
{
	struct probation_queue *q = &mem->probation.queue[kind];
	struct frame *f = &mem->frames[idx];
	bool ok;

	frame_lock(mem, idx);
	ok = !f->waited;
	if (ok) {
		f->parked = 1;
		f->slot = (uint32_t)kind << KIND_SHIFT |
			  (q->head & NUMBER_MASK);
		q->frame[q->head++ & (q->size - 1)] = (uint32_t)idx;
		atomic_fetch_add(&mem->probation.nr[kind], 1);
		mem_count(&mem->count.parked[kind], 1);
		/* Nobody to wake: @waited was not set. */
		__frame_publish(mem, idx);
	}
	frame_unlock(mem, idx);
	return ok;
}

/* A run of neighbours; @nr is set to how many have come.  Return: as uffd_move(). */
static int move_run(struct mem *mem, uint64_t idx, unsigned int *nr)
{
	size_t moved;
	int err;

	err = uffd_move(mem->uffd, probation_hva(mem, idx), mem_hva(mem, idx),
			(size_t)*nr << MEM_PAGE_SHIFT, &moved);
	*nr = (unsigned int)(moved >> MEM_PAGE_SHIFT);
	mem_count(&mem->count.reclaim_failed, !!err);
	/* In use by the kernel, shared by KSM: later, perhaps. */
	if (err && err != -EBUSY && err != -EAGAIN)
		mem_fatal(
			mem, err,
			"cannot move guest memory out of the way: the host needs a working UFFDIO_MOVE");
	return err;
}

void probation_move_out(struct mem *mem, const uint64_t *idx, unsigned int nr,
			void (*came)(struct mem *mem, uint64_t idx, void *ctx),
			void *ctx)
{
	unsigned int i = 0;
	unsigned int run, end;
	int err;

	while (i < nr) {
		run = 1;
		while (i + run < nr && idx[i + run] == idx[i] + run)
			run++;
		err = move_run(mem, idx[i], &run);
		for (end = i + run; i < end; i++)
			came(mem, idx[i], ctx);
		if (err)
			frame_publish_resident(mem, idx[i++], true);
	}
}

static void park(struct mem *mem, uint64_t idx, void *kind)
{
	if (publish_parked(mem, *(enum probation_kind *)kind, idx))
		return;
	probation_bring_back(mem, idx);
	frame_publish_resident(mem, idx, true);
}

void probation_park(struct mem *mem, enum probation_kind kind,
		    const uint64_t *idx, unsigned int nr)
{
	probation_move_out(mem, idx, nr, park, &kind);
}

/*
 * The head runs through all of the ring, however few frames there are.  The page
 * before the one of the entry that was handed out last, which probation_unget() may
 * want again, has none any more, unless the head has come round.
 */
static void release_behind(struct probation_queue *q)
{
	uint32_t last = q->tail - 1;

	if (last % PAGE_ENTRIES || q->head - last > q->size - PAGE_ENTRIES)
		return;
	madvise(&q->frame[(last - PAGE_ENTRIES) & (q->size - 1)], MEM_PAGE_SIZE,
		MADV_DONTNEED);
}

bool __probation_next(struct mem *mem, enum probation_kind kind, uint64_t *idx)
{
	struct probation_queue *q = &mem->probation.queue[kind];
	const struct frame *f;

	while (q->tail != q->head) {
		uint32_t number = (uint32_t)kind << KIND_SHIFT |
				  (q->tail & NUMBER_MASK);

		*idx = q->frame[q->tail++ & (q->size - 1)];
		release_behind(q);
		f = &mem->frames[*idx];
		frame_lock(mem, *idx);
		if (f->parked && f->slot == number)
			return true;
		frame_unlock(mem, *idx);
	}
	return false;
}

void probation_unget(struct mem *mem, enum probation_kind kind)
{
	mem->probation.queue[kind].tail--;
}
