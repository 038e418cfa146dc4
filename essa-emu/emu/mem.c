// SPDX-License-Identifier: GPL-2.0-only
/* What guest and host do to a frame's byte and backing, step by step. */
#include <stddef.h>
#include <string.h>

#include "essa-emu/emu/co.h"

uint8_t emu_content(uint8_t byte)
{
	return byte & ESSA_CONTENT_MASK;
}

uint8_t emu_load(struct emu *e, unsigned int f)
{
	return __atomic_load_n(&e->m->table[f], __ATOMIC_SEQ_CST);
}

/* Against the byte last seen, which a failure brings up to date. */
bool emu_cas(struct emu *e, unsigned int f, uint8_t next)
{
	bool done = __atomic_compare_exchange_n(&e->m->table[f], &e->c->old,
						next, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST);

	e->transitions += done;
	return done;
}

/* What nobody may do; for the broken variants. */
void emu_store(struct emu *e, unsigned int f, uint8_t next)
{
	__atomic_store_n(&e->m->table[f], next, __ATOMIC_SEQ_CST);
}

void emu_repair(struct emu *e, unsigned int f)
{
	const uint8_t truth = e->m->frame[f].truth;

	if (e->m->broken & BREAK_HOST_NO_REPAIR)
		return;
	e->c->old = emu_load(e, f);
	while (!emu_cas(
		e, f,
		(uint8_t)((e->c->old & ~(ESSA_CONTENT_MASK | ESSA_BUSY)) |
			  truth)))
		;
}

enum emu_ret emu_bad(struct emu *e, const char *why)
{
	return emu_bad_at(e, e->c->f, why);
}

enum emu_ret emu_bad_at(struct emu *e, unsigned int f, const char *why)
{
	if (e->m->frame[f].tainted)
		return EMU_DEAD;
	e->why = why;
	return EMU_BAD;
}

bool emu_stripe_trylock(struct emu *e, unsigned int f)
{
	return !__atomic_exchange_n(&e->m->frame[f].stripe, 1,
				    __ATOMIC_ACQUIRE);
}

void emu_stripe_unlock(struct emu *e, unsigned int f)
{
	__atomic_store_n(&e->m->frame[f].stripe, 0, __ATOMIC_RELEASE);
}

/* Is no access under way that began before the page was unmapped? */
bool emu_page_idle(struct emu *e, unsigned int f)
{
	return !__atomic_load_n(&e->m->frame[f].users, __ATOMIC_SEQ_CST);
}

enum touch {
	TOUCHED,
	NOT_MAPPED,
	NOT_PRESENT,
	PROTECTED,
	WRONG,
};

static void write_page(struct emu_frame *fr, unsigned int how)
{
	uint32_t gen = __atomic_load_n(&fr->hi, __ATOMIC_RELAXED) + 1;

	/* EMU_JUNK is nobody's content. */
	if (gen == EMU_JUNK)
		gen++;
	__atomic_store_n(&fr->hi, gen, __ATOMIC_SEQ_CST);
	__atomic_store_n(&fr->page, gen, __ATOMIC_RELAXED);
	__atomic_store_n(&fr->lo, gen, __ATOMIC_SEQ_CST);
	__atomic_store_n(&fr->live, 1, __ATOMIC_RELAXED);
	if (how & EMU_BY_MAP) {
		__atomic_store_n(&fr->pte_dirty, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&fr->unsaved, 1, __ATOMIC_SEQ_CST);
	}
}

static bool read_page(struct emu_frame *fr)
{
	uint32_t lo = __atomic_load_n(&fr->lo, __ATOMIC_SEQ_CST);
	uint32_t page = __atomic_load_n(&fr->page, __ATOMIC_RELAXED);
	uint32_t hi = __atomic_load_n(&fr->hi, __ATOMIC_SEQ_CST);

	/* Whatever the guest does to its table, the page is its own. */
	if (fr->tainted)
		return page != EMU_JUNK;
	return page >= lo && page <= hi;
}

/*
 * The guest's accesses are relaxed atomics among themselves; the host's to the
 * same page are plain, so that a thread sanitizer sees what is not ordered.
 */
