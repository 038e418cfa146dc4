// SPDX-License-Identifier: GPL-2.0-only
/* Making frames resident; rules in fill.h and frame.h. */
#include <errno.h>
#include <string.h>

#include <essa/abi.h>

#include "hyp/mem/content.h"
#include "hyp/mem/fill.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

static const uint8_t zeros[FILL_MAX_ZERO * MEM_PAGE_SIZE]
	__attribute__((aligned(MEM_PAGE_SIZE)));

/* Pages of struct fill_buffer: one read, one UFFDIO_COPY. */
#define FILL_BUFFER_PAGES 128u
#define FILL_STACK_PAGES  8u

int fill_init(struct fill_buffer *b)
{
	b->pages = content_map((size_t)FILL_BUFFER_PAGES * MEM_PAGE_SIZE);
	if (!b->pages)
		return -ENOMEM;
	pthread_mutex_init(&b->lock, NULL);
	return 0;
}

void fill_fini(struct fill_buffer *b)
{
	if (!b->pages)
		return;
	content_unmap(b->pages, (size_t)FILL_BUFFER_PAGES * MEM_PAGE_SIZE);
	pthread_mutex_destroy(&b->lock);
	b->pages = NULL;
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

	if (idx >= low && idx < high) {
		*first = idx;
		*end = idx + 1;
		while (*first > low && is_alike(mem, idx, *first - 1))
			(*first)--;
	} else {
		*end = low;
	}
	while (*end < high && is_alike(mem, idx, *end))
		(*end)++;
}

/* Frames from @idx on, of @nr, that share its stripe. */
static unsigned int in_block(uint64_t idx, unsigned int nr)
{
	unsigned int left = FRAME_BLOCK - idx % FRAME_BLOCK;

	return nr < left ? nr : left;
}

static int copy_zeros(struct mem *mem, uint64_t idx, unsigned int nr)
{
	unsigned int n;
	int err = 0;

	for (; nr && !err; idx += n, nr -= n) {
		n = nr < FILL_MAX_ZERO ? nr : FILL_MAX_ZERO;
		err = uffd_copy(mem->uffd, mem_hva(mem, idx), zeros,
				(size_t)n * MEM_PAGE_SIZE);
	}
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
	unsigned int i, n;

	mem_recount(mem, from, FRAME_RESIDENT, nr);
	mem_count(&mem->count.swapped_in, from == FRAME_PRESERVED ? nr : 0);
	for (; nr; idx += n, nr -= n) {
		n = in_block(idx, nr);
		frame_lock(mem, idx);
		for (i = 0; i < n; i++)
			/* Never refused: resident does not look discarded. */
			__state_set_content(mem, idx + i, FRAME_RESIDENT);
		frame_unlock(mem, idx);
	}
}

