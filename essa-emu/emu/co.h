/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Step machines that read like the code they stand for: a function runs until
 * STEP(), returns EMU_RAN, and goes on behind it when it is called again.
 *
 * One step is what lies between two STEP()s and is atomic for a scheduler that
 * runs one step at a time.  Hence a STEP() before each access to what others
 * change; what follows such an access and is private belongs to the same step.
 *
 * A function has a level and keeps its place in pc[level] of its cpu; it calls
 * functions of a higher level only.  Local variables do not survive a STEP().
 */
#ifndef ESSA_EMU_CO_H
#define ESSA_EMU_CO_H

#include "essa-emu/emu/emu.h"

enum emu_level {
	LEVEL_PROGRAM,
	LEVEL_FN,
	LEVEL_SUB,
	LEVEL_OP,
	LEVEL_LOW,
};

_Static_assert(LEVEL_LOW + 1 == EMU_LEVELS, "a pc for each level");

#define CO_BEGIN(level)                                                        \
	enum emu_ret co_ret __attribute__((unused));                           \
	uint16_t *const co_pc = &e->c->pc[level];                              \
	switch (*co_pc) {                                                      \
	case 0:;

#define CO_END()                                                               \
	}                                                                      \
	*co_pc = 0;                                                            \
	return EMU_OK

#define STEP()                                                                 \
	do {                                                                   \
		*co_pc = __LINE__;                                             \
		return EMU_RAN;                                                \
	case __LINE__:;                                                        \
	} while (0)

/* A step that cannot be taken now changes nothing: a false @cond is pure. */
#define STEP_WHEN(cond)                                                        \
	do {                                                                   \
		STEP();                                                        \
		if (!(cond))                                                   \
			return EMU_BLOCKED;                                    \
	} while (0)

/* Run a function of a higher level to its end; co_ret is what it returned. */
#define CALL(call)                                                             \
	do {                                                                   \
		*co_pc = __LINE__;                                             \
		__attribute__((fallthrough));                                  \
	case __LINE__:                                                         \
		co_ret = (call);                                               \
		if (co_ret != EMU_OK && co_ret != EMU_NO)                      \
			return co_ret;                                         \
	} while (0)

#define RETURN(ret)                                                            \
	do {                                                                   \
		*co_pc = 0;                                                    \
		return (ret);                                                  \
	} while (0)

#endif /* ESSA_EMU_CO_H */