static enum touch touch(struct emu *e, unsigned int f, unsigned int how)
{
	struct emu_frame *fr = &e->m->frame[f];
	enum touch ret = TOUCHED;

	__atomic_fetch_add(&fr->users, 1, __ATOMIC_SEQ_CST);
	if ((how & EMU_BY_MAP) && !__atomic_load_n(&fr->map, __ATOMIC_SEQ_CST))
		ret = NOT_MAPPED;
	else if (!__atomic_load_n(&fr->present, __ATOMIC_SEQ_CST))
		ret = NOT_PRESENT;
	else if ((how & EMU_WRITE) &&
		 __atomic_load_n(&fr->wp, __ATOMIC_SEQ_CST))
		ret = PROTECTED;
	else if (how & EMU_WRITE)
		write_page(fr, how);
	else if (!read_page(fr))
		ret = WRONG;
	__atomic_fetch_sub(&fr->users, 1, __ATOMIC_SEQ_CST);
	return ret;
}

/* Stripe of a frame that no other thread of the host works on. */
static bool lock_idle(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	bool idle;

	if (!emu_stripe_trylock(e, f))
		return false;
	idle = fr->busy == EMU_IDLE;
	if (e->m->broken & BREAK_HOST_FILL_BUSY)
		idle |= fr->busy == EMU_DISCARD;
	if (e->m->broken & BREAK_HOST_TRUST_BUSY)
		idle &= !(emu_load(e, f) & ESSA_BUSY);
	if (idle)
		return true;
	emu_stripe_unlock(e, f);
	return false;
}

/* Is a touch of this frame a discard fault?  Caller: its stripe. */
static bool is_discarded(struct emu *e, unsigned int f)
{
	const struct emu_frame *fr = &e->m->frame[f];

	if (fr->truth != ESSA_ZERO || !fr->poisoned)
		return false;
	if (e->m->broken & BREAK_HOST_TRUST_MARK)
		return true;
	return !e->m->vm->off && essa_is_discarded(e->c->old);
}

static int filled(struct emu *e, unsigned int f)
{
	const uint8_t old = e->c->old;
	int next = essa_host_content(old, ESSA_RESIDENT);

	if (next < 0 && (e->m->frame[f].tainted || e->m->vm->off ||
			 e->m->broken & BREAK_HOST_FILL_BUSY))
		next = (old & ~ESSA_CONTENT_MASK) | ESSA_RESIDENT;
	return next;
}

/* access_resident() and fill_run() of a hypervisor. */
enum emu_ret emu_fault(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;
	int next;

	CO_BEGIN(LEVEL_LOW);
	STEP_WHEN(lock_idle(e, f));
	c->old = emu_load(e, f);
	if (is_discarded(e, f)) {
		emu_stripe_unlock(e, f);
		RETURN(EMU_NO);
	}
	if (fr->truth == ESSA_RESIDENT) {
		emu_stripe_unlock(e, f);
		RETURN(EMU_OK);
	}
	fr->busy = EMU_FILL;
	emu_stripe_unlock(e, f);

	STEP();
	c->old = emu_load(e, f);
	do {
		STEP();
		next = filled(e, f);
		if (next < 0)
			return emu_bad_at(e, f, "a fill was refused");
	} while (!emu_cas(e, f, (uint8_t)next));
	if (e->m->broken & BREAK_HOST_TRUST_TABLE)
		fr->truth = emu_content(c->old);

	STEP();
	fr->page = fr->truth == ESSA_PRESERVED ? fr->slot : 0;
	/* A slot that is not its own any more may be anyone's. */
	fr->slot = EMU_JUNK;
	__atomic_store_n(&fr->wp, 0, __ATOMIC_SEQ_CST);
	if (!(e->m->broken & BREAK_HOST_ARM_KEPT))
		fr->armed = 0;
	__atomic_store_n(&fr->present, 1, __ATOMIC_SEQ_CST);

	STEP_WHEN(emu_stripe_trylock(e, f));
	fr->truth = ESSA_RESIDENT;
	fr->poisoned = 0;
	fr->busy = EMU_IDLE;
	if (fr->tainted)
		emu_repair(e, f);
	emu_stripe_unlock(e, f);
	CO_END();
}

