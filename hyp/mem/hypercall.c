// SPDX-License-Identifier: GPL-2.0-only
/* Slow path of the interface: ESSA_CMD_* of <essa/abi.h>. */
#include <errno.h>

#include <essa/step.h>

#include "hyp/mem/access.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

uint32_t mem_features(const struct mem *mem)
{
	return ESSA_FEAT_UNUSED | ESSA_FEAT_VOLATILE |
	       (mem->track.offered ? ESSA_FEAT_POTENTIAL : 0);
}

/* Does a byte show that the guest's operation was done? */
static bool is_done(unsigned int op, uint8_t byte)
{
	switch (op) {
	case ESSA_OP_SET_STABLE:
	case ESSA_OP_SET_STABLE_RESIDENT:
	case ESSA_OP_SET_STABLE_IF_KEPT:
		return !(byte & (ESSA_USAGE_MASK | ESSA_PENDING));
	case ESSA_OP_SET_UNUSED:
		return (byte & ESSA_USAGE_MASK) == ESSA_UNUSED;
	case ESSA_OP_SET_VOLATILE:
		return (byte & ESSA_USAGE_MASK) == ESSA_VOLATILE;
	case ESSA_OP_SET_POTENTIAL:
		return (byte & ESSA_USAGE_MASK) == ESSA_POTENTIAL;
	default:
		return true;
	}
}

/*
 * Wait until no discard of a frame is in flight.  Sleeps on the private mark;
 * a busy bit that is left in the byte afterwards is the guest's own scribble
 * and goes away here, or the guest would ask for ever.
 */
static int wait_frame(struct mem *mem, uint64_t idx, bool *slept)
{
	int ret;

	frame_lock(mem, idx);
	ret = __frame_wait_idle(mem, idx);
	if (ret >= 0)
		__state_repair(mem, idx);
	frame_unlock(mem, idx);
	*slept |= ret > 0;
	return ret < 0 ? ret : 0;
}

static int wait_range(struct mem *mem, uint64_t idx, uint64_t nr)
{
	bool slept = false;
	uint64_t i;
	int err = 0;

	for (i = idx; i < idx + nr && !err; i++)
		if (state_read(mem, i) & ESSA_BUSY)
			err = wait_frame(mem, i, &slept);
	mem_count(&mem->count.busy_waits, slept);
	return err;
}

/* Waits for one frame; a guest that scribbles busy bits shall not keep us. */
#define OPERATE_TRIES 1000u

static int32_t operate(struct mem *mem, unsigned int op, uint64_t idx,
		       uint64_t nr)
{
	unsigned int tries = 0;
	uint32_t done = 0;
	uint8_t old = 0;
	int next = 0;
	int err;

	while (done < nr) {
		next = state_guest_op(mem, idx + done, op, &old);
		if (next == ESSA_WAIT) {
			err = wait_range(mem, idx + done, 1);
			if (!err && ++tries == OPERATE_TRIES)
				err = -EBUSY;
			if (err)
				return err;
			continue;
		}
		if (op == ESSA_OP_SET_STABLE_RESIDENT) {
			/* -EFAULT: another vCPU took it back; its business. */
			err = access_resident(mem, idx + done, idx + nr, false,
					      &mem->count.fault_zero, 0);
			if (err && err != -EFAULT)
				return err;
		}
		tries = 0;
		done++;
		if (!is_done(op, (uint8_t)next))
			break;
	}
	return (int32_t)(done << 8 | old);
}

/* From @first on, up to @end, in one block. */
static int reset_block(struct mem *mem, uint64_t first, uint64_t end)
{
	uint64_t i;
	int err = 0;

	frame_lock(mem, first);
	for (i = first; i < end; i++) {
		err = __frame_wait_idle(mem, i);
		if (err < 0)
			break;
		/*
		 * Discarded frames become zero ones: their markers are stale
		 * from now on and filled when touched.
		 */
		__state_reset(mem, i);
		/* Most have never been written to: sparse.h. */
		if (mem->frames[i].armed)
			mem->frames[i].armed = 0;
	}
	frame_unlock(mem, first);
	return err < 0 ? err : 0;
}

