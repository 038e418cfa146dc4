// SPDX-License-Identifier: GPL-2.0-only
/*
 * One kernel ends and another one begins in the same memory: kexec, or a crash
 * kernel.  The first stops its other CPUs and disables the interface.  The
 * next one owns all frames, knows nothing of the interface at first and writes
 * what it likes, table included; then it enables it.
 */
#include <stddef.h>
#include <string.h>

#include "essa-emu/emu/co.h"
#include "essa-emu/emu/guest.h"

static bool broken(struct emu *e, uint32_t what)
{
	return e->m->broken & what;
}

/* What the first kernel wanted of its frames does not matter any more. */
static void stop_others(struct emu *e, unsigned int cpu)
{
	unsigned int f;

	e->m->vm->stopped = (uint8_t)cpu;
	for (f = 0; f < e->m->nr; f++)
		e->m->frame[f].live = 0;
}

/* The next kernel sees a frame for the first time. */
static void own(struct emu *e, unsigned int f)
{
	struct emu_frame *fr = &e->m->frame[f];

	fr->kind = EMU_OWNED;
	fr->ref = 1;
	fr->locked = fr->map = fr->dirty = fr->held = fr->live = 0;
	fr->pte_dirty = fr->unsaved = 0;
}

enum emu_ret guest_run_restart(struct emu *e)
{
	struct emu_cpu *c = e->c;

	CO_BEGIN(LEVEL_PROGRAM);
	STEP();
	if (!broken(e, BREAK_GUEST_CPUS_RUNNING))
		stop_others(e, 1);

	/* ESSA_CMD_DISABLE */
	STEP();
	e->m->vm->off = 1;
	for (c->i = 0; c->i < e->m->nr; c->i++)
		CALL(emu_reset(e, c->i));

	/* The others are gone by now, at any rate. */
	STEP();
	stop_others(e, 1);
	for (c->i = 0; c->i < e->m->nr; c->i++) {
		STEP();
		own(e, c->i);
		CALL(emu_access(e, c->i, EMU_WRITE));
		if (co_ret == EMU_NO)
			return emu_bad(e, "a discard fault without hinting");
	}
	/* To no effect: it has not been asked for. */
	CALL(guest_op(e, c->f, ESSA_OP_SET_UNUSED));
	CALL(emu_access(e, c->f, 0));
	if (co_ret == EMU_NO)
		return emu_bad(e, "a discard fault without hinting");

	/* ESSA_CMD_ENABLE */
	if (!broken(e, BREAK_HOST_ENABLE_KEEPS)) {
		for (c->i = 0; c->i < e->m->nr; c->i++)
			CALL(emu_reset(e, c->i));
	}
	STEP();
	e->m->vm->off = 0;
	for (c->i = 0; c->i < e->m->nr; c->i++) {
		CALL(emu_access(e, c->i, 0));
		if (co_ret == EMU_NO)
			return emu_bad(e, "a discard fault in a new kernel");
		CALL(guest_put(e, c->i));
	}
	CO_END();
}