/* A write to a frame that is armed: known written from now on. */
static enum emu_ret write_fault(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_LOW);
	STEP_WHEN(lock_idle(e, f));
	if (!(e->m->broken & BREAK_HOST_WRITE_UNSEEN))
		fr->armed = 0;
	__atomic_store_n(&fr->wp, 0, __ATOMIC_SEQ_CST);
	emu_stripe_unlock(e, f);
	CO_END();
}

enum emu_ret emu_access(struct emu *e, unsigned int f, unsigned int how)
{
	enum touch t;

	CO_BEGIN(LEVEL_OP);
	for (;;) {
		STEP();
		t = touch(e, f, how);
		if (t == WRONG) {
			e->why = "a read found wrong content";
			return EMU_BAD;
		}
		if (t == TOUCHED)
			break;
		if (t == NOT_MAPPED)
			RETURN(EMU_NO);
		if (t == PROTECTED) {
			CALL(write_fault(e, f));
			continue;
		}
		CALL(emu_fault(e, f));
		if (co_ret == EMU_NO)
			RETURN(EMU_NO);
	}
	CO_END();
}

enum emu_ret emu_wait(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_LOW);
	STEP();
	if (!(emu_load(e, f) & ESSA_BUSY))
		RETURN(EMU_OK);
	e->waits++;
	if (e->m->broken & BREAK_HOST_WAIT_EARLY)
		RETURN(EMU_OK);
	STEP_WHEN(lock_idle(e, f));
	if (fr->tainted)
		emu_repair(e, f);
	e->c->old = emu_load(e, f);
	if (!fr->tainted &&
	    (e->c->old & (ESSA_CONTENT_MASK | ESSA_BUSY)) != fr->truth)
		return emu_bad_at(e, f, "the byte is not true after a wait");
	emu_stripe_unlock(e, f);
	CO_END();
}

enum emu_ret emu_arm(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_LOW);
	STEP_WHEN(lock_idle(e, f));
	if (fr->truth == ESSA_RESIDENT) {
		fr->armed = 1;
		__atomic_store_n(&fr->wp, 1, __ATOMIC_SEQ_CST);
	}
	emu_stripe_unlock(e, f);
	/* TLB flush: writes that found the page unprotected are over. */
	while (!emu_page_idle(e, f))
		STEP_WHEN(emu_page_idle(e, f));
	CO_END();
}

enum emu_ret emu_reset(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_LOW);
	if (e->m->broken & BREAK_HOST_RESET_NO_WAIT) {
		STEP_WHEN(emu_stripe_trylock(e, f));
	} else {
		STEP_WHEN(lock_idle(e, f));
	}
	fr->armed = 0;
	__atomic_store_n(&fr->wp, 0, __ATOMIC_SEQ_CST);
	/* The guest has stopped to change it, and hosts do so locked. */
	emu_store(e, f, ESSA_STABLE | fr->truth);
	emu_stripe_unlock(e, f);
	CO_END();
}

