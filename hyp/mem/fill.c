// SPDX-License-Identifier: GPL-2.0-only
/* Making frames resident; rules in fill.h and frame.h. */
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

static int read_and_copy(struct mem *mem, uint64_t idx, unsigned int nr,
			 uint32_t slot)
{
	uint8_t buf[FILL_MAX_PRESERVED * MEM_PAGE_SIZE]
		__attribute__((aligned(MEM_PAGE_SIZE)));
	size_t len = (size_t)nr * MEM_PAGE_SIZE;
	int err;

	err = swap_read(mem->swap, slot, buf, nr);
	if (err) {
		mem_fatal(
			mem, err,
			"cannot read the swap file back: check the disk and file system of the swap directory");
		return err;
	}
	err = uffd_copy(mem->uffd, mem_hva(mem, idx), buf, len);
	if (err)
		mem_fatal(mem, err,
			  "the host has no memory left to page the guest in");
	return err;
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
		     bool preserved)
{
	unsigned int i;

	frame_lock(mem, idx);
	for (i = 0; i < nr; i++)
		/* Never refused: resident does not look discarded. */
		__state_set_content(mem, idx + i, FRAME_RESIDENT);
	frame_unlock(mem, idx);
	if (!preserved)
		return;
	mem_uncount(&mem->count.preserved, nr);
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

int fill_run(struct mem *mem, uint64_t idx, unsigned int nr, uint64_t hit)
{
	/* Stable while busy: these frames are ours. */
	bool preserved = mem->frames[idx].content == FRAME_PRESERVED;
	uint32_t slot = mem->frames[idx].slot;
	int err;

	announce(mem, idx, nr, preserved);
	if (preserved)
		err = read_and_copy(mem, idx, nr, slot);
	else
		err = copy_zeros(mem, idx, nr);
	publish(mem, idx, nr, hit, !err);
	if (err) {
		mem_count(&mem->count.preserved, preserved ? nr : 0);
		limit_uncharge(mem, nr);
	} else if (preserved) {
		swap_free(mem->swap, slot, nr);
	}
	return err;
}
