// SPDX-License-Identifier: GPL-2.0-only
/* The guest's functions; each stands for one of the kernel's. */
#include <stddef.h>

#include "essa-emu/emu/co.h"
#include "essa-emu/emu/guest.h"

static bool broken(struct emu *e, uint32_t what)
{
	return e->m->broken & what;
}

static int next_state(struct emu *e, uint8_t old, unsigned int op)
{
	int next = essa_next(old, op);

	if (next == ESSA_WAIT && broken(e, BREAK_GUEST_NO_WAIT))
		next = essa_next(old & ~ESSA_BUSY, op) | ESSA_BUSY;
	if (op == ESSA_OP_SET_VOLATILE && emu_content(old) == ESSA_ZERO &&
	    broken(e, BREAK_GUEST_ZERO_VOLATILE))
		next = (old & ~(ESSA_USAGE_MASK | ESSA_PENDING)) |
		       ESSA_VOLATILE;
	return next;
}

enum emu_ret guest_op(struct emu *e, unsigned int f, unsigned int op)
{
	struct emu_cpu *c = e->c;
	int next;

	CO_BEGIN(LEVEL_OP);
	STEP();
	c->old = emu_load(e, f);
	for (;;) {
		next = next_state(e, c->old, op);
		if (next == ESSA_WAIT) {
			CALL(emu_wait(e, f));
			STEP();
			c->old = emu_load(e, f);
			continue;
		}
		if (next == c->old)
			break;
		STEP();
		next = next_state(e, c->old, op);
		if (broken(e, BREAK_GUEST_STORE)) {
			emu_store(e, f, (uint8_t)next);
			break;
		}
		if (emu_cas(e, f, (uint8_t)next))
			break;
	}
	CO_END();
}

static bool cas8(uint8_t *p, uint8_t old, uint8_t next)
{
	return __atomic_compare_exchange_n(p, &old, next, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static uint8_t load8(const uint8_t *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void store8(uint8_t *p, uint8_t val)
{
	__atomic_store_n(p, val, __ATOMIC_SEQ_CST);
}

enum emu_ret guest_alloc(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_FN);
	STEP();
	if (!cas8(&fr->kind, EMU_FREE, EMU_OWNED))
		RETURN(EMU_NO);
	if (broken(e, BREAK_GUEST_WRITE_FIRST))
		CALL(emu_access(e, f, EMU_WRITE));
	CALL(guest_op(e, f, ESSA_OP_SET_STABLE));
	STEP();
	store8(&fr->ref, 1);
	CO_END();
}

/* __page_states_free() is the last to touch a block before the buddy has it. */
enum emu_ret guest_put(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_SUB);
	STEP();
	if (__atomic_sub_fetch(&fr->ref, 1, __ATOMIC_SEQ_CST))
		RETURN(EMU_OK);
	store8(&fr->live, 0);
	store8(&fr->dirty, 0);
	store8(&fr->unsaved, 0);
	if (broken(e, BREAK_GUEST_FREE_FIRST)) {
		STEP();
		store8(&fr->kind, EMU_FREE);
	}
	CALL(guest_op(e, f, ESSA_OP_SET_UNUSED));
	if (!broken(e, BREAK_GUEST_FREE_FIRST)) {
		STEP();
		store8(&fr->kind, EMU_FREE);
	}
	CO_END();
}

enum emu_ret guest_insert(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_FN);
	/* The owner's reference is the page cache's from now on. */
	STEP();
	store8(&fr->kind, EMU_CACHE);
	CO_END();
}

static bool try_get(struct emu_frame *fr)
{
	uint8_t ref = load8(&fr->ref);

	do {
		if (!ref)
			return false;
	} while (!__atomic_compare_exchange_n(&fr->ref, &ref, ref + 1, false,
					      __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	return true;
}

/* As filemap_get_entry(): the reference first, then whether it is the one. */
enum emu_ret guest_get(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_FN);
	STEP();
	if (load8(&fr->kind) != EMU_CACHE || !try_get(fr))
		RETURN(EMU_NO);
	STEP();
	if (load8(&fr->kind) == EMU_CACHE)
		RETURN(EMU_OK);
	CALL(guest_put(e, f));
	RETURN(EMU_NO);
	CO_END();
}

enum emu_ret guest_make_stable(struct emu *e, unsigned int f, bool shortcut)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_SUB);
	if (broken(e, BREAK_GUEST_NO_STABLE))
		RETURN(EMU_OK);
	if (shortcut) {
		STEP();
		if (!(emu_load(e, f) & (ESSA_USAGE_MASK | ESSA_PENDING))) {
			__atomic_fetch_add(&fr->held, 1, __ATOMIC_SEQ_CST);
			RETURN(EMU_OK);
		}
	}
	CALL(guest_op(e, f, ESSA_OP_SET_STABLE_IF_KEPT));
	if (essa_is_discarded(c->old)) {
		e->seen++;
		RETURN(EMU_NO);
	}
	__atomic_fetch_add(&fr->held, 1, __ATOMIC_SEQ_CST);
	CO_END();
}

void guest_use_done(struct emu *e, unsigned int f)
{
	if (!broken(e, BREAK_GUEST_NO_STABLE))
		__atomic_fetch_sub(&e->m->frame[f].held, 1, __ATOMIC_SEQ_CST);
}