void emu_init_frame(struct emu_mem *m, unsigned int f, enum emu_start start)
{
	struct emu_frame *fr = &m->frame[f];
	uint8_t usage = ESSA_STABLE;

	memset(fr, 0, sizeof(*fr));
	fr->truth = ESSA_RESIDENT;
	fr->kind = EMU_CACHE;
	fr->ref = 1;
	fr->live = 1;
	fr->lo = 1;
	fr->slot = EMU_JUNK;
	switch (start) {
	case START_FREE:
	case START_FREE_OUT:
		usage = ESSA_UNUSED;
		fr->kind = EMU_FREE;
		fr->ref = 0;
		fr->live = 0;
		if (start == START_FREE_OUT)
			fr->truth = ESSA_PRESERVED;
		break;
	case START_ZERO:
		fr->truth = ESSA_ZERO;
		fr->lo = 0;
		break;
	case START_ZEROS_HELD:
		usage = ESSA_VOLATILE;
		fr->lo = 0;
		break;
	case START_OUT:
		usage = ESSA_VOLATILE;
		fr->truth = ESSA_PRESERVED;
		break;
	case START_DISCARDED:
		usage = ESSA_VOLATILE;
		fr->truth = ESSA_ZERO;
		fr->poisoned = 1;
		break;
	case START_VOLATILE:
		usage = ESSA_VOLATILE;
		break;
	case START_ARMED:
		usage = ESSA_POTENTIAL;
		fr->armed = 1;
		fr->wp = 1;
		fr->map = 1;
		fr->ref = 2;
		break;
	case START_MAPPED_VOL:
		usage = ESSA_VOLATILE;
		/* fallthrough */
	case START_MAPPED:
		fr->map = 1;
		fr->ref = 2;
		break;
	default:
		break;
	}
	fr->hi = fr->lo;
	fr->present = fr->truth == ESSA_RESIDENT;
	if (fr->present)
		fr->page = fr->lo;
	if (fr->truth == ESSA_PRESERVED)
		fr->slot = fr->lo;
	m->table[f] = usage | fr->truth;
}

/* Wrong, although the content may survive it. */
static const char *check_usage(const struct emu_frame *fr, uint8_t byte)
{
	if ((byte & ESSA_BUSY) && !(byte & ESSA_USAGE_MASK))
		return "a frame is Stable while its release is in flight";
	if (fr->held && (byte & ESSA_USAGE_MASK))
		return "content in use is not Stable";
	if (fr->live && (byte & ESSA_USAGE_MASK) == ESSA_UNUSED)
		return "content that is needed is Unused";
	return NULL;
}

/* Of a frame that nobody in the host is working on. */
static const char *check_idle(const struct emu_frame *fr, uint8_t byte)
{
	uint32_t content = 0;

	if (fr->present != (fr->truth == ESSA_RESIDENT))
		return "a frame has backing that is not accounted for";
	if (fr->tainted)
		return NULL;
	if ((byte & (ESSA_CONTENT_MASK | ESSA_BUSY)) != fr->truth)
		return "the host's bits are not true";
	if (!fr->live || essa_is_discarded(byte))
		return NULL;
	if (fr->truth == ESSA_RESIDENT)
		content = fr->page;
	else if (fr->truth == ESSA_PRESERVED)
		content = fr->slot;
	return content == fr->lo ? NULL : "content is lost";
}

static const char *check_frame(const struct emu_mem *m, unsigned int f)
{
	const struct emu_frame *fr = &m->frame[f];
	uint8_t byte = m->table[f];
	const char *why = NULL;

	if (!m->lenient && !m->vm->off && !fr->tainted)
		why = check_usage(fr, byte);
	if (why)
		return why;
	if ((byte & 0xc0) && !fr->tainted)
		return "bits 7:6 are not zero";
	if (essa_is_discarded(byte) && !fr->tainted &&
	    fr->busy != EMU_DISCARD &&
	    !(fr->truth == ESSA_ZERO && fr->poisoned))
		return "a frame looks discarded that nobody has discarded";
	if (fr->busy != EMU_IDLE || fr->stripe)
		return NULL;
	return check_idle(fr, byte);
}

const char *emu_check(const struct emu_mem *m, unsigned int *f)
{
	const char *why;

	for (*f = 0; *f < m->nr; (*f)++) {
		why = check_frame(m, *f);
		if (why)
			return why;
	}
	return NULL;
}

const char *emu_check_end(const struct emu_mem *m, unsigned int *f)
{
	for (*f = 0; *f < m->nr; (*f)++) {
		const struct emu_frame *fr = &m->frame[*f];

		if (fr->busy != EMU_IDLE || fr->stripe || fr->locked ||
		    fr->users || fr->held)
			return "a frame is still in somebody's hands";
		if (fr->ref != (fr->kind == EMU_CACHE) + fr->map ||
		    fr->kind == EMU_OWNED)
			return "a reference is left over or missing";
		if (fr->kind == EMU_FREE &&
		    (m->table[*f] & ESSA_USAGE_MASK) != ESSA_UNUSED)
			return "a free frame is not Unused";
	}
	return NULL;
}
