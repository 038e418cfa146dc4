// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pager thread.
 *
 * It does not wait for what it reads from the swap file: up to PAGER_FILLS
 * fills are in flight, each owns its frames, and other messages are resolved
 * meanwhile; those for frames in flight are answered by the fill (frame.h).
 * While all are in flight, or one has stalled (trouble.h), messages stay where
 * they are.
 *
 * It may wait for reclaim to make room, but only when none of its fills is in
 * flight or stalled: until then it finishes those, which takes nothing but the
 * disk.  So it sleeps without a busy frame of its own, and nobody who sleeps for
 * one of its frames waits for reclaim.  And reclaim never waits for the pager, as
 * neither madvise() nor UFFDIO_MOVE needs a message to be read (no EVENT_* is
 * registered) and reclaim never touches RAM; the writes that it waits for are
 * of pages that are present.  What happens to each message is the wake rule of
 * frame.h.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hyp/mem/fill.h"
#include "hyp/mem/pager.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/uffd.h"

#define FILL_BYTES ((size_t)FILL_MAX_PRESERVED * MEM_PAGE_SIZE)
#define ALL_IDLE   ((uint32_t)((1ull << PAGER_FILLS) - 1))

int pager_init(struct mem *mem, const char **why)
{
	struct pager *p = &mem->pager;
	void *buf;

	*why = "out of memory";
	buf = mmap(NULL, PAGER_FILLS * FILL_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return -ENOMEM;
	/* A child's copy would keep what is read from coming here. */
	madvise(buf, PAGER_FILLS * FILL_BYTES, MADV_DONTFORK);
	p->buf = buf;
	p->idle = ALL_IDLE;
	*why = "too many open files";
	p->retry_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->retry_fd < 0) {
		munmap(buf, PAGER_FILLS * FILL_BYTES);
		p->buf = NULL;
		return -EMFILE;
	}
	swap_queue_init(&p->queue, mem->swap, PAGER_FILLS, buf,
			PAGER_FILLS * FILL_BYTES);
	return 0;
}

void pager_fini(struct mem *mem)
{
	struct pager *p = &mem->pager;

	swap_queue_fini(&p->queue);
	if (!p->buf)
		return;
	close(p->retry_fd);
	munmap(p->buf, PAGER_FILLS * FILL_BYTES);
	p->buf = NULL;
}

static bool is_any_in_flight(const struct pager *p)
{
	return p->buf && (p->idle | p->stalled) != ALL_IDLE;
}

/* May a message be read?  It may want a fill. */
static bool may_read(const struct pager *p)
{
	return !p->buf || (p->idle && !p->stalled);
}

/* Publish what has been read.  @wait: sleep for one, if any is in flight. */
static void reap(struct mem *mem, bool wait)
{
	struct pager *p = &mem->pager;
	struct swap_io *io;
	struct fill *f;

	while (is_any_in_flight(p) && (io = swap_next(&p->queue, wait))) {
		f = (struct fill *)io; /* its first member */
		if (fill_finish(mem, f) > 0)
			p->stalled |= 1u << (f - p->fill);
		else
			p->idle |= 1u << (f - p->fill);
		wait = false;
	}
}

static void start_read(struct mem *mem, uint64_t idx, unsigned int nr,
		       uint64_t hit)
{
	struct pager *p = &mem->pager;
	unsigned int i = (unsigned int)__builtin_ctz(p->idle);
	struct fill *f = &p->fill[i];

	p->idle &= ~(1u << i);
	f->idx = idx;
	f->nr = nr;
	f->hit = hit;
	fill_prepare(mem, f, p->buf + i * FILL_BYTES);
	swap_start(&p->queue, &f->io);
	swap_submit(&p->queue);
}

static void retry(struct mem *mem)
{
	struct pager *p = &mem->pager;
	eventfd_t n;

	if (!p->buf || eventfd_read(p->retry_fd, &n))
		return;
	for (; p->stalled; p->stalled &= p->stalled - 1)
		swap_start(&p->queue, &p->fill[__builtin_ctz(p->stalled)].io);
	swap_submit(&p->queue);
}

/*
 * Charge for one frame; see above.
 * Return: as limit_charge(), or 1: not before what has stalled is read.
 */
static int wait_for_room(struct mem *mem)
{
	while (!limit_try_charge(mem, 1)) {
		if (mem->pager.stalled)
			return 1;
		if (!is_any_in_flight(&mem->pager))
			return limit_charge(mem, 1);
		reap(mem, true);
	}
	return 0;
}

