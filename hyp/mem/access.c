// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device accesses and SIGBUS.
 *
 * Host loads and stores go to frames that are pinned: reclaim skips those, so
 * the host never meets an empty entry or a poison marker.
 */
#include <errno.h>
#include <string.h>

#include "hyp/mem/access.h"
#include "hyp/mem/fill.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

/* Charge for @nr frames, or for the half of them, and so on. */
static unsigned int charge_some(struct mem *mem, unsigned int nr)
{
	while (nr && !limit_try_charge(mem, nr))
		nr /= 2;
	return nr;
}

/* Mark the frames from @from to @end that are like @idx.  Return: frames. */
static unsigned int __claim_alike(struct mem *mem, uint64_t idx, uint64_t from,
				  uint64_t end)
{
	uint64_t first = from;
	unsigned int nr, i;

	__fill_alike(mem, idx, &first, &end);
	nr = charge_some(mem, (unsigned int)(end - from));
	for (i = 0; i < nr; i++)
		mem->frames[from + i].busy = FRAME_FILL;
	return nr;
}

/*
 * Mark @idx, which is charged, and what follows of the same kind and is wanted
 * too, as far as there is room.  Caller holds the stripe, which is dropped: what
 * is marked stays the caller's, block by block, and nobody waits with a frame
 * marked.  Return: frames.
 */
static unsigned int __claim_run(struct mem *mem, uint64_t idx, uint64_t wanted)
{
	uint64_t locked = idx;
	uint64_t from = idx + 1;
	uint64_t end;

	if (wanted > idx + FILL_MAX_DEVICE)
		wanted = idx + FILL_MAX_DEVICE;
	mem->frames[idx].busy = FRAME_FILL;
	while (from < wanted) {
		end = from - from % FRAME_BLOCK + FRAME_BLOCK;
		if (end > wanted)
			end = wanted;
		if (from % FRAME_BLOCK == 0) {
			frame_unlock(mem, locked);
			locked = from;
			frame_lock(mem, locked);
		}
		from += __claim_alike(mem, idx, from, end);
		if (from < end)
			break;
	}
	frame_unlock(mem, locked);
	return (unsigned int)(from - idx);
}

int access_resident(struct mem *mem, uint64_t idx, uint64_t end, bool pin,
		    _Atomic uint64_t *counter, uint64_t since_ns)
{
	struct frame *f = &mem->frames[idx];
	enum mem_wait kind = MEM_WAIT_OTHER;
	bool charged = false;
	unsigned int nr;
	int err;

	frame_lock(mem, idx);
	for (;;) {
		err = __frame_wait_idle(mem, idx);
		if (err < 0)
			break;
		err = -EFAULT;
		if (__state_is_discarded(mem, idx))
			break;
		err = -EBUSY;
		if (pin && f->pins == FRAME_MAX_PINS)
			break;
		err = 0;
		if (pin && f->armed) {
			/* Also for a read, which is rare: the guest made it Stable. */
			__track_allow_write(mem, idx);
			continue;
		}
		if (f->parked) {
			__probation_rescue(mem, idx);
			continue;
		}
		if (f->content == FRAME_RESIDENT) {
			f->pins += pin;
			break;
		}
		if (!charged && !limit_try_charge(mem, 1)) {
			/* Reclaim may need this very stripe to make room. */
			frame_unlock(mem, idx);
			err = limit_charge(mem, 1);
			if (err)
				return err;
			charged = true;
			frame_lock(mem, idx);
			continue;
		}
		kind = f->content == FRAME_ZERO ? MEM_WAIT_ZERO :
						  MEM_WAIT_PAGE_IN;
		nr = __claim_run(mem, idx, end);
		err = fill_run(mem, idx, nr, idx, 0);
		if (err)
			return err;
		charged = false;
		mem_count(counter, nr);
		frame_lock(mem, idx);
	}
	frame_unlock(mem, idx);
	if (charged)
		limit_uncharge(mem, 1);
	if (since_ns && !err)
		latency_note(mem, kind, since_ns);
	return err;
}

