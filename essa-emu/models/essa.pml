/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the models share: the interface in terms of the generated tables, and
 * what a page of host memory can hold.
 *
 * A compare-and-exchange loop is one atomic step here: an iteration that fails
 * changes nothing.
 */
#include "step.pml"

#define NEXT(op, s)	 essa_next_table[(op) * 64 + (s)]
#define DISCARD(s, c)	 essa_discard_table[(c) * 64 + (s)]
#define CONTENT(s, c)	 essa_content_table[((c) >> 3) * 64 + (s)]
#define RELEASED(s)	 essa_released_table[s]
#define IS_DISCARDED(s)	 (essa_discarded_table[s] != 0)
#define USAGE(s)	 ((s) & ESSA_USAGE_MASK)
#define CONTENT_OF(s)	 ((s) & ESSA_CONTENT_MASK)

/* An operation of the guest; where it has to wait it is not executable. */
inline essa_op(op, s, was)
{
	atomic {
		NEXT(op, s) != ESSA_WAIT;
		was = s;
		s = NEXT(op, was)
	}
}

/* folio_make_stable(): a plain load behind the reference, then the operation */
inline make_stable(s, was, ok)
{
	was = s;
	if
	:: !(was & (ESSA_USAGE_MASK | ESSA_PENDING)) ->
		ok = true
	:: else ->
		essa_op(ESSA_OP_SET_STABLE_IF_KEPT, s, was);
		ok = !IS_DISCARDED(was)
	fi
}

/* What is behind a guest frame: nothing, a poison marker, or a page with ... */
#define NOPAGE 0
#define MARKER 1
#define ZEROS  2
#define FILE   3 /* what its file holds */
#define PRIV   4 /* something that exists nowhere else */
#define PRESENT(d) ((d) >= ZEROS)
