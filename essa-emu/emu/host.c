// SPDX-License-Identifier: GPL-2.0-only
/* The host's programs: discards in batches, page-out, page-in, scans. */
#include <stddef.h>

#include "essa-emu/emu/co.h"

#define MAX_SCAN 8u /* state bytes in a word */

static bool broken(struct emu *e, uint32_t what)
{
	return e->m->broken & what;
}

static int discard_of(struct emu *e, unsigned int f)
{
	const uint8_t old = e->c->old;
	int clean = e->m->frame[f].armed || broken(e, BREAK_HOST_TAKE_ALL_P);
	int next = essa_host_discard(old, clean);

	if (next >= 0 && broken(e, BREAK_HOST_NO_BUSY))
		next &= ~ESSA_BUSY;
	return next;
}

/* __discard_commit(): all of it under the stripe. */
static enum emu_ret commit(struct emu *e, unsigned int f, unsigned int bit)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;
	int next;

	CO_BEGIN(LEVEL_SUB);
	STEP_WHEN(emu_stripe_trylock(e, f));
	if (fr->busy != EMU_IDLE || fr->truth == ESSA_ZERO)
		goto no;
	c->old = emu_load(e, f);
	for (;;) {
		if ((c->old & (ESSA_CONTENT_MASK | ESSA_BUSY)) != fr->truth) {
			if (!fr->tainted)
				return emu_bad_at(
					e, f, "somebody wrote the host's bits");
			emu_repair(e, f);
			goto no;
		}
		/* Under the stripe, which DISABLE takes behind this. */
		if (e->m->vm->off && !broken(e, BREAK_HOST_ALWAYS_ON))
			goto no;
		if (discard_of(e, f) < 0)
			goto no;
		if (broken(e, BREAK_HOST_RELEASE_FIRST)) {
			STEP();
			__atomic_store_n(&fr->present, 0, __ATOMIC_SEQ_CST);
			fr->page = EMU_JUNK;
			fr->slot = EMU_JUNK;
		}
		STEP();
		next = discard_of(e, f);
		if (broken(e, BREAK_HOST_STORE)) {
			emu_store(e, f, (uint8_t)next);
			break;
		}
		if (emu_cas(e, f, (uint8_t)next))
			break;
	}
	if ((c->old & ESSA_USAGE_MASK) == ESSA_POTENTIAL && !fr->tainted &&
	    __atomic_load_n(&fr->unsaved, __ATOMIC_SEQ_CST))
		return emu_bad_at(e, f,
				  "content was discarded that was written");
	fr->busy = EMU_DISCARD;
	c->set |= (uint16_t)(1u << bit);
	if ((c->old & ESSA_USAGE_MASK) != ESSA_UNUSED)
		c->mark |= (uint16_t)(1u << bit);
	e->discards++;
	emu_stripe_unlock(e, f);
	RETURN(EMU_OK);
no:
	emu_stripe_unlock(e, f);
	RETURN(EMU_NO);
	CO_END();
}

/* madvise(): unmap first, so that no access meets half of it. */
static enum emu_ret release(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	CO_BEGIN(LEVEL_SUB);
	STEP();
	if (broken(e, BREAK_HOST_KEEP))
		RETURN(EMU_OK);
	__atomic_store_n(&fr->present, 0, __ATOMIC_SEQ_CST);
	while (!emu_page_idle(e, f))
		STEP_WHEN(emu_page_idle(e, f));
	fr->page = EMU_JUNK;
	fr->slot = EMU_JUNK;
	CO_END();
}

static enum emu_ret publish(struct emu *e, unsigned int f, unsigned int bit)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_SUB);
	STEP_WHEN(emu_stripe_trylock(e, f));
	fr->truth = ESSA_ZERO;
	fr->poisoned = !!(c->mark & 1u << bit) &&
		       !broken(e, BREAK_HOST_NO_MARK);
	fr->busy = EMU_IDLE;
	fr->armed = 0;
	__atomic_store_n(&fr->wp, 0, __ATOMIC_SEQ_CST);
	c->old = emu_load(e, f);
	do {
		STEP();
	} while (!emu_cas(e, f, (uint8_t)essa_host_released(c->old)));
	if (fr->tainted)
		emu_repair(e, f);
	/* After the byte: ESSA_CMD_WAIT takes the stripe. */
	emu_stripe_unlock(e, f);
	CO_END();
}

/* discard_flush(): release all of the batch, then publish all of it. */
static enum emu_ret flush(struct emu *e, unsigned int base)
{
	struct emu_cpu *c = e->c;
	unsigned int turn;

