// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pager thread.
 *
 * It may wait for reclaim to make room: reclaim never waits for the pager, as
 * neither madvise() nor UFFDIO_MOVE needs a message to be read (no EVENT_*
 * is registered) and reclaim never touches RAM.  What happens to each message
 * is the wake rule of frame.h.
 */
#include <errno.h>
#include <poll.h>

#include "hyp/mem/fill.h"
#include "hyp/mem/pager.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/uffd.h"

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

static void resolve(struct mem *mem, uint64_t idx)
{
	struct frame *f = &mem->frames[idx];
	bool charged = false;
	uint64_t first, end;

	for (;;) {
		frame_lock(mem, idx);
		if (f->busy) {
			f->waited = 1;
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
			if (limit_charge(mem, 1))
				return; /* stopping: it sleeps on */
			charged = true;
			continue;
		}
		mem_count(f->content == FRAME_ZERO ?
				  &mem->count.fault_zero :
				  &mem->count.fault_preserved,
			  1);
		__claim_run(mem, idx, &first, &end);
		frame_unlock(mem, idx);
		fill_run(mem, first, (unsigned int)(end - first), idx);
		return;
	}
	if (charged)
		limit_uncharge(mem, 1);
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
	} else if (f->content == FRAME_RESIDENT) {
		__track_allow_write(mem, idx);
		frame_unlock(mem, idx);
	} else {
		frame_unlock(mem, idx);
		/* Gone since: the access finds out. */
		uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
	}
}

static void drain(struct mem *mem)
{
	void *addr;
	uint64_t idx;
	bool write;

	while (!mem_is_stopping(mem) &&
	       uffd_read(mem->uffd, &addr, &write) == 1) {
		idx = ((uintptr_t)addr - (uintptr_t)mem->ram) >> MEM_PAGE_SHIFT;
		/* Nobody touches the staging area while it has no pages. */
		if (idx >= mem->nr_frames)
			continue;
		if (write)
			resolve_write(mem, idx);
		else
			resolve(mem, idx);
	}
}

void *pager_thread(void *arg)
{
	struct mem *mem = arg;
	struct pollfd fds[] = {
		{ .fd = mem->uffd, .events = POLLIN },
		{ .fd = mem->stop_fd, .events = POLLIN },
	};

	while (!mem_is_stopping(mem)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		drain(mem);
	}
	return NULL;
}
