// SPDX-License-Identifier: GPL-2.0-only
/* Page-out; the idea is in pageout.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <essa/abi.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

void pageout_init(struct mem *mem)
{
	pthread_mutex_init(&mem->pageout.lock, NULL);
}

void pageout_open(struct mem *mem)
{
	/* The area cannot be registered: its pages come and go. */
	swap_queue_init(&mem->pageout.queue, mem->swap, PAGEOUT_BATCH, NULL, 0);
}

void pageout_fini(struct mem *mem)
{
	swap_queue_fini(&mem->pageout.queue);
	pthread_mutex_destroy(&mem->pageout.lock);
}

int __pageout_claim(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];

	if (f->busy || f->pins)
		return -EBUSY;
	if (f->content != FRAME_RESIDENT)
		return -EINVAL;
	if (f->parked)
		__probation_leave(mem, idx);
	f->busy = FRAME_PAGE_OUT;
	/* The page loses its write protection on its way. */
	f->armed = 0;
	return 0;
}

static uint8_t *staged(const struct mem *mem, unsigned int i)
{
	return probation_hva(mem, mem->pageout.page[i].idx);
}

static void add_page(struct mem *mem, uint64_t idx, void *ctx)
{
	struct pageout *po = ctx;

	(void)mem;
	po->page[po->nr++] = (struct pageout_page){ .idx = idx };
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, MEM_PAGE_SIZE - 1);
}

static void find_zeros(struct mem *mem)
{
	struct pageout *po = &mem->pageout;
	unsigned int i;

	for (i = 0; i < po->nr; i++)
		po->page[i].zero = is_zero(staged(mem, i));
}

static void keep(struct pageout *po, unsigned int i, unsigned int nr)
{
	for (; nr; nr--)
		po->page[i++].keep = true;
}

/* The @nr pages from staged page @i on go to @slot: with those before if they can. */
static void add_write(struct mem *mem, unsigned int i, uint32_t slot,
		      uint32_t nr)
{
	struct pageout *po = &mem->pageout;
	struct swap_io *last = po->nr_ios ? &po->io[po->nr_ios - 1] : NULL;
	uint32_t k;

	for (k = 0; k < nr; k++)
		po->page[i + k].slot = slot + k;
	if (last && last->slot + last->nr == slot &&
	    (uint8_t *)last->buf + (size_t)last->nr * MEM_PAGE_SIZE ==
		    staged(mem, i))
		last->nr += nr;
	else
		po->io[po->nr_ios++] = (struct swap_io){
			.buf = staged(mem, i),
			.slot = slot,
			.nr = nr,
			.out = true,
		};
}

/* Neighbours from staged page @i on that are to be written. */
static unsigned int run_of(const struct pageout *po, unsigned int i)
{
	unsigned int run = 0;

	while (i + run < po->nr && !po->page[i + run].zero &&
	       po->page[i + run].idx == po->page[i].idx + run)
		run++;
	return run;
}

/* Slots for all that is not zero, as far as there are any. */
static void plan_writes(struct mem *mem)
{
	struct pageout *po = &mem->pageout;
	unsigned int i = 0;
	uint32_t slot, run;

	po->nr_ios = 0;
	while (i < po->nr) {
		run = run_of(po, i);
		if (run && mem->swap)
			run = swap_alloc(mem->swap, po->page[i].idx, run,
					 &slot);
		if (run && mem->swap)
			add_write(mem, i, slot, run);
		else
			po->page[i].keep = !po->page[i].zero;
		i += run ? run : 1;
	}
}

static void write_failed(struct mem *mem, const struct swap_io *io)
{
	struct pageout *po = &mem->pageout;
	unsigned int i = 0;

	while (staged(mem, i) != io->buf)
		i++;
	swap_free(mem->swap, io->slot, io->nr);
	keep(po, i, io->nr);
	trouble_begin(
		mem, TROUBLE_OUT, io->err,
		io->err == -ENOSPC || io->err == -EDQUOT ?
			"no space left for the swap file: free some in the swap directory; the guest waits" :
			"cannot write the swap file: check the disk and file system of the swap directory; the guest waits");
}

static void write_staged(struct mem *mem)
{
	struct pageout *po = &mem->pageout;
	bool failed = false;
	struct swap_io *io;
	unsigned int i;

	plan_writes(mem);
	for (i = 0; i < po->nr_ios; i++)
		swap_start(&po->queue, &po->io[i]);
	while ((io = swap_next(&po->queue, true))) {
		failed |= io->err;
		if (io->err)
			write_failed(mem, io);
		else
			mem_count(&mem->count.swap_out_bytes,
				  (uint64_t)io->nr * MEM_PAGE_SIZE);
	}
	if (po->nr_ios && !failed)
		trouble_end(mem, TROUBLE_OUT);
}

/*
 * Publish a frame as paged out.  Return: false if the page has to go back: it
 * was touched meanwhile, or there was no slot, or it is zero and the guest made
 * it volatile, when "no content" would look like a discard.
 */
static bool publish_out(struct mem *mem, struct pageout_page *p)
{
	enum frame_content content = p->zero ? FRAME_ZERO : FRAME_PRESERVED;
	struct frame *f = &mem->frames[p->idx];
	bool ok;

	frame_lock(mem, p->idx);
	ok = !p->keep && !f->waited &&
	     !__state_set_content(mem, p->idx, content);
	if (ok) {
		f->content = content;
		f->slot = p->slot;
		mem_recount(mem, FRAME_RESIDENT, content, 1);
		mem_count(&mem->count.swapped_out, !p->zero);
		refault_left(mem, p->idx);
		/* Nobody to wake: @waited was not set. */
		__frame_publish(mem, p->idx);
	}
	frame_unlock(mem, p->idx);
	return ok;
}

static void move_back(struct mem *mem, const struct pageout_page *p)
{
	mem_count(&mem->count.reclaim_failed, p->keep);
	probation_bring_back(mem, p->idx);
	if (!p->zero && !p->keep)
		swap_free(mem->swap, p->slot, 1);
	frame_publish_resident(mem, p->idx, true);
}

/* Of those that went; the others have left nothing there. */
static void release(struct mem *mem)
{
	struct pageout *po = &mem->pageout;
	unsigned int i, run;

	for (i = 0; i < po->nr; i += run) {
		run = 1;
		while (i + run < po->nr &&
		       po->page[i + run].idx == po->page[i].idx + run)
			run++;
		madvise(staged(mem, i), (size_t)run * MEM_PAGE_SIZE,
			MADV_DONTNEED);
	}
}

unsigned int pageout_batch(struct mem *mem, const uint64_t *idx,
			   unsigned int nr, bool parked)
{
	struct pageout *po = &mem->pageout;
	unsigned int out = 0;
	unsigned int i;

	pthread_mutex_lock(&po->lock);
	po->nr = 0;
	for (i = 0; parked && i < nr; i++)
		add_page(mem, idx[i], po);
	if (!parked)
		probation_move_out(mem, idx, nr, add_page, po);
	find_zeros(mem);
	write_staged(mem);
	for (i = 0; i < po->nr; i++) {
		if (publish_out(mem, &po->page[i]))
			out++;
		else
			move_back(mem, &po->page[i]);
	}
	release(mem);
	pthread_mutex_unlock(&po->lock);
	limit_uncharge(mem, out);
	return out;
}
