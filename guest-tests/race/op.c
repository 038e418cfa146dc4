// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the race: both transports, and what they change. */
#include "guest-tests/race/race.h"

/* One operation in this many takes an exit. */
#define SLOW_ONE_IN 1024

/*
 * A few dawdles are for about as long as the time slice in which emulated CPUs
 * take turns, so that the other one runs for sure.  They cost time: more of them
 * only where a rule is broken.
 */
#define LONG_PAUSES	   1000
#define LONG_ONE_IN	   2048
#define LONG_ONE_IN_BROKEN 32

/*
 * A discard is over when a byte stops to say so, which an atomic operation of
 * exactly one CPU does: the sum is what the host has discarded.
 */
static void account(struct race_worker *w, uint8_t old, unsigned int op)
{
	int next = essa_next(old & ~ESSA_BUSY, op);

	w->transitions += next != (old & ~ESSA_BUSY);
	w->discards += essa_is_discarded(old) &&
		       !essa_is_discarded((uint8_t)next);
}

static uint8_t broken_op(struct race_worker *w, unsigned int i, unsigned int op)
{
	uint64_t gfn = gfn_of(race_page(i));
	uint8_t old = essa_state(gfn);
	uint8_t next;

	if (race.broken == BREAK_STORE) {
		next = (uint8_t)essa_next(old & ~ESSA_BUSY, op);
		race_dawdle(w);
		__atomic_store_n(&essa.table[gfn], next, __ATOMIC_SEQ_CST);
		return old;
	}
	do {
		next = (uint8_t)(essa_next(old & ~ESSA_BUSY, op) |
				 (old & ESSA_BUSY));
	} while (!__atomic_compare_exchange_n(&essa.table[gfn], &old, next,
					      false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	return old;
}

uint8_t race_op(struct race_worker *w, unsigned int i, unsigned int op)
{
	uint64_t gfn = gfn_of(race_page(i));
	uint8_t old;

	if (race.broken == BREAK_STORE || race.broken == BREAK_NO_WAIT) {
		old = broken_op(w, i, op);
	} else if (op <= ESSA_OP_SET_STABLE_IF_KEPT && one_in(w, SLOW_ONE_IN)) {
		w->slow_ops++;
		old = essa_op_slow(gfn, op);
	} else {
		old = essa_op(gfn, op);
	}
	account(w, old, op);
	return old;
}

uint64_t race_op_block(struct race_worker *w, unsigned int i, unsigned int op)
{
	uint64_t old = essa_op_word(gfn_of(race_page(i)), op);
	unsigned int k;

	for (k = 0; k < 8; k++)
		account(w, (uint8_t)(old >> 8 * k), op);
	w->blocks++;
	return old;
}

void race_linger(void)
{
	unsigned int n;

	for (n = 0; n < LONG_PAUSES; n++)
		cpu_relax();
}

void race_dawdle(struct race_worker *w)
{
	uint64_t r = rng_next(&w->rng);
	unsigned int n;

	if (r & 7)
		return;
	if (!((r >> 3) % (race.broken ? LONG_ONE_IN_BROKEN : LONG_ONE_IN)))
		race_linger();
	for (n = 1 + (r >> 32 & 3); n; n--)
		cpu_relax();
}
