// SPDX-License-Identifier: GPL-2.0-only
/* The catalogue of guest programs. */
#include <stddef.h>
#include <string.h>

#include "essa-emu/emu/co.h"
#include "essa-emu/emu/guest.h"

/* Allocate, use, free. */
static enum emu_ret run_alloc(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_alloc(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(emu_access(e, c->f, EMU_WRITE));
	if (co_ret == EMU_NO)
		return emu_bad(e, "a discard fault on an allocated page");
	CALL(emu_access(e, c->f, 0));
	if (co_ret == EMU_NO)
		return emu_bad(e, "a discard fault on an allocated page");
	CALL(guest_put(e, c->f));
	CO_END();
}

/* Read a page of a file: allocate, fill, insert into the page cache. */
static enum emu_ret run_read_in(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_alloc(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(emu_access(e, c->f, EMU_WRITE));
	if (co_ret == EMU_NO)
		return emu_bad(e, "a discard fault on an allocated page");
	CALL(guest_insert(e, c->f));
	CO_END();
}

/* Use page cache that make_stable() has just found kept. */
static enum emu_ret use(struct emu *e, unsigned int f)
{
	CO_BEGIN(LEVEL_FN);
	CALL(emu_access(e, f, 0));
	if (co_ret == EMU_NO)
		return emu_bad(e, "a discard fault on content in use");
	CALL(emu_access(e, f, 0));
	if (co_ret == EMU_NO)
		return emu_bad(e, "a discard fault on content in use");
	guest_use_done(e, f);
	CO_END();
}

/* Look up page cache, make it stable, use it; drop it if it is discarded. */
static enum emu_ret lookup(struct emu *e, bool shortcut)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(guest_make_stable(e, c->f, shortcut));
	if (co_ret == EMU_OK) {
		CALL(use(e, c->f));
	} else {
		CALL(guest_discard(e, c->f));
	}
	CALL(guest_put(e, c->f));
	CO_END();
}

static enum emu_ret run_lookup(struct emu *e)
{
	return lookup(e, true);
}

static enum emu_ret run_if_kept(struct emu *e)
{
	return lookup(e, false);
}

/* Look up, make stable, write, make dirty. */
static enum emu_ret run_write(struct emu *e)
{
	struct emu_cpu *c = e->c;
	struct emu_frame *fr = &e->m->frame[c->f];

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(guest_make_stable(e, c->f, true));
	if (co_ret == EMU_NO) {
		CALL(guest_discard(e, c->f));
		CALL(guest_put(e, c->f));
		RETURN(EMU_OK);
	}
	CALL(guest_lock(e, c->f));
	if (__atomic_load_n(&fr->kind, __ATOMIC_SEQ_CST) == EMU_CACHE) {
		CALL(emu_access(e, c->f, EMU_WRITE));
		if (co_ret == EMU_NO)
			return emu_bad(e, "a discard fault on content in use");
		STEP();
		__atomic_store_n(&fr->dirty, 1, __ATOMIC_SEQ_CST);
	}
	guest_use_done(e, c->f);
	guest_unlock(e, c->f);
	CALL(guest_put(e, c->f));
	CO_END();
}

/* The ageing pass, for what may be mapped writable. */
static enum emu_ret run_arm(struct emu *e)
{
	struct emu_cpu *c = e->c;
	struct emu_frame *fr = &e->m->frame[c->f];

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	STEP();
	if (guest_trylock(e, c->f)) {
		STEP();
		if (__atomic_load_n(&fr->kind, __ATOMIC_SEQ_CST) == EMU_CACHE)
			CALL(guest_make_potential(e, c->f));
		guest_unlock(e, c->f);
	}
	CALL(guest_put(e, c->f));
	CO_END();
}

/* The same for Volatile: folio_make_volatile(). */
static enum emu_ret make_volatile(struct emu *e, unsigned int op)
{
	struct emu_cpu *c = e->c;
	struct emu_frame *fr = &e->m->frame[c->f];

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	STEP();
	if (guest_trylock(e, c->f)) {
		STEP();
		if (__atomic_load_n(&fr->kind, __ATOMIC_SEQ_CST) != EMU_CACHE)
			;
		else if (!__atomic_load_n(&fr->map, __ATOMIC_SEQ_CST))
			CALL(guest_make_volatile(e, c->f, op));
		else
			CALL(guest_make_mapped_volatile(e, c->f));
		guest_unlock(e, c->f);
	}
	CALL(guest_put(e, c->f));
	CO_END();
}

static enum emu_ret run_volatile(struct emu *e)
{
	return make_volatile(e, ESSA_OP_SET_VOLATILE);
}

static enum emu_ret run_potential(struct emu *e)
{
	return make_volatile(e, ESSA_OP_SET_POTENTIAL);
}

/* Use a page table: page_states_discard_pfn() after a discard fault. */
static enum emu_ret use_mapped(struct emu *e, unsigned int how)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(emu_access(e, c->f, EMU_BY_MAP | how));
	if (co_ret == EMU_OK)
		RETURN(EMU_OK);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	STEP();
	if (essa_is_discarded(emu_load(e, c->f))) {
		e->seen++;
		CALL(guest_discard(e, c->f));
	}
	CALL(guest_put(e, c->f));
	CO_END();
}

static enum emu_ret run_mapped_read(struct emu *e)
{
	return use_mapped(e, 0);
}