/*
 * Mark @idx, which is charged, and what is cheap to fill with it.  Caller holds
 * the stripe, which covers all of it.
 */
static void __claim_run(struct mem *mem, uint64_t idx, uint64_t *first,
			uint64_t *end)
{
	bool zero = mem->frames[idx].content == FRAME_ZERO;
	unsigned int max = fill_max(mem, idx);
	uint64_t i;

	*first = idx - idx % max;
	*end = *first + max < mem->nr_frames ? *first + max : mem->nr_frames;
	__fill_alike(mem, idx, first, end);
	if (*end - *first > 1 &&
	    !limit_try_spare(mem, *end - *first - 1, zero)) {
		*first = idx;
		*end = idx + 1;
	}
	for (i = *first; i < *end; i++)
		mem->frames[i].busy = FRAME_FILL;
}

/* Return: false if it has to wait. */
static bool resolve(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];
	int err;
	bool charged = false;
	bool zero;
	uint64_t first, end;

	for (;;) {
		frame_lock(mem, idx);
		if (f->busy) {
			f->waited = 1;
			frame_unlock(mem, idx);
			break;
		}
		if (f->parked) {
			/* Wakes who sent the message: the page comes by a move. */
			__probation_rescue(mem, idx);
			frame_unlock(mem, idx);
			break;
		}
		if (f->content == FRAME_RESIDENT || f->poisoned) {
			frame_unlock(mem, idx);
			/* Before the guest runs on and someone looks. */
			mem_count(&mem->count.fault_stale, 1);
			uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
			break;
		}
		if (!charged && !limit_try_charge(mem, 1)) {
			frame_unlock(mem, idx);
			err = wait_for_room(mem);
			if (err)
				return err < 0; /* stopping: it sleeps on */
			charged = true;
			continue;
		}
		zero = f->content == FRAME_ZERO;
		mem_count(zero ? &mem->count.fault_zero :
				 &mem->count.fault_preserved,
			  1);
		__claim_run(mem, idx, &first, &end);
		frame_unlock(mem, idx);
		if (zero)
			fill_run(mem, first, (unsigned int)(end - first), idx);
		else
			start_read(mem, first, (unsigned int)(end - first),
				   idx);
		return true;
	}
	if (charged)
		limit_uncharge(mem, 1);
	return true;
}

/* A write to a page that was there, and protected. */
static void resolve_write(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];

	mem_count(&mem->count.fault_write, 1);
	frame_lock(mem, idx);
	if (f->busy) {
		/* Once its discard is over it meets the marker. */
		f->waited = 1;
		frame_unlock(mem, idx);
	} else if (f->content == FRAME_RESIDENT && !f->parked) {
		__track_allow_write(mem, idx);
		frame_unlock(mem, idx);
	} else {
		frame_unlock(mem, idx);
		/* Gone since: the access finds out. */
		uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
	}
}

/* The message in hand.  Return: false if it has to wait. */
static bool handle(struct mem *mem)
{
	struct pager *p = &mem->pager;
	uint64_t idx;

	idx = ((uintptr_t)p->addr - (uintptr_t)mem->ram) >> MEM_PAGE_SHIFT;
	/* Nobody touches the staging area while it has no pages. */
	if (idx >= mem->nr_frames)
		return true;
	if (!p->write)
		return resolve(mem, idx);
	resolve_write(mem, idx);
	return true;
}

static void drain(struct mem *mem)
{
	struct pager *p = &mem->pager;

	while (!mem_is_stopping(mem) && may_read(p)) {
		if (!p->has_read &&
		    uffd_read(mem->uffd, &p->addr, &p->write) != 1)
			break;
		p->has_read = !handle(mem);
		reap(mem, false);
	}
}

void *pager_thread(void *arg)
{
	struct mem *mem = arg;
	struct pager *p = &mem->pager;
	struct pollfd fds[] = {
		{ .fd = mem->stop_fd, .events = POLLIN },
		{ .fd = p->buf ? p->retry_fd : -1, .events = POLLIN },
		{ .fd = p->buf ? swap_queue_fd(&p->queue) : -1,
		  .events = POLLIN },
		{ .fd = mem->uffd, .events = POLLIN },
	};

	while (!mem_is_stopping(mem)) {
		if (poll(fds, may_read(p) ? 4 : 3, -1) < 0 && errno != EINTR)
			break;
		retry(mem);
		reap(mem, false);
		drain(mem);
	}
	/* The kernel writes to the buffers until then. */
	while (is_any_in_flight(p))
		reap(mem, true);
	return NULL;
}
