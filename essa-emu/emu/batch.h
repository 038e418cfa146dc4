/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An operation on neighbouring frames, eight or sixteen state bytes with one
 * compare-and-exchange.  Each byte still changes as essa_next() says: a wide
 * exchange is as many single ones that happen to be at the same time.  Only
 * bytes that have to wait go the slow way.
 */
#ifndef ESSA_EMU_BATCH_H
#define ESSA_EMU_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <essa/step.h>

#define BATCH_LANES 0x0101010101010101ull

/** batch_op_one() - arch_page_state_op(), but says ESSA_WAIT */
static inline int batch_op_one(uint8_t *state, unsigned int op)
{
	uint8_t old = __atomic_load_n(state, __ATOMIC_RELAXED);
	int next;

	for (;;) {
		next = essa_next(old, op);
		if (next == ESSA_WAIT)
			return ESSA_WAIT;
		if (next == old || __atomic_compare_exchange_n(
					   state, &old, (uint8_t)next, 0,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return old;
	}
}

/*
 * What becomes of eight bytes.  Mostly all are alike: then one step does.
 * Return: ESSA_WAIT if one of them has to wait, else 0.
 */
static inline int batch_next(uint64_t old, unsigned int op, uint64_t *next)
{
	unsigned int i;
	int one;

	if (old == (old & 0xff) * BATCH_LANES) {
		one = essa_next((uint8_t)old, op);
		*next = (uint8_t)one * BATCH_LANES;
		return one < 0 ? ESSA_WAIT : 0;
	}
	*next = 0;
	for (i = 0; i < 64; i += 8) {
		one = essa_next((uint8_t)(old >> i), op);
		if (one < 0)
			return ESSA_WAIT;
		*next |= (uint64_t)one << i;
	}
	return 0;
}

/**
 * batch_op_word() - an operation on eight frames
 * @state: their bytes, aligned to 8
 * @op:	   ESSA_OP_*
 *
 * Return: 0, or ESSA_WAIT: nothing has changed, one of them is busy.
 */
static inline int batch_op_word(uint8_t *state, unsigned int op)
{
	uint64_t *word = (uint64_t *)state;
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
	uint64_t next;

	do {
		if (batch_next(old, op, &next))
			return ESSA_WAIT;
	} while (next != old && !__atomic_compare_exchange_n(
					word, &old, next, 0, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST));
	return 0;
}

#ifdef __x86_64__
/* The compiler would call a library for a 16-byte exchange. */
static inline int batch_cmpxchg16(uint64_t *p, uint64_t *old,
				  const uint64_t *next)
{
	char done;

	__asm__ volatile("lock cmpxchg16b %[p]"
			 : [p] "+m"(*(unsigned __int128 *)p), "=@ccz"(done),
			   "+a"(old[0]), "+d"(old[1])
			 : "b"(next[0]), "c"(next[1])
			 : "memory");
	return done;
}

/**
 * batch_op_pair() - an operation on sixteen frames; needs cmpxchg16b
 * @state: their bytes, aligned to 16
 * @op:	   ESSA_OP_*
 *
 * Return: 0, or ESSA_WAIT: nothing has changed, one of them is busy.
 */
static inline int batch_op_pair(uint8_t *state, unsigned int op)
{
	uint64_t *word = (uint64_t *)state;
	uint64_t old[2] = {
		__atomic_load_n(&word[0], __ATOMIC_RELAXED),
		__atomic_load_n(&word[1], __ATOMIC_RELAXED),
	};
	uint64_t next[2];

	do {
		if (batch_next(old[0], op, &next[0]))
			return ESSA_WAIT;
		if (old[1] == old[0])
			next[1] = next[0];
		else if (batch_next(old[1], op, &next[1]))
			return ESSA_WAIT;
		if (next[0] == old[0] && next[1] == old[1])
			return 0;
	} while (!batch_cmpxchg16(word, old, next));
	return 0;
}
#endif /* __x86_64__ */

#endif /* ESSA_EMU_BATCH_H */
