// SPDX-License-Identifier: GPL-2.0-only
/* Making frames resident; rules in fill.h and frame.h. */
#include <errno.h>

#include <essa/abi.h>

#include "hyp/mem/fill.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

static const uint8_t zeros[FILL_MAX_ZERO * MEM_PAGE_SIZE]
	__attribute__((aligned(MEM_PAGE_SIZE)));

unsigned int fill_max(const struct mem *mem, uint64_t idx)
{
	return mem->frames[idx].content == FRAME_ZERO ? FILL_MAX_ZERO :
							FILL_MAX_PRESERVED;
}

static bool is_alike(struct mem *mem, uint64_t idx, uint64_t other)
{
	const struct frame *f = &mem->frames[idx];
	const struct frame *o = &mem->frames[other];

	if (o->busy || o->poisoned || o->content != f->content)
		return false;
	if (state_usage(mem, state_read(mem, other)) != ESSA_STABLE)
		return false;
	return f->content == FRAME_ZERO ||
	       o->slot - f->slot == (uint32_t)(other - idx);
}

void __fill_alike(struct mem *mem, uint64_t idx, uint64_t *first, uint64_t *end)
{
	uint64_t low = *first;
	uint64_t high = *end;

	*first = idx;
	*end = idx + 1;
	while (*first > low && is_alike(mem, idx, *first - 1))
		(*first)--;
	while (*end < high && is_alike(mem, idx, *end))
		(*end)++;
}

static int copy_zeros(struct mem *mem, uint64_t idx, unsigned int nr)
{
	int err = uffd_copy(mem->uffd, mem_hva(mem, idx), zeros,
			    (size_t)nr * MEM_PAGE_SIZE);

	if (err)
		mem_fatal(mem, err,
			  "the host has no memory left for the guest");
	return err;
}

/*
 * UFFDIO_COPY lets the guest run on before this thread does: byte and counters
 * say what is to be true before the guest can know that the page is there.
 */
static void announce(struct mem *mem, uint64_t idx, unsigned int nr,
		     enum frame_content from)
{
	unsigned int i;

	frame_lock(mem, idx);
	for (i = 0; i < nr; i++)
		/* Never refused: resident does not look discarded. */
		__state_set_content(mem, idx + i, FRAME_RESIDENT);
	frame_unlock(mem, idx);
	mem_recount(mem, from, FRAME_RESIDENT, nr);
	if (from != FRAME_PRESERVED)
		return;
	mem_count(&mem->count.swapped_in, nr);
	mem_count(&mem->count.swap_in_bytes, (uint64_t)nr * MEM_PAGE_SIZE);
}

static void publish(struct mem *mem, uint64_t idx, unsigned int nr,
		    uint64_t hit, bool filled)
{
	bool wake = false;
	unsigned int i;

	frame_lock(mem, idx);
	for (i = 0; i < nr; i++) {
		struct frame *f = &mem->frames[idx + i];

		if (filled) {
			f->content = FRAME_RESIDENT;
			f->poisoned = 0;
			f->referenced = idx + i == hit;
		}
		/* Also for what the guest scribbled meanwhile. */
		__state_repair(mem, idx + i);
		wake |= __frame_publish(mem, idx + i);
	}
	frame_unlock(mem, idx);
	/* After a failure they sleep on: the VM is about to end. */
	if (wake && filled)
		uffd_wake(mem->uffd, mem_hva(mem, idx),
			  (size_t)nr * MEM_PAGE_SIZE);
}

static int zero_run(struct mem *mem, uint64_t idx, unsigned int nr,
		    uint64_t hit)
{
	int err;

	announce(mem, idx, nr, FRAME_ZERO);
	err = copy_zeros(mem, idx, nr);
	publish(mem, idx, nr, hit, !err);
	if (err) {
		mem_recount(mem, FRAME_RESIDENT, FRAME_ZERO, nr);
		limit_uncharge(mem, nr);
	}
	return err;
}

void fill_prepare(struct mem *mem, struct fill *f, void *buf)
{
	f->stalled = false;
	f->io = (struct swap_io){
		.buf = buf,
		/* Stable while busy: these frames are ours. */
		.slot = mem->frames[f->idx].slot,
		.nr = f->nr,
	};
}

/* What the fill owns is what it was. */
static int give_back(struct mem *mem, struct fill *f, int err)
{
	publish(mem, f->idx, f->nr, f->hit, false);
	limit_uncharge(mem, f->nr);
	return err;
}

static bool stall(struct mem *mem, struct fill *f, int err)
{
	if (!f->stalled)
		f->stalled = trouble_begin(
			mem, TROUBLE_IN, err,
			"cannot read the swap file back: check the disk and file system of the swap directory; the guest waits");
	return f->stalled;
}

int fill_finish(struct mem *mem, struct fill *f)
{
	int err = f->io.err;

	if (err == -ENODATA) {
		mem_fatal(
			mem, -EIO,
			"the swap file was cut off, pages of the guest are lost: nobody may touch it while the guest runs");
		return give_back(mem, f, -EIO);
	}
	if (err)
		return stall(mem, f, err) ? 1 : give_back(mem, f, err);
	announce(mem, f->idx, f->nr, FRAME_PRESERVED);
	err = uffd_copy(mem->uffd, mem_hva(mem, f->idx), f->io.buf,
			(size_t)f->nr * MEM_PAGE_SIZE);
	if (err) {
		mem_recount(mem, FRAME_RESIDENT, FRAME_PRESERVED, f->nr);
		mem_fatal(mem, err,
			  "the host has no memory left to page the guest in");
		return give_back(mem, f, err);
	}
	refault_note(mem, f->hit, REFAULT_SWAPPED);
	publish(mem, f->idx, f->nr, f->hit, true);
	swap_free(mem->swap, f->io.slot, f->nr);
	if (f->stalled)
		trouble_end(mem, TROUBLE_IN);
	return 0;
}

int fill_run(struct mem *mem, uint64_t idx, unsigned int nr, uint64_t hit)
{
	uint8_t buf[FILL_MAX_PRESERVED * MEM_PAGE_SIZE]
		__attribute__((aligned(MEM_PAGE_SIZE)));
	struct fill f = { .idx = idx, .nr = nr, .hit = hit };
	uint64_t round;
	int err;

	if (mem->frames[idx].content == FRAME_ZERO)
		return zero_run(mem, idx, nr, hit);
	fill_prepare(mem, &f, buf);
	for (;;) {
		round = atomic_load(&mem->trouble.round);
		f.io.err = swap_read(mem->swap, f.io.slot, buf, nr);
		err = fill_finish(mem, &f);
		if (err <= 0)
			return err;
		err = trouble_wait(mem, round);
		if (err)
			return give_back(mem, &f, err);
	}
}