/* A writable mapping: not with programs that make mapped frames Volatile. */
static enum emu_ret run_mapped_write(struct emu *e)
{
	return use_mapped(e, EMU_WRITE);
}

/* Look up, make stable, map; the reference becomes the mapping's. */
static enum emu_ret run_map(struct emu *e)
{
	struct emu_cpu *c = e->c;
	struct emu_frame *fr = &e->m->frame[c->f];

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(guest_make_stable(e, c->f, true));
	if (co_ret == EMU_NO) {
		CALL(guest_discard(e, c->f));
		CALL(guest_put(e, c->f));
		RETURN(EMU_OK);
	}
	CALL(guest_lock(e, c->f));
	STEP();
	c->r = __atomic_load_n(&fr->kind, __ATOMIC_SEQ_CST) == EMU_CACHE &&
	       !__atomic_exchange_n(&fr->map, 1, __ATOMIC_SEQ_CST);
	guest_use_done(e, c->f);
	guest_unlock(e, c->f);
	if (!c->r)
		CALL(guest_put(e, c->f));
	CO_END();
}

static enum emu_ret run_zap(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_zap(e, c->f));
	if (co_ret == EMU_OK)
		CALL(guest_put(e, c->f));
	CO_END();
}

/* Zap the mapping of what is in use: an earlier holder of a reference. */
static enum emu_ret run_use_zap(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(guest_make_stable(e, c->f, true));
	if (co_ret == EMU_OK) {
		CALL(guest_zap(e, c->f));
		if (co_ret == EMU_OK)
			CALL(guest_put(e, c->f));
		CALL(use(e, c->f));
	} else {
		CALL(guest_discard(e, c->f));
	}
	CALL(guest_put(e, c->f));
	CO_END();
}

/* Reclaim or truncation: out of the page cache, whatever its state. */
static enum emu_ret run_evict(struct emu *e)
{
	struct emu_cpu *c = e->c;
	struct emu_frame *fr = &e->m->frame[c->f];

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_get(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(guest_lock(e, c->f));
	STEP();
	if (__atomic_load_n(&fr->kind, __ATOMIC_SEQ_CST) == EMU_CACHE &&
	    !__atomic_load_n(&fr->map, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&fr->kind, EMU_OWNED, __ATOMIC_SEQ_CST);
		STEP();
		__atomic_fetch_sub(&fr->ref, 1, __ATOMIC_SEQ_CST);
	}
	guest_unlock(e, c->f);
	CALL(guest_put(e, c->f));
	CO_END();
}

/* A block of two frames: each step for all of it before the next one. */
static enum emu_ret run_batch(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	CALL(guest_alloc(e, c->f));
	if (co_ret == EMU_NO)
		RETURN(EMU_OK);
	CALL(guest_alloc(e, c->g));
	if (co_ret == EMU_OK) {
		CALL(emu_access(e, c->g, EMU_WRITE));
		if (co_ret == EMU_NO)
			return emu_bad(e, "a discard fault in a block");
		CALL(emu_access(e, c->f, EMU_WRITE));
		if (co_ret == EMU_NO)
			return emu_bad(e, "a discard fault in a block");
		CALL(emu_access(e, c->g, 0));
		if (co_ret == EMU_NO)
			return emu_bad(e, "a discard fault in a block");
		CALL(guest_put(e, c->g));
	}
	CALL(guest_put(e, c->f));
	CO_END();
}

/* ESSA_CMD_WAIT alone: it ends, and only when nothing is in flight. */
static enum emu_ret run_wait(struct emu *e)
{
	CO_BEGIN(LEVEL_PROGRAM);
	CALL(emu_wait(e, e->c->f));
	CO_END();
}

/* Arbitrary bytes, one after the other, then none. */
static enum emu_ret run_scribble(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	STEP();
	emu_store(e, c->f, e->m->scribble);
	STEP();
	emu_store(e, c->f, (uint8_t)(e->m->scribble * 37u + 11u));
	CO_END();
}

const struct emu_program emu_guest_programs[] = {
	{ "alloc", run_alloc },
	{ "read in", run_read_in },
	{ "lookup", run_lookup },
	{ "if kept", run_if_kept },
	{ "write", run_write },
	{ "volatile", run_volatile },
	{ "potential", run_potential },
	{ "mapped read", run_mapped_read },
	{ "map", run_map },
	{ "zap", run_zap },
	{ "use, zap", run_use_zap },
	{ "evict", run_evict },
	{ "batch", run_batch },
	{ "wait", run_wait },
	/* those that do not go with all of the others */
	{ "mapped write", run_mapped_write },
	{ "arm", run_arm },
	{ "restart", guest_run_restart },
	{ "scribble", run_scribble },
};

#define NR_SPECIAL 4u

const unsigned int emu_nr_all_guest_programs =
	sizeof(emu_guest_programs) / sizeof(emu_guest_programs[0]);
const unsigned int emu_nr_guest_programs =
	sizeof(emu_guest_programs) / sizeof(emu_guest_programs[0]) - NR_SPECIAL;

unsigned int emu_find_program(const struct emu_program *list, unsigned int nr,
			      const char *name)
{
	unsigned int i = 0;

	while (i < nr && strcmp(list[i].name, name) != 0)
		i++;
	return i;
}
