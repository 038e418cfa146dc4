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

#include "hyp/mem/pager.h"
#include "hyp/mem/priv.h"

_Static_assert(PAGER_MESSAGES <= UFFD_MAX_MESSAGES, "messages");

/*
 * Charge for one frame; see above.
 * Return: as limit_charge(), or 1: not before what has stalled is read.
 */
static int wait_for_room(struct mem *mem)
{
	while (!limit_try_charge(mem, 1)) {
		if (mem->pager.in.stalled)
			return 1;
		if (!pagein_any_in_flight(&mem->pager.in))
			return limit_charge(mem, 1);
		pagein_reap(mem, true);
	}
	return 0;
}

/* Mark @idx, which is charged, and its group.  Caller holds the stripe. */
static void __claim_zeros(struct mem *mem, uint64_t idx, uint64_t *first,
			  uint64_t *end)
{
	uint64_t i;

	*first = idx - idx % FILL_MAX_ZERO;
	*end = *first + FILL_MAX_ZERO < mem->nr_frames ?
		       *first + FILL_MAX_ZERO :
		       mem->nr_frames;
	__fill_alike(mem, idx, first, end);
	if (*end - *first > 1 &&
	    !limit_try_spare(mem, *end - *first - 1, true)) {
		*first = idx;
		*end = idx + 1;
	}
	for (i = *first; i < *end; i++)
		mem->frames[i].busy = FRAME_FILL;
}

static enum mem_wait kind_of_wait(const struct frame *f)
{
	if (f->busy != FRAME_FILL)
		return MEM_WAIT_OTHER;
	return f->content == FRAME_ZERO ? MEM_WAIT_ZERO : MEM_WAIT_PAGE_IN;
}

/* Return: false if it has to wait. */
static bool resolve(struct mem *mem, uint64_t idx)
{
	const uint64_t since_ns = mem->pager.since_ns;
	struct frame *f = &mem->frames[idx];
	int err;
	bool charged = false;
	uint64_t first, end;

	for (;;) {
		frame_lock(mem, idx);
		if (f->busy) {
			__frame_note_wait(mem, idx, kind_of_wait(f), since_ns);
			frame_unlock(mem, idx);
			break;
		}
		if (f->parked) {
			/* Wakes who sent the message: the page comes by a move. */
			__probation_rescue(mem, idx);
			frame_unlock(mem, idx);
			latency_note(mem, MEM_WAIT_OTHER, since_ns);
			break;
		}
		if (f->content == FRAME_RESIDENT || f->poisoned) {
			frame_unlock(mem, idx);
			/* Before the guest runs on and someone looks. */
			mem_count(&mem->count.fault_stale, 1);
			uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
			latency_note(mem, MEM_WAIT_OTHER, since_ns);
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
		if (f->content != FRAME_ZERO) {
			frame_unlock(mem, idx);
			if (pagein_frame(mem, idx, since_ns))
				return true;
			charged = true;
			continue;
		}
		mem_count(&mem->count.fault_zero, 1);
		__claim_zeros(mem, idx, &first, &end);
		frame_unlock(mem, idx);
		fill_run(mem, first, (unsigned int)(end - first), idx,
			 since_ns);
		return true;
	}
	if (charged)
		limit_uncharge(mem, 1);
	return true;
}

/* A write to a page that was there, and protected. */
static void resolve_write(struct mem *mem, uint64_t idx)
{
	const uint64_t since_ns = mem->pager.since_ns;
	struct frame *f = &mem->frames[idx];

	mem_count(&mem->count.fault_write, 1);
	frame_lock(mem, idx);
	if (f->busy) {
		/* Once its discard is over it meets the marker. */
		__frame_note_wait(mem, idx, MEM_WAIT_WRITE, since_ns);
		frame_unlock(mem, idx);
	} else if (f->content == FRAME_RESIDENT && !f->parked) {
		__track_allow_write(mem, idx);
		latency_note(mem, MEM_WAIT_WRITE, since_ns);
		frame_unlock(mem, idx);
	} else {
		frame_unlock(mem, idx);
		/* Gone since: the access finds out. */
		uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
		latency_note(mem, MEM_WAIT_OTHER, since_ns);
	}
}

/* Return: false if it has to wait. */
static bool handle(struct mem *mem, const struct uffd_message *msg)
{
	uint64_t idx = ((uintptr_t)msg->addr - (uintptr_t)mem->ram) >>
		       MEM_PAGE_SHIFT;

	/* Nobody touches the staging area while it has no pages. */
	if (idx >= mem->nr_frames)
		return true;
	if (!msg->write)
		return resolve(mem, idx);
	resolve_write(mem, idx);
	return true;
}

static bool read_messages(struct mem *mem)
{
	struct pager *p = &mem->pager;
	int n;

	if (p->next < p->nr)
		return true;
	n = uffd_read(mem->uffd, p->message, PAGER_MESSAGES);
	p->next = 0;
	p->nr = n > 0 ? (unsigned int)n : 0;
	p->since_ns = mem_clock_ns();
	return p->nr;
}

static void drain(struct mem *mem)
{
	struct pager *p = &mem->pager;

	while (!mem_is_stopping(mem) && pagein_may_start(&p->in)) {
		if (!read_messages(mem) || !handle(mem, &p->message[p->next]))
			break;
		p->next++;
		pagein_reap(mem, false);
	}
}

void *pager_thread(void *arg)
{
	struct mem *mem = arg;
	struct pagein *in = &mem->pager.in;
	struct pollfd fds[] = {
		{ .fd = mem->stop_fd, .events = POLLIN },
		{ .fd = in->buf ? in->retry_fd : -1, .events = POLLIN },
		{ .fd = in->buf ? swap_queue_fd(&in->queue) : -1,
		  .events = POLLIN },
		{ .fd = mem->uffd, .events = POLLIN },
	};

	while (!mem_is_stopping(mem)) {
		if (poll(fds, pagein_may_start(in) ? 4 : 3, -1) < 0) {
			if (errno != EINTR)
				break;
			continue;
		}
		if (fds[1].revents)
			pagein_retry(mem);
		pagein_reap(mem, false);
		drain(mem);
	}
	/* The kernel writes to the buffers until then. */
	while (pagein_any_in_flight(in))
		pagein_reap(mem, true);
	return NULL;
}