static void publish_block(struct mem *mem, uint64_t idx, unsigned int nr,
			  uint64_t hit, uint64_t probe, bool filled)
{
	bool wake = false;
	unsigned int i;

	frame_lock(mem, idx);
	for (i = 0; i < nr; i++) {
		struct frame *f = &mem->frames[idx + i];

		if (filled && idx + i == probe) {
			f->ahead = 1;
		} else if (filled) {
			f->content = FRAME_RESIDENT;
			f->poisoned = 0;
			f->ahead = 0;
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
	/* Nobody waits for this thread any more. */
	watch_look(mem);
}

static void publish(struct mem *mem, uint64_t idx, unsigned int nr,
		    uint64_t hit, uint64_t probe, bool filled)
{
	unsigned int n;

	for (; nr; idx += n, nr -= n) {
		n = in_block(idx, nr);
		publish_block(mem, idx, n, hit, probe, filled);
	}
}

static int zero_run(struct mem *mem, uint64_t idx, unsigned int nr,
		    uint64_t hit, uint64_t since_ns)
{
	int err;

	announce(mem, idx, nr, FRAME_ZERO);
	err = copy_zeros(mem, idx, nr);
	if (since_ns && !err)
		latency_note(mem, MEM_WAIT_ZERO, since_ns);
	publish(mem, idx, nr, hit, FILL_NONE, !err);
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

/* What is owned is what it was. */
static int give_back(struct mem *mem, uint64_t idx, unsigned int nr,
		     unsigned int charged, int err)
{
	publish(mem, idx, nr, FILL_NONE, FILL_NONE, false);
	limit_uncharge(mem, charged);
	return err;
}

static unsigned int nr_charged(const struct fill *f)
{
	return f->nr - (f->probe != FILL_NONE);
}

static bool stall(struct mem *mem, struct fill *f, int err)
{
	if (!f->stalled)
		f->stalled = trouble_begin(
			mem, TROUBLE_IN, err,
			"cannot read the swap file back: check the disk and file system of the swap directory; the guest waits");
	return f->stalled;
}

static int copy_part(struct mem *mem, const struct fill *f, uint64_t idx,
		     uint64_t end)
{
	const uint8_t *buf = f->io.buf;
	int err;

	if (idx == end)
		return 0;
	announce(mem, idx, (unsigned int)(end - idx), FRAME_PRESERVED);
	err = uffd_copy(mem->uffd, mem_hva(mem, idx),
			buf + (idx - f->idx) * MEM_PAGE_SIZE,
			(end - idx) * MEM_PAGE_SIZE);
	if (err)
		mem_recount(mem, FRAME_RESIDENT, FRAME_PRESERVED, end - idx);
	return err;
}

/* Around the probe, if there is one. */
static int copy_pages(struct mem *mem, struct fill *f)
{
	uint64_t end = f->idx + f->nr;
	int err;

	if (f->probe == FILL_NONE)
		return copy_part(mem, f, f->idx, end);
	memcpy(f->kept,
	       (const uint8_t *)f->io.buf + (f->probe - f->idx) * MEM_PAGE_SIZE,
	       MEM_PAGE_SIZE);
	err = copy_part(mem, f, f->idx, f->probe);
	return err ? err : copy_part(mem, f, f->probe + 1, end);
}

static void free_slots(struct mem *mem, const struct fill *f)
{
	uint32_t before = (uint32_t)(f->probe - f->idx);

	if (f->probe == FILL_NONE) {
		swap_free(mem->swap, f->io.slot, f->nr);
		return;
	}
	swap_free(mem->swap, f->io.slot, before);
	swap_free(mem->swap, f->io.slot + before + 1, f->nr - before - 1);
}

int fill_kept(struct mem *mem, struct fill *f)
{
	int err = copy_pages(mem, f);

	if (err) {
		mem_fatal(mem, err,
			  "the host has no memory left to page the guest in");
		return give_back(mem, f->idx, f->nr, nr_charged(f), err);
	}
	if (f->since_ns)
		latency_note(mem, MEM_WAIT_PAGE_IN, f->since_ns);
	if (f->hit >= f->idx && f->hit < f->idx + f->nr)
		refault_note(mem, f->hit, REFAULT_SWAPPED);
	publish(mem, f->idx, f->nr, f->hit, f->probe, true);
	free_slots(mem, f);
	return 0;
}

int fill_finish(struct mem *mem, struct fill *f)
{
	int err = f->io.err;

	if (err == -ENODATA) {
		mem_fatal(
			mem, -EIO,
			"the swap file was cut off, pages of the guest are lost: nobody may touch it while the guest runs");
		return give_back(mem, f->idx, f->nr, nr_charged(f), -EIO);
	}
	if (err)
		return stall(mem, f, err) ? 1 :
					    give_back(mem, f->idx, f->nr,
						      nr_charged(f), err);
	mem_count(&mem->count.swap_in_bytes, (uint64_t)f->nr * MEM_PAGE_SIZE);
	err = fill_kept(mem, f);
	if (!err && f->stalled)
		trouble_end(mem, TROUBLE_IN);
	return err;
}

static int read_part(struct mem *mem, struct fill *f, void *buf)
{
	uint64_t round;
	int err;

	fill_prepare(mem, f, buf);
	for (;;) {
		round = atomic_load(&mem->trouble.round);
		f->io.err = swap_read(mem->swap, f->io.slot, buf, f->nr);
		err = fill_finish(mem, f);
		if (err <= 0)
			return err;
		err = trouble_wait(mem, round);
		if (err)
			return give_back(mem, f->idx, f->nr, f->nr, err);
	}
}

static int read_run(struct mem *mem, struct fill *f, uint8_t *buf,
		    unsigned int room)
{
	const uint64_t end = f->idx + f->nr;
	int err = 0;

	for (; f->idx < end && !err; f->idx += f->nr) {
		f->nr = end - f->idx < room ? (unsigned int)(end - f->idx) :
					      room;
		err = read_part(mem, f, buf);
	}
	return f->idx == end ?
		       err :
		       give_back(mem, f->idx, (unsigned int)(end - f->idx),
				 (unsigned int)(end - f->idx), err);
}

int fill_run(struct mem *mem, uint64_t idx, unsigned int nr, uint64_t hit,
	     uint64_t since_ns)
{
	struct fill f = {
		.idx = idx,
		.nr = nr,
		.hit = hit,
		.probe = FILL_NONE,
		.since_ns = since_ns,
	};
	uint8_t buf[FILL_STACK_PAGES * MEM_PAGE_SIZE]
		__attribute__((aligned(MEM_PAGE_SIZE)));
	struct fill_buffer *b = &mem->fill_buffer;
	int err;

	if (mem->frames[idx].content == FRAME_ZERO)
		return zero_run(mem, idx, nr, hit, since_ns);
	if (nr <= FILL_STACK_PAGES || pthread_mutex_trylock(&b->lock))
		return read_run(mem, &f, buf, FILL_STACK_PAGES);
	err = read_run(mem, &f, b->pages, FILL_BUFFER_PAGES);
	pthread_mutex_unlock(&b->lock);
	return err;
}