bool guest_trylock(struct emu *e, unsigned int f)
{
	return cas8(&e->m->frame[f].locked, 0, 1);
}

void guest_unlock(struct emu *e, unsigned int f)
{
	store8(&e->m->frame[f].locked, 0);
}

enum emu_ret guest_lock(struct emu *e, unsigned int f)
{
	CO_BEGIN(LEVEL_OP);
	STEP_WHEN(guest_trylock(e, f));
	CO_END();
}

enum emu_ret guest_zap(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_OP);
	STEP();
	if (!cas8(&fr->map, 1, 0))
		RETURN(EMU_NO);
	/* TLB flush: no access through the mapping is under way any more. */
	while (!emu_page_idle(e, f))
		STEP_WHEN(emu_page_idle(e, f));
	/* The flag first: who looks at the entry first misses neither. */
	if (load8(&fr->pte_dirty)) {
		store8(&fr->dirty, 1);
		store8(&fr->pte_dirty, 0);
	}
	CO_END();
}

enum emu_ret guest_discard(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_SUB);
	CALL(guest_lock(e, f));
	STEP();
	if (load8(&fr->kind) != EMU_CACHE || !essa_is_discarded(emu_load(e, f)))
		goto out;
	CALL(guest_zap(e, f));
	if (co_ret == EMU_OK) {
		STEP();
		__atomic_fetch_sub(&fr->ref, 1, __ATOMIC_SEQ_CST);
	}
	STEP();
	store8(&fr->live, 0);
	store8(&fr->kind, EMU_OWNED);
	STEP();
	/* The page cache's; the caller has one of its own. */
	__atomic_fetch_sub(&fr->ref, 1, __ATOMIC_SEQ_CST);
out:
	guest_unlock(e, f);
	CO_END();
}

enum emu_ret guest_make_volatile(struct emu *e, unsigned int f, unsigned int op)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_SUB);
	STEP();
	if (broken(e, BREAK_GUEST_NO_FREEZE)) {
		if (load8(&fr->ref) != 2)
			RETURN(EMU_NO);
	} else if (!cas8(&fr->ref, 2, 0)) {
		RETURN(EMU_NO);
	}
	/* Behind the freeze: who held a reference may have made it dirty. */
	STEP();
	if (!load8(&fr->dirty))
		CALL(guest_op(e, f, op));
	if (!broken(e, BREAK_GUEST_NO_FREEZE)) {
		STEP();
		store8(&fr->ref, 2);
	}
	CO_END();
}

enum emu_ret guest_make_mapped_volatile(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_SUB);
	CALL(guest_op(e, f, ESSA_OP_SET_PENDING));
	if (c->old & ESSA_USAGE_MASK)
		RETURN(EMU_NO);
	STEP();
	if (broken(e, BREAK_GUEST_MAP_FIRST))
		c->m = load8(&fr->map);
	else
		c->r = load8(&fr->ref);
	STEP();
	if (broken(e, BREAK_GUEST_MAP_FIRST))
		c->r = load8(&fr->ref);
	else
		c->m = load8(&fr->map);
	/* The page cache's, the caller's, and one for the mapping. */
	if (c->r == 2 + c->m) {
		STEP();
		if (!load8(&fr->dirty)) {
			CALL(guest_op(e, f,
				      broken(e, BREAK_GUEST_NO_PENDING) ?
					      ESSA_OP_SET_VOLATILE :
					      ESSA_OP_COMMIT_VOLATILE));
			if (emu_content(c->old) != ESSA_ZERO &&
			    (c->old & ESSA_PENDING))
				RETURN(EMU_OK);
		}
	}
	CALL(guest_op(e, f, ESSA_OP_SET_STABLE_IF_KEPT));
	RETURN(EMU_NO);
	CO_END();
}

/* Dirty bits first, the flag that unmapping moves them to second. */
static enum emu_ret guest_check_clean(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_OP);
	STEP();
	if (load8(&fr->pte_dirty))
		RETURN(EMU_NO);
	STEP();
	if (load8(&fr->dirty))
		RETURN(EMU_NO);
	CO_END();
}

enum emu_ret guest_make_potential(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_SUB);
	CALL(guest_op(e, f, ESSA_OP_SET_PENDING));
	if (c->old & ESSA_USAGE_MASK)
		RETURN(EMU_NO);
	if (broken(e, BREAK_GUEST_CHECK_THEN_ARM)) {
		CALL(guest_check_clean(e, f));
		if (co_ret == EMU_NO)
			goto no;
	}
	CALL(emu_arm(e, f));
	STEP();
	c->r = load8(&fr->ref);
	STEP();
	c->m = load8(&fr->map);
	if (c->r != 2 + c->m)
		goto no;
	if (!broken(e, BREAK_GUEST_CHECK_THEN_ARM)) {
		CALL(guest_check_clean(e, f));
		if (co_ret == EMU_NO)
			goto no;
	}
	CALL(guest_op(e, f, ESSA_OP_COMMIT_POTENTIAL));
	if (emu_content(c->old) != ESSA_ZERO && (c->old & ESSA_PENDING))
		RETURN(EMU_OK);
no:
	CALL(guest_op(e, f, ESSA_OP_SET_STABLE_IF_KEPT));
	RETURN(EMU_NO);
	CO_END();
}
