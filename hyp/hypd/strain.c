// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/strain.h"

#include <math.h>

#include "hyp/util.h"

/* Costs of a page, one read back from swap being 1: what a vCPU waits for it. */
#define COST_PRESERVED 1.0
/* The guest reads it from its own disk, and a fault more. */
#define COST_DISCARD 1.0
/* Written behind the guest's back, but it will be wanted. */
#define COST_SWAPPED 0.25
/* Where waiting is measured: as long as it usually takes. */
#define COST_STALL_US 0.01
/* Whatever a VM says: forgotten within a minute. */
#define RATE_MAX 100000.0

/* A counter that goes backwards begins anew. */
static double grown(uint64_t now, uint64_t last)
{
	return now > last ? (double)(now - last) : 0;
}

/*
 * What is written because a limit has been lowered is no sign of need, or lowering
 * one would be the reason to raise it again.
 */
static double swapped_of_need(struct strain *s, const struct policy_vm *vm)
{
	double out = grown(vm->counters.swapped_out, s->last.swapped_out);
	/* Reclaim goes a little below, and may have been there already. */
	uint64_t goal = vm->limit - vm->limit / 32;
	uint64_t had = s->had > vm->charged ? s->had : vm->charged;
	double forgiven;

	if (vm->limit < s->limit && had > goal)
		s->forgiven =
			fmax(s->forgiven, (double)(had - goal) / POLICY_PAGE);
	s->limit = vm->limit;
	s->had = vm->charged;
	forgiven = fmin(out, s->forgiven);
	s->forgiven -= forgiven;
	return out - forgiven;
}

static double cost_of(struct strain *s, const struct policy_vm *vm)
{
	const struct policy_counters *now = &vm->counters, *last = &s->last;
	double cost =
		grown(now->fault_discard, last->fault_discard) * COST_DISCARD +
		swapped_of_need(s, vm) * COST_SWAPPED;

	if (now->has_stall && last->has_stall)
		return cost +
		       grown(now->stall_us, last->stall_us) * COST_STALL_US;
	return cost + grown(now->fault_preserved, last->fault_preserved) *
			      COST_PRESERVED;
}

static void note_life(struct strain *s, const struct policy_vm *vm, double cost,
		      uint64_t now_ms)
{
	uint64_t much = vm->mem / 64 > MIB ? vm->mem / 64 : MIB;

	/* What falls was taken, and is no sign of life. */
	if (vm->charged < s->charged)
		s->charged = vm->charged;
	if ((cost < 1 || s->rate < STRAIN_LIFE) &&
	    vm->charged - s->charged < much)
		return;
	s->charged = vm->charged;
	if (vm->running)
		s->active_ms = now_ms;
}

void strain_update(struct strain *s, const struct policy_vm *vm,
		   uint64_t now_ms)
{
	double cost;

	if (!s->seen) {
		*s = (struct strain){ .seen = true,
				      .at_ms = now_ms,
				      .active_ms = now_ms,
				      .charged = vm->charged,
				      .limit = vm->limit,
				      .had = vm->charged,
				      .last = vm->counters };
		return;
	}
	cost = cost_of(s, vm);
	s->last = vm->counters;
	s->rate *= exp(-(double)(now_ms - s->at_ms) / STRAIN_TAU_MS);
	s->rate += cost * 1000 / STRAIN_TAU_MS;
	s->rate = fmin(s->rate, RATE_MAX);
	s->at_ms = now_ms;
	s->strained = s->rate >= (s->strained ? STRAIN_OFF : STRAIN_ON);
	/* To be strained no longer is not to be idle already. */
	if (s->strained && vm->running)
		s->active_ms = now_ms;
	note_life(s, vm, cost, now_ms);
}

bool strain_is_idle(const struct strain *s, uint64_t now_ms)
{
	return !s->strained && now_ms - s->active_ms >= STRAIN_IDLE_MS;
}

uint64_t strain_ends_ms(const struct strain *s)
{
	if (!s->strained)
		return POLICY_NEVER;
	return s->at_ms + 1 +
	       (uint64_t)(log(s->rate / STRAIN_OFF) * STRAIN_TAU_MS);
}
