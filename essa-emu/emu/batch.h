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

/**
 * batch_op_word() - an operation on eight frames
 * @state: their bytes, aligned to 8
 * @op:	   one that essa_next_word() knows
 *
 * Return: 0, or ESSA_WAIT: nothing has changed, one of them is busy.
 */
static inline int batch_op_word(uint8_t *state, unsigned int op)
{
	uint64_t *word = (uint64_t *)state;
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
	__u64 next;

	do {
		if (essa_next_word(old, op, &next))
			return ESSA_WAIT;
	} while (next != old && !__atomic_compare_exchange_n(
					word, &old, next, 0, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST));
	return 0;
}

#ifdef __x86_64__
/* The compiler would call a library for a 16-byte exchange. */
static inline int batch_cmpxchg16(uint64_t *p, uint64_t *old, const void *to)
{
	__u64 next[2];
	char done;

	memcpy(next, to, sizeof(next));
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
 * @op:	   one that essa_next_word() knows
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
	__u64 next[2];

	do {
		if (essa_next_word(old[0], op, &next[0]))
			return ESSA_WAIT;
		if (old[1] == old[0])
			next[1] = next[0];
		else if (essa_next_word(old[1], op, &next[1]))
			return ESSA_WAIT;
		if (next[0] == old[0] && next[1] == old[1])
			return 0;
	} while (!batch_cmpxchg16(word, old, next));
	return 0;
}
#endif /* __x86_64__ */

#endif /* ESSA_EMU_BATCH_H */
