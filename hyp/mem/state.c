// SPDX-License-Identifier: GPL-2.0-only
/* The shared state table; see state.h for who may rely on what. */
#include <errno.h>

#include <essa/step.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

#define CONTENT_BITS(content) (ESSA_ZERO - ((content) << ESSA_CONTENT_SHIFT))
_Static_assert(CONTENT_BITS(FRAME_RESIDENT) == ESSA_RESIDENT, "r");
_Static_assert(CONTENT_BITS(FRAME_PRESERVED) == ESSA_PRESERVED, "p");
_Static_assert(CONTENT_BITS(FRAME_ZERO) == ESSA_ZERO, "z");

static uint8_t *byte_of(struct mem *mem, uint64_t idx)
{
	return &mem->table[mem_gfn(mem, idx)];
}

static bool byte_cas(struct mem *mem, uint64_t idx, uint8_t *old, uint8_t next)
{
	return __atomic_compare_exchange_n(byte_of(mem, idx), old, next, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

uint8_t state_content(enum frame_content content)
{
	return (uint8_t)CONTENT_BITS(content);
}

uint8_t state_read(struct mem *mem, uint64_t idx)
{
	return __atomic_load_n(byte_of(mem, idx), __ATOMIC_SEQ_CST);
}

uint8_t state_usage(struct mem *mem, uint8_t byte)
{
	uint32_t features = atomic_load(&mem->features);
	uint8_t usage = byte & ESSA_USAGE_MASK;

	if (byte & ESSA_PENDING)
		return ESSA_STABLE;
	if (usage == ESSA_UNUSED && !(features & ESSA_FEAT_UNUSED))
		return ESSA_STABLE;
	if (usage == ESSA_VOLATILE && !(features & ESSA_FEAT_VOLATILE))
		return ESSA_STABLE;
	if (usage == ESSA_POTENTIAL && !(features & ESSA_FEAT_POTENTIAL))
		return ESSA_STABLE;
	return usage;
}

bool __state_is_discarded(struct mem *mem, uint64_t idx)
{
	const struct frame *f = &mem->frames[idx];
	uint8_t byte = state_read(mem, idx);

	/*
	 * The marker tells a discard from a frame that never had content:
	 * a guest that writes V|z into the byte of such a frame gets zeros.
	 */
	return f->content == FRAME_ZERO && f->poisoned &&
	       (state_usage(mem, byte) & ESSA_VOLATILE) &&
	       essa_is_discarded(byte);
}

int __state_commit_discard(struct mem *mem, uint64_t idx, uint8_t *old)
{
	uint8_t truth = state_content(mem->frames[idx].content);
	uint8_t byte = state_read(mem, idx);
	int next;

	do {
		/* R-HOST-3: host bits of an idle frame that differ are scribble. */
		if ((byte & (ESSA_CONTENT_MASK | ESSA_BUSY)) != truth) {
			__state_repair(mem, idx);
			return -EBUSY;
		}
		if (state_usage(mem, byte) == ESSA_STABLE)
			return -EBUSY;
		next = essa_host_discard(byte, mem->frames[idx].armed);
		if (next < 0)
			return -EBUSY;
#ifdef HYP_BREAK_LATE_RELEASE
		/* For tests only: what the busy bit prevents. */
		next &= ~ESSA_BUSY;
#endif
	} while (!byte_cas(mem, idx, &byte, (uint8_t)next));
	*old = byte;
	return 0;
}

void __state_released(struct mem *mem, uint64_t idx)
{
	uint8_t byte = state_read(mem, idx);

	while (!byte_cas(mem, idx, &byte, (uint8_t)essa_host_released(byte)))
		;
}

int __state_set_content(struct mem *mem, uint64_t idx,
			enum frame_content content)
{
	uint8_t bits = state_content(content);
	uint8_t byte = state_read(mem, idx);
	uint8_t idle;
	int next;

	do {
		/* The caller's frame, so no release is in flight: R-HOST-3. */
		idle = essa_host_released(byte);
		next = essa_host_content(idle, bits);
		if (next == ESSA_REFUSED) {
			if (!essa_is_discarded(idle))
				return -EBUSY;
			/* Not discarded, as the caller knows: scribble. */
			next = (idle & ~ESSA_CONTENT_MASK) | bits;
		}
	} while (!byte_cas(mem, idx, &byte, (uint8_t)next));
	return 0;
}

void __state_repair(struct mem *mem, uint64_t idx)
{
	uint8_t truth = state_content(mem->frames[idx].content);
	uint8_t byte = state_read(mem, idx);
	uint8_t next;

	do {
		next = (byte & ~(ESSA_CONTENT_MASK | ESSA_BUSY)) | truth;
		if (next == byte)
			return;
	} while (!byte_cas(mem, idx, &byte, next));
}

void __state_reset(struct mem *mem, uint64_t idx)
{
	uint8_t next = ESSA_STABLE | state_content(mem->frames[idx].content);

	if (state_read(mem, idx) != next)
		__atomic_store_n(byte_of(mem, idx), next, __ATOMIC_SEQ_CST);
}

int state_guest_op(struct mem *mem, uint64_t idx, unsigned int op, uint8_t *old)
{
	uint8_t byte = state_read(mem, idx);
	int next;

	do {
		next = essa_next(byte, op);
		if (next == ESSA_WAIT)
			break;
	} while (!byte_cas(mem, idx, &byte, (uint8_t)next));
	*old = byte;
	return next;
}
