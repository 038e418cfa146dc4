// SPDX-License-Identifier: GPL-2.0-only
/* What a CPU may do with a frame that others work on too. */
#include "guest-tests/race/race.h"

/* Discard faults without a way out: some ten seconds, emulated. */
#define MAX_IN_A_ROW 20000

static uint32_t ref_of(unsigned int i)
{
	return __atomic_load_n(&race.frames[i].ref, __ATOMIC_SEQ_CST);
}

static bool ref_cas(unsigned int i, uint32_t old, uint32_t next)
{
	return __atomic_compare_exchange_n(&race.frames[i].ref, &old, next,
					   false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static void ref_set(unsigned int i, uint32_t ref)
{
	__atomic_store_n(&race.frames[i].ref, ref, __ATOMIC_SEQ_CST);
}

static uint64_t gen_of(unsigned int i)
{
	return __atomic_load_n(&race.frames[i].gen, __ATOMIC_SEQ_CST);
}

static void gen_set(unsigned int i, uint64_t gen)
{
	__atomic_store_n(&race.frames[i].gen, gen, __ATOMIC_SEQ_CST);
}

static uint64_t read_word(unsigned int i, unsigned int n)
{
	/* A call: the fault's handler changes what the caller knows. */
	return access_read(race_page(i) + n);
}

static unsigned int any_word(struct race_worker *w)
{
	return (unsigned int)(rng_next(&w->rng) >> 32) & (PAGE_WORDS - 1);
}

/* Frozen: what was there is gone from now on. */
static void drop_content(unsigned int i)
{
	race.frames[i].last = gen_of(i);
	gen_set(i, gen_of(i) | 1);
}

static void new_content(struct race_worker *w, unsigned int i)
{
	uint64_t gen = rng_next(&w->rng) & ~1ull;

	page_fill(race_page(i), gen);
	gen_set(i, gen);
}

void race_verify(struct race_worker *w, unsigned int i, bool all)
{
	uint64_t gen = gen_of(i);
	uint64_t *page = race_page(i);
	unsigned int n = any_word(w);
	int bad;

	if (all) {
		bad = page_check(page, gen);
		if (bad < 0)
			return;
		n = (unsigned int)bad;
	}
	if (read_word(i, n) != page_word(page, gen, n))
		race_wrong(w, "content lost", i, read_word(i, n),
			   page_word(page, gen, n));
}

/* Nothing may be left of what a frame without content once had. */
static void verify_empty(struct race_worker *w, unsigned int i)
{
	unsigned int n = any_word(w);

	if (read_word(i, n))
		race_wrong(w, "old data in a page without content", i,
			   read_word(i, n), 0);
	else if (one_in(w, 8) && !page_is_zero(race_page(i)))
		race_wrong(w, "old data in a page without content", i, 1, 0);
}

/* Frozen and discarded: use it at once for something else. */
static void reuse(struct race_worker *w, unsigned int i, uint64_t *counter)
{
	uint8_t old;

	drop_content(i);
	old = race_op(w, i, ESSA_OP_SET_UNUSED);
	if (!essa_is_discarded(old))
		race_wrong(w, "discard found twice", i, old, 0);
	(*counter)++;
	race_dawdle(w);
	old = race_op(w, i, ESSA_OP_SET_STABLE);
	if ((old & ESSA_USAGE_MASK) != ESSA_UNUSED)
		race_wrong(w, "frozen frame has changed", i, old, ESSA_UNUSED);
	verify_empty(w, i);
	new_content(w, i);
}

/* Just taken from the allocator, with state @old until then. */
static void renew(struct race_worker *w, unsigned int i, uint8_t old)
{
	uint64_t last = race.frames[i].last;
	unsigned int n = any_word(w);
	uint64_t have = read_word(i, n);

	if ((old & ESSA_USAGE_MASK) != ESSA_UNUSED)
		race_wrong(w, "free frame is not Unused", i, old, ESSA_UNUSED);
	if ((old & ESSA_CONTENT_MASK) == ESSA_ZERO || !have)
		verify_empty(w, i);
	else if (have != page_word(race_page(i), last, n))
		race_wrong(w, "foreign data in a free page", i, have,
			   page_word(race_page(i), last, n));
	else if (one_in(w, 8) && page_check(race_page(i), last) >= 0)
		race_wrong(w, "foreign data in a free page", i, 1, 0);
	race_dawdle(w);
	new_content(w, i);
	w->reuses++;
}

void race_init(struct race_worker *w, unsigned int i)
{
	new_content(w, i);
	ref_set(i, FRAME_CACHE);
}

static bool try_get(unsigned int i)
{
	uint32_t ref = ref_of(i);

	do {
		if (ref == FRAME_FREE || (ref & FROZEN))
			return false;
	} while (!__atomic_compare_exchange_n(&race.frames[i].ref, &ref,
					      ref + 1, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	return true;
}

void race_put(unsigned int i)
{
	__atomic_fetch_sub(&race.frames[i].ref, 1, __ATOMIC_SEQ_CST);
}

/* The caller has a reference.  Return: the content stays */
static bool make_stable(struct race_worker *w, unsigned int i)
{
	uint8_t state = essa_state(gfn_of(race_page(i)));
	uint8_t mark = race.broken == BREAK_KEEP_PENDING ? 0 : ESSA_PENDING;

	/*
	 * Who makes frames Volatile marks them pending first and then looks for
	 * references; here the reference came first: one of both sees the other.
	 */
	if (!(state & (ESSA_USAGE_MASK | mark)))
		return true;
	race_dawdle(w);
	return !essa_is_discarded(race_op(w, i, ESSA_OP_SET_STABLE_IF_KEPT));
}

bool race_get(struct race_worker *w, unsigned int i)
{
	if (!try_get(i))
		return false;
	race_dawdle(w);
	if (make_stable(w, i)) {
		w->lookups++;
		return true;
	}
	race_dawdle(w);
	if (race.broken == BREAK_FOUND_BY_BOTH) {
		if (one_in(w, 16))
			race_linger();
		reuse(w, i, &w->by_state);
		race_put(i);
	} else if (ref_cas(i, FRAME_CACHE + 1, FROZEN)) {
		/* The reference has kept others from doing so before. */
		reuse(w, i, &w->by_state);
		ref_set(i, FRAME_CACHE);
	} else {
		race_put(i);
	}
	return false;
}

void race_make_volatile(struct race_worker *w, unsigned int i)
{
	uint32_t ref = ref_of(i);
	bool done = false;
	uint8_t old;

	if (ref == FRAME_FREE || (ref & (FROZEN | LOCKED)) ||
	    !ref_cas(i, ref, (ref + 1) | LOCKED))
		return;
	old = race_op(w, i, ESSA_OP_SET_PENDING);
	if ((old & ESSA_USAGE_MASK) == ESSA_STABLE) {
		race_dawdle(w);
		if (race.broken == BREAK_NO_REF_CHECK ||
		    ref_of(i) == ((FRAME_CACHE + 1) | LOCKED)) {
			race_dawdle(w);
			old = race_op(w, i, ESSA_OP_COMMIT_VOLATILE);
			done = (old & ESSA_PENDING) &&
			       (old & ESSA_CONTENT_MASK) != ESSA_ZERO;
		}
		if (!done)
			race_op(w, i, ESSA_OP_SET_STABLE_IF_KEPT);
	}
	__atomic_fetch_sub(&race.frames[i].ref, 1 | LOCKED, __ATOMIC_SEQ_CST);
}

void race_set_usage(struct race_worker *w, unsigned int i, unsigned int op)
{
	if (!ref_cas(i, FRAME_CACHE, FROZEN))
		return;
	race_op(w, i, op);
	race_dawdle(w);
	ref_set(i, FRAME_CACHE);
}

void race_take_back(struct race_worker *w, unsigned int i, bool rewrite)
{
	uint8_t old;

	if (!ref_cas(i, FRAME_CACHE, FROZEN))
		return;
	if (rewrite)
		drop_content(i);
	old = race_op(w, i,
		      one_in(w, 64) ? ESSA_OP_SET_STABLE_RESIDENT :
				      ESSA_OP_SET_STABLE);
	if (essa_is_discarded(old)) {
		w->by_state++;
		drop_content(i);
		verify_empty(w, i);
		new_content(w, i);
	} else if (rewrite) {
		new_content(w, i);
	} else {
		race_verify(w, i, one_in(w, 16));
	}
	ref_set(i, FRAME_CACHE);
}

/* Frozen, Unused since, with state @old until then. */
static void freed(struct race_worker *w, uint8_t old)
{
	w->by_free += essa_is_discarded(old);
}

void race_free(struct race_worker *w, unsigned int i)
{
	if (!ref_cas(i, FRAME_CACHE, FROZEN))
		return;
	drop_content(i);
	if (race.broken == BREAK_HAND_OVER) {
		ref_set(i, FRAME_FREE);
		if (one_in(w, 16))
			race_linger();
	}
	freed(w, race_op(w, i, ESSA_OP_SET_UNUSED));
	if (race.broken != BREAK_HAND_OVER)
		ref_set(i, FRAME_FREE);
}

void race_alloc(struct race_worker *w, unsigned int i)
{
	if (!ref_cas(i, FRAME_FREE, FROZEN))
		return;
	renew(w, i, race_op(w, i, ESSA_OP_SET_STABLE));
	ref_set(i, FRAME_CACHE);
}

static bool freeze_block(unsigned int i, uint32_t ref)
{
	unsigned int k;

	for (k = 0; k < 8; k++)
		if (!ref_cas(i + k, ref, FROZEN))
			break;
	if (k == 8)
		return true;
	while (k--)
		ref_set(i + k, ref);
	return false;
}

void race_free_block(struct race_worker *w, unsigned int i)
{
	unsigned int k;
	uint64_t old;

	if (!freeze_block(i, FRAME_CACHE))
		return;
	for (k = 0; k < 8; k++)
		drop_content(i + k);
	old = race_op_block(w, i, ESSA_OP_SET_UNUSED);
	for (k = 0; k < 8; k++) {
		freed(w, (uint8_t)(old >> 8 * k));
		ref_set(i + k, FRAME_FREE);
	}
}

void race_alloc_block(struct race_worker *w, unsigned int i)
{
	unsigned int k;
	uint64_t old;

	if (!freeze_block(i, FRAME_FREE))
		return;
	old = race_op_block(w, i, ESSA_OP_SET_STABLE);
	for (k = 0; k < 8; k++) {
		renew(w, i + k, (uint8_t)(old >> 8 * k));
		ref_set(i + k, FRAME_CACHE);
	}
}

void race_touch(struct race_worker *w, unsigned int i)
{
	uint64_t gen = gen_of(i);
	uint64_t faults = w->faults;
	unsigned int n = any_word(w);
	uint64_t have;

	have = read_word(i, n);
	w->in_a_row = 0;
	if ((gen & 1) || gen_of(i) != gen)
		return;
	/* The same content all the time: it was not discarded meanwhile. */
	if (have != page_word(race_page(i), gen, n))
		race_wrong(w, "content lost without a fault", i, have,
			   page_word(race_page(i), gen, n));
	else if (w->faults != faults)
		race_wrong(w, "discard fault for a page that is there", i,
			   w->faults - faults, 0);
}

static bool is_held(const struct race_worker *w, unsigned int i)
{
	unsigned int k;

	for (k = 0; k < NR_HELD; k++)
		if (w->held[k] == i)
			return true;
	return false;
}

void race_fault(uint64_t gpa)
{
	struct race_worker *w = &race.workers[cpu_index()];
	uint64_t i = (gpa - guest.scratch) / PAGE_SIZE;

	if (gpa < guest.scratch || i >= NR_FRAMES)
		bail_out("discard fault at %lx, which never was volatile", gpa);
	w->faults++;
	if (is_held(w, (unsigned int)i))
		race_wrong(w, "discard fault for a page with a reference",
			   (unsigned int)i,
			   essa_state(gfn_of(race_page((unsigned int)i))), 0);
	if (++w->in_a_row > MAX_IN_A_ROW)
		race_wrong(w, "discard faults without end", (unsigned int)i,
			   w->in_a_row, 0);
	if (__atomic_load_n(&race.stop, __ATOMIC_SEQ_CST)) {
		page_stable_empty(race_page((unsigned int)i));
		return;
	}
	/* Somebody uses it, or has found the same: look again. */
	if (!ref_cas((unsigned int)i, FRAME_CACHE, FROZEN)) {
		cpu_relax();
		return;
	}
	/* Behind the freeze: it may have been dealt with before. */
	if (essa_is_discarded(essa_state(gpa / PAGE_SIZE)))
		reuse(w, (unsigned int)i, &w->by_fault);
	ref_set((unsigned int)i, FRAME_CACHE);
}

void race_sweep(struct race_worker *w, unsigned int i)
{
	if (ref_of(i) == FRAME_FREE)
		race_alloc(w, i);
	else if (ref_of(i) != FRAME_CACHE)
		race_wrong(w, "references left", i, ref_of(i), FRAME_CACHE);
	else if (race_get(w, i))
		race_put(i);
	race_verify(w, i, true);
}