/* All frames Stable.  Discards have been forbidden by the caller. */
static int reset_frames(struct mem *mem)
{
	uint64_t first, end;
	int err = 0;

	for (first = 0; first < mem->nr_frames && !err; first = end) {
		end = first + FRAME_BLOCK;
		if (end > mem->nr_frames)
			end = mem->nr_frames;
		err = reset_block(mem, first, end);
	}
	return err;
}

static int32_t enable(struct mem *mem, uint64_t version, uint64_t features,
		      bool test_hooks)
{
	const uint64_t offered = mem_features(mem) |
				 (test_hooks ? ESSA_FEAT_TEST : 0);
	int err;

	if (!mem->cfg.hinting)
		return -ENOSYS;
	if (version != ESSA_VERSION || (features & ~offered))
		return -EINVAL;
	/*
	 * CPUs that a kernel stops behind its ESSA_CMD_DISABLE free frames
	 * until then; the next kernel does not know, and uses them as Stable.
	 */
	if (!atomic_load(&mem->features)) {
		err = reset_frames(mem);
		if (err)
			return err;
	} else {
		track_forget(mem);
	}
	atomic_store(&mem->features, (uint32_t)features);
	if (mem->cfg.storm)
		limit_kick(mem);
	return 0;
}

static int32_t disable(struct mem *mem)
{
	if (!mem->cfg.hinting)
		return -ENOSYS;
	/*
	 * Commits look at the features under the stripe: a frame that
	 * reset_frames() has passed can no longer be discarded.
	 */
	atomic_store(&mem->features, 0);
	return reset_frames(mem);
}

void mem_reset(struct mem *mem)
{
	atomic_store(&mem->features, 0);
	reset_frames(mem);
}

static int32_t test_discard(struct mem *mem, uint64_t idx)
{
	struct discard_batch b = { .nr = 0 };
	int err;

	frame_lock(mem, idx);
	err = __frame_wait_idle(mem, idx);
	if (err >= 0)
		err = __discard_commit(mem, &b, idx);
	frame_unlock(mem, idx);
	discard_flush(mem, &b);
	return err;
}

static int32_t test_page_out(struct mem *mem, uint64_t idx)
{
	bool preserved, parked;
	int err;

	frame_lock(mem, idx);
	err = __frame_wait_idle(mem, idx);
	parked = mem->frames[idx].parked;
	preserved = mem->frames[idx].content == FRAME_PRESERVED;
	if (err >= 0 && !preserved)
		err = __pageout_claim(mem, idx);
	frame_unlock(mem, idx);
	if (err < 0 || preserved)
		return err < 0 ? err : 0;
	return pageout_batch(mem, &idx, 1, parked) ? 0 : -EBUSY;
}

int32_t mem_hypercall(struct mem *mem, uint64_t cmd, uint64_t gfn, uint64_t nr,
		      bool test_hooks)
{
	uint64_t idx;
	int err;

	switch (cmd) {
	case ESSA_CMD_ENABLE:
		return enable(mem, gfn, nr, test_hooks);
	case ESSA_CMD_DISABLE:
		return disable(mem);
	case ESSA_CMD_OP ... ESSA_CMD_OP + ESSA_OP_SET_STABLE_IF_KEPT:
	case ESSA_CMD_WAIT:
		break;
	case ESSA_CMD_ARM:
		if (atomic_load(&mem->features) & ESSA_FEAT_POTENTIAL)
			break;
		return -ENOSYS;
	case ESSA_CMD_TEST_DISCARD:
	case ESSA_CMD_TEST_PAGE_OUT:
		if (test_hooks)
			break;
		/* fallthrough */
	default:
		return -ENOSYS;
	}
	if (!mem->cfg.hinting)
		return -ENOSYS;
	if (nr > ESSA_CMD_MAX_FRAMES)
		return -EINVAL;
	err = mem_frame_of_gfn(mem, gfn, nr, &idx);
	if (err)
		return err;
	switch (cmd) {
	case ESSA_CMD_WAIT:
		return wait_range(mem, idx, nr);
	case ESSA_CMD_ARM:
		return track_arm(mem, idx, nr);
	case ESSA_CMD_TEST_DISCARD:
		return nr == 1 ? test_discard(mem, idx) : -EINVAL;
	case ESSA_CMD_TEST_PAGE_OUT:
		return nr == 1 ? test_page_out(mem, idx) : -EINVAL;
	default:
		return operate(mem, (unsigned int)(cmd - ESSA_CMD_OP), idx, nr);
	}
}