static int range_of(const struct mem *mem, uint64_t gpa, size_t len,
		    uint64_t *first, uint64_t *last)
{
	uint64_t nr;

	if (!len || gpa + (len - 1) < gpa)
		return -EFAULT;
	nr = ((gpa + (len - 1)) >> MEM_PAGE_SHIFT) - (gpa >> MEM_PAGE_SHIFT) +
	     1;
	if (mem_frame_of_gfn(mem, gpa >> MEM_PAGE_SHIFT, nr, first))
		return -EFAULT;
	*last = *first + nr - 1;
	return 0;
}

static void unpin(struct mem *mem, uint64_t first, uint64_t end)
{
	uint64_t i;

	for (i = first; i < end; i++) {
		frame_lock(mem, i);
		mem->frames[i].pins--;
		frame_unlock(mem, i);
	}
	limit_unpinned(mem);
}

int mem_get(struct mem *mem, uint64_t gpa, size_t len, void **hva)
{
	uint64_t first, last, i;
	int err;

	err = range_of(mem, gpa, len, &first, &last);
	if (err)
		return err;
	for (i = first; i <= last; i++) {
		err = access_resident(mem, i, last + 1, true,
				      &mem->count.device_fills, 0);
		if (err) {
			unpin(mem, first, i);
			return err;
		}
	}
	*hva = mem_hva(mem, first) + gpa % MEM_PAGE_SIZE;
	return 0;
}

void mem_put(struct mem *mem, uint64_t gpa, size_t len)
{
	uint64_t first, last;

	if (!range_of(mem, gpa, len, &first, &last))
		unpin(mem, first, last + 1);
}

/* By pages: a copy of any length must not pin more than one frame. */
static int copy(struct mem *mem, uint64_t gpa, void *buf, size_t len,
		bool to_guest)
{
	uint64_t first, last;
	size_t part;
	void *hva;
	int err;

	err = range_of(mem, gpa, len, &first, &last);
	while (!err && len) {
		part = MEM_PAGE_SIZE - gpa % MEM_PAGE_SIZE;
		if (part > len)
			part = len;
		err = mem_get(mem, gpa, part, &hva);
		if (err)
			break;
		if (to_guest)
			memcpy(hva, buf, part);
		else
			memcpy(buf, hva, part);
		mem_put(mem, gpa, part);
		gpa += part;
		len -= part;
		buf = (char *)buf + part;
	}
	return err;
}

int mem_read(struct mem *mem, uint64_t gpa, void *dst, size_t len)
{
	return copy(mem, gpa, dst, len, false);
}

int mem_write(struct mem *mem, uint64_t gpa, const void *src, size_t len)
{
	return copy(mem, gpa, (void *)src, len, true);
}

/*
 * The guest loops through here until the access works, so every call must
 * change something: either the guest gets a discard fault, or afterwards the
 * frame has a page.  Scribbled bytes cannot prevent that: a touch counts as
 * discarded only if private state and byte agree.
 */
enum mem_fault mem_fault(struct mem *mem, const void *addr, uint64_t *gpa)
{
	uint64_t idx = ((uintptr_t)addr - (uintptr_t)mem->ram) >>
		       MEM_PAGE_SHIFT;
	uint64_t since = mem_clock_ns();
	int err;

	if (idx >= mem->nr_frames)
		return MEM_FAULT_FOREIGN;
	*gpa = mem_gfn(mem, idx) << MEM_PAGE_SHIFT;
	err = access_resident(mem, idx, idx + 1, false, &mem->count.fault_stale,
			      since);
	if (err == -EFAULT) {
		refault_note(mem, idx, REFAULT_DISCARDED);
		mem_count(&mem->count.fault_discard, 1);
		watch_look(mem);
		return MEM_FAULT_DISCARD;
	}
	return MEM_FAULT_RETRY;
}
