// SPDX-License-Identifier: GPL-2.0-only
/* Page-out; the idea is in pageout.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <essa/abi.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

#define STAGING_BYTES ((size_t)PAGEOUT_BATCH * MEM_PAGE_SIZE)

int pageout_init(struct mem *mem, const char **why)
{
	struct pageout *po = &mem->pageout;
	void *p;

	p = mmap(NULL, STAGING_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*why = "out of address space";
	if (p == MAP_FAILED)
		return -ENOMEM;
	pthread_mutex_init(&po->lock, NULL);
	po->staging = p;
	madvise(p, STAGING_BYTES, MADV_NOHUGEPAGE);
	madvise(p, STAGING_BYTES, MADV_DONTFORK);
	madvise(p, STAGING_BYTES, MADV_DONTDUMP);
	/* UFFDIO_MOVE wants its destination registered, both ways. */
	return uffd_register(mem->uffd, p, STAGING_BYTES, false, why);
}

void pageout_open(struct mem *mem)
{
	/* The staging area cannot be registered: its pages come and go. */
	swap_queue_init(&mem->pageout.queue, mem->swap, PAGEOUT_BATCH, NULL, 0);
}

void pageout_fini(struct mem *mem)
{
	struct pageout *po = &mem->pageout;

	if (!po->staging)
		return;
	swap_queue_fini(&po->queue);
	munmap(po->staging, STAGING_BYTES);
	pthread_mutex_destroy(&po->lock);
	po->staging = NULL;
}

int __pageout_claim(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];

	if (f->busy || f->pins)
		return -EBUSY;
	if (f->content != FRAME_RESIDENT)
		return -EINVAL;
	f->busy = FRAME_PAGE_OUT;
	/* The page loses its write protection on its way. */
	f->armed = 0;
	return 0;
}

static uint8_t *staged(struct pageout *po, unsigned int i)
{
	return po->staging + (size_t)i * MEM_PAGE_SIZE;
}

static void publish_resident(struct mem *mem, uint64_t idx, bool referenced)
{
	bool wake;

	frame_lock(mem, idx);
	if (referenced)
		mem->frames[idx].referenced = 1;
	wake = __frame_publish(mem, idx);
	frame_unlock(mem, idx);
	if (wake)
		uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
}

/* Move what can be moved; frames whose page is in use stay as they are. */
static void move_out(struct mem *mem, const uint64_t *idx, unsigned int nr)
{
	struct pageout *po = &mem->pageout;
	unsigned int i = 0;
	unsigned int run, k;
	size_t moved;
	int err;

	po->nr = 0;
	while (i < nr) {
		run = 1;
		while (i + run < nr && idx[i + run] == idx[i] + run)
			run++;
		err = uffd_move(mem->uffd, staged(po, po->nr),
				mem_hva(mem, idx[i]),
				(size_t)run * MEM_PAGE_SIZE, &moved);
		for (k = 0; k < moved / MEM_PAGE_SIZE; k++, i++)
			po->page[po->nr++] =
				(struct pageout_page){ .idx = idx[i] };
		if (err) {
			/* In use by the kernel, shared by KSM: later, perhaps. */
			if (err != -EBUSY && err != -EAGAIN)
				mem_fatal(
					mem, err,
					"cannot move guest memory out of the way: the host needs a working UFFDIO_MOVE");
			publish_resident(mem, idx[i], true);
			i++;
		}
	}
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, MEM_PAGE_SIZE - 1);
}

static void find_zeros(struct pageout *po)
{
	unsigned int i;

	for (i = 0; i < po->nr; i++)
		po->page[i].zero = is_zero(staged(po, i));
}

static void keep(struct pageout *po, unsigned int i, unsigned int nr)
{
	for (; nr; nr--)
		po->page[i++].keep = true;
}

/* The @nr pages from staged page @i on go to @slot: with those before if they can. */
static void add_write(struct pageout *po, unsigned int i, uint32_t slot,
		      uint32_t nr)
{
	struct swap_io *last = po->nr_ios ? &po->io[po->nr_ios - 1] : NULL;
	uint32_t k;

	for (k = 0; k < nr; k++)
		po->page[i + k].slot = slot + k;
	if (last && last->slot + last->nr == slot &&
	    (uint8_t *)last->buf + (size_t)last->nr * MEM_PAGE_SIZE ==
		    staged(po, i))
		last->nr += nr;
	else
		po->io[po->nr_ios++] = (struct swap_io){
			.buf = staged(po, i),
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
			add_write(po, i, slot, run);
		else
			po->page[i].keep = !po->page[i].zero;
		i += run ? run : 1;
	}
}

static void write_failed(struct mem *mem, const struct swap_io *io)
{
	struct pageout *po = &mem->pageout;
	size_t at = (size_t)((uint8_t *)io->buf - po->staging);

	swap_free(mem->swap, io->slot, io->nr);
	keep(po, (unsigned int)(at / MEM_PAGE_SIZE), io->nr);
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
		/* Nobody to wake: @waited was not set. */
		__frame_publish(mem, p->idx);
	}
	frame_unlock(mem, p->idx);
	return ok;
}

static void move_back(struct mem *mem, unsigned int i)
{
	struct pageout *po = &mem->pageout;
	struct pageout_page *p = &po->page[i];
	size_t moved;
	int err;

	/* The frame is still busy, so nothing else has filled its place. */
	do {
		err = uffd_move(mem->uffd, mem_hva(mem, p->idx), staged(po, i),
				MEM_PAGE_SIZE, &moved);
	} while (err == -EAGAIN);
	if (err)
		err = uffd_copy(mem->uffd, mem_hva(mem, p->idx), staged(po, i),
				MEM_PAGE_SIZE);
	if (err)
		mem_fatal(mem, err,
			  "the host has no memory left for the guest");
	if (!p->zero && !p->keep)
		swap_free(mem->swap, p->slot, 1);
	publish_resident(mem, p->idx, true);
}

unsigned int pageout_batch(struct mem *mem, const uint64_t *idx,
			   unsigned int nr)
{
	struct pageout *po = &mem->pageout;
	unsigned int out = 0;
	unsigned int i;

	pthread_mutex_lock(&po->lock);
	move_out(mem, idx, nr);
	find_zeros(po);
	write_staged(mem);
	for (i = 0; i < po->nr; i++) {
		if (publish_out(mem, &po->page[i]))
			out++;
		else
			move_back(mem, i);
	}
	if (po->nr)
		madvise(po->staging, (size_t)po->nr * MEM_PAGE_SIZE,
			MADV_DONTNEED);
	pthread_mutex_unlock(&po->lock);
	limit_uncharge(mem, out);
	return out;
}
