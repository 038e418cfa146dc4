// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/inflate.h"

/* Of the guest's memory, with one change. */
#define STEP_SHARE 16

static uint64_t pages(uint64_t bytes)
{
	return bytes / POLICY_PAGE * POLICY_PAGE;
}

/* What the guest needs to fill its budget: its own reserves, and something over. */
static uint64_t room_for(const struct policy_vm *vm, unsigned int over)
{
	uint64_t size = vm->budget + pages(vm->budget / over);

	return size < vm->mem ? size : vm->mem;
}

static uint64_t change(struct inflate *f, bool inflated, uint64_t target,
		       uint64_t now_ms)
{
	f->changed = true;
	f->inflated = inflated;
	f->changed_ms = now_ms;
	return target;
}

static void sooner(uint64_t *next_ms, uint64_t at_ms)
{
	if (at_ms < *next_ms)
		*next_ms = at_ms;
}

uint64_t inflate_target(struct inflate *f, const struct policy_vm *vm,
			bool strained, uint64_t now_ms, uint64_t *next_ms)
{
	uint64_t target = vm->balloon_target < vm->mem ? vm->balloon_target :
							 vm->mem;
	uint64_t size = vm->mem - target, room = room_for(vm, 8), step;
	bool early = f->changed && now_ms - f->changed_ms < INFLATE_EVERY_MS;

	if (strained && vm->entitlement > room)
		room = vm->entitlement;
	if (strained && room_for(vm, 4) > room)
		room = room_for(vm, 4);
	if (size < vm->budget || (strained && size < room)) {
		f->below = false;
		if (!early || f->inflated || size < vm->budget)
			return change(f, false, vm->mem - room, now_ms);
		sooner(next_ms, f->changed_ms + INFLATE_EVERY_MS);
		return target;
	}
	/* A tenth: not for what will be otherwise in a moment. */
	if (strained || size <= room + room / 10) {
		f->below = false;
		return target;
	}
	if (!f->below) {
		f->below = true;
		f->since_ms = now_ms;
	}
	if (early || now_ms - f->since_ms < INFLATE_AFTER_MS) {
		sooner(next_ms,
		       early && f->changed_ms + INFLATE_EVERY_MS >
					       f->since_ms + INFLATE_AFTER_MS ?
			       f->changed_ms + INFLATE_EVERY_MS :
			       f->since_ms + INFLATE_AFTER_MS);
		return target;
	}
	step = pages(vm->mem / STEP_SHARE);
	if (step > size - room)
		step = size - room;
	sooner(next_ms, now_ms + INFLATE_EVERY_MS);
	return change(f, true, target + step, now_ms);
}