	CO_BEGIN(LEVEL_FN);
	for (c->r = 0; c->r < 2; c->r++) {
		for (c->i = 0; c->i < MAX_SCAN; c->i++) {
			if (!(c->set & 1u << c->i))
				continue;
			turn = c->r ^ !!broken(e, BREAK_HOST_PUBLISH_FIRST);
			if (!turn) {
				CALL(release(e, base + c->i));
			} else {
				CALL(publish(e, base + c->i, c->i));
			}
		}
	}
	c->set = 0;
	c->mark = 0;
	CO_END();
}

static enum emu_ret run_discard(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(commit(e, c->f, 0));
	if (co_ret == EMU_OK)
		CALL(flush(e, c->f));
	CO_END();
}

/* Bits of the frames that a word of eight bytes nominates. */
static uint16_t nominate(const uint8_t *table)
{
	uint64_t word =
		__atomic_load_n((const uint64_t *)table, __ATOMIC_RELAXED);
	uint16_t hits = 0;
	unsigned int i;

	for (i = 0; i < MAX_SCAN; i++)
		if (essa_host_discard((uint8_t)(word >> 8 * i), 1) >= 0)
			hits |= (uint16_t)(1u << i);
	return hits;
}

static enum emu_ret run_scan(struct emu *e)
{
	struct emu_cpu *c = e->c;
	unsigned int base = c->f & ~(MAX_SCAN - 1);

	CO_BEGIN(LEVEL_PROGRAM);
	STEP();
	/* Nominated now, decided later: each frame by its own exchange. */
	c->val = nominate(&e->m->table[base]);
	for (c->i = 0; c->i < MAX_SCAN && base + c->i < e->m->nr; c->i++)
		if (c->val & 1u << c->i)
			CALL(commit(e, base + c->i, c->i));
	CALL(flush(e, base));
	c->val = 0;
	CO_END();
}

/* pageout_batch() of one frame. */
static enum emu_ret page_out(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];
	struct emu_cpu *c = e->c;
	uint8_t content;
	int next;

	CO_BEGIN(LEVEL_SUB);
	STEP_WHEN(emu_stripe_trylock(e, f));
	if (fr->busy != EMU_IDLE || fr->truth != ESSA_RESIDENT) {
		emu_stripe_unlock(e, f);
		RETURN(EMU_NO);
	}
	fr->busy = EMU_PAGE_OUT;
	emu_stripe_unlock(e, f);

	STEP();
	__atomic_store_n(&fr->present, 0, __ATOMIC_SEQ_CST);
	while (!emu_page_idle(e, f))
		STEP_WHEN(emu_page_idle(e, f));
	c->val = fr->page;

	STEP_WHEN(emu_stripe_trylock(e, f));
	c->old = emu_load(e, f);
	for (;;) {
		STEP();
		content = c->val ? ESSA_PRESERVED : ESSA_ZERO;
		/* The frame is ours: a busy bit is scribble. */
		if (fr->tainted)
			next = essa_host_content(
				(uint8_t)essa_host_released(c->old), content);
		else
			next = essa_host_content(c->old, content);
		if (next < 0 && broken(e, BREAK_HOST_ZERO_VOLATILE))
			next = (c->old & ~ESSA_CONTENT_MASK) | content;
		if (next < 0) {
			/* Volatile and zero would look discarded: back. */
			__atomic_store_n(&fr->present, 1, __ATOMIC_SEQ_CST);
			break;
		}
		if (emu_cas(e, f, (uint8_t)next)) {
			fr->truth = content;
			fr->slot = c->val;
			fr->page = EMU_JUNK;
			break;
		}
	}
	fr->busy = EMU_IDLE;
	c->val = 0;
	if (fr->tainted)
		emu_repair(e, f);
	emu_stripe_unlock(e, f);
	CO_END();
}

static enum emu_ret run_page_out(struct emu *e)
{
	CO_BEGIN(LEVEL_PROGRAM);
	CALL(page_out(e, e->c->f));
	CO_END();
}

/* Fault-around, readahead, a device: it backs off from what is discarded. */
static enum emu_ret run_page_in(struct emu *e)
{
	CO_BEGIN(LEVEL_PROGRAM);
	CALL(emu_fault(e, e->c->f));
	CO_END();
}

static enum emu_ret run_out_discard(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(page_out(e, c->f));
	CALL(commit(e, c->f, 0));
	if (co_ret == EMU_OK)
		CALL(flush(e, c->f));
	CO_END();
}

static enum emu_ret run_out_in(struct emu *e)
{
	CO_BEGIN(LEVEL_PROGRAM);
	CALL(page_out(e, e->c->f));
	CALL(emu_fault(e, e->c->f));
	CO_END();
}

const struct emu_program emu_host_programs[] = {
	{ "discard", run_discard },
	{ "scan", run_scan },
	{ "page out", run_page_out },
	{ "page in", run_page_in },
	{ "page out, discard", run_out_discard },
	{ "page out, page in", run_out_in },
};

const unsigned int emu_nr_host_programs =
	sizeof(emu_host_programs) / sizeof(emu_host_programs[0]);
