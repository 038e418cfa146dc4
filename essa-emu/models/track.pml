/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Potentially Volatile by write protection, one frame, as in hyp/mem/track.h.
 *
 * What is atomic here is done under the stripe of the frame, or is one system
 * call.  A write that finds the page protected queues a message and sleeps; how
 * one waits that finds no page is in pager.pml.
 * Arming marks the frame first and protects it second; the handler of a write
 * voids the mark, holds the frame busy, and unprotects.
 *
 * Proven: a commit that finds the mark takes a page that was not written, and
 * none is written behind it; nobody who waits for a page is forgotten.
 *
 * BREAK_MARK_KEPT       the handler does not void the mark
 * BREAK_NOT_BUSY        the frame is not busy while it is unprotected
 * BREAK_ARM_BUSY        arming does not look whether it is
 * BREAK_MARK_LAST       arming protects first and marks second
 * BREAK_UNPROTECT_BUSY  the handler does not look whether a release is in flight
 * BREAK_DROP_BUSY       the handler drops a message for a frame that is busy
 * BREAK_PAGE_OUT_KEEPS  page-out takes the protection and leaves the mark
 * BREAK_NOT_ARMED       a commit does not look at the mark
 */
#include "essa.pml"

byte st = ESSA_STABLE | ESSA_RESIDENT;
byte pte = FILE;      /* what is behind the frame */
bool protected;
bool pte_dirty;	      /* the guest's */

/* struct frame */
bool armed, busy, waited;

bool message, asleep;

#ifdef BREAK_NOT_ARMED
#define UNWRITTEN 1
#else
#define UNWRITTEN armed
#endif

inline wake()
{
	atomic { asleep = false; message = false }
}

inline publish()
{
	atomic {
		busy = false;
		if
		:: waited -> waited = false; wake()
		:: else
		fi
	}
}

active proctype writer()
{
	do
	:: pte == MARKER -> break /* a discard fault */
	:: atomic {
		PRESENT(pte) && !protected ->
		/* Behind a commit it would be lost. */
		assert(!IS_DISCARDED(st));
		pte = PRIV;
		pte_dirty = true
	   }
	:: atomic { PRESENT(pte) && protected -> message = true; asleep = true };
		!asleep
	/* Writeback: stable before the dirty bit goes. */
	:: atomic {
		pte_dirty && PRESENT(pte) && !IS_DISCARDED(st) &&
		NEXT(ESSA_OP_SET_STABLE_IF_KEPT, st) != ESSA_WAIT ->
		st = NEXT(ESSA_OP_SET_STABLE_IF_KEPT, st)
	   };
		atomic { PRESENT(pte) -> pte = FILE; pte_dirty = false }
	:: break
	od
}

inline mark()
{
	atomic {
		if
#ifdef BREAK_ARM_BUSY
		:: USAGE(st) == ESSA_STABLE && PRESENT(pte) ->
#else
		:: USAGE(st) == ESSA_STABLE && PRESENT(pte) && !busy ->
#endif
			armed = true;
			marked = true
		:: else
		fi
	}
}

active proctype ageing()
{
	bool marked, clean;

	do
	:: USAGE(st) == ESSA_STABLE ->
#ifdef BREAK_MARK_LAST
		atomic {
			if
			:: PRESENT(pte) -> protected = true
			:: else
			fi
		};
		mark();
#else
		mark();
		atomic {
			if
			:: marked && PRESENT(pte) -> protected = true
			:: else
			fi
		};
#endif
		clean = !pte_dirty;
		if
		:: clean -> atomic { st = NEXT(ESSA_OP_SET_POTENTIAL, st) }
		:: else
		fi;
		marked = false;
		clean = false
	:: break
	od
}

active proctype handler()
{
	bool mine;

end:	do
	:: atomic {
		message ->
		message = false;
		if
#ifdef BREAK_UNPROTECT_BUSY
		:: PRESENT(pte) -> mine = true; armed = false
#else
#ifdef BREAK_DROP_BUSY
		:: busy
#else
		:: busy -> waited = true
#endif
		:: !busy && PRESENT(pte) ->
			mine = true;
#ifndef BREAK_MARK_KEPT
			armed = false;
#endif
#ifndef BREAK_NOT_BUSY
			busy = true
#endif
#endif
		:: else -> wake()
		fi
	   };
		if
		:: mine ->
			atomic { protected = false; wake() };
#if !defined(BREAK_NOT_BUSY) && !defined(BREAK_UNPROTECT_BUSY)
			publish();
#endif
			mine = false
		:: else
		fi
	od
}

active proctype reclaim()
{
	do
	:: atomic {
		!busy && USAGE(st) == ESSA_POTENTIAL &&
		DISCARD(st, UNWRITTEN) < 64 ->
		st = DISCARD(st, UNWRITTEN);
		busy = true;
		armed = false;
		assert(pte == FILE && !pte_dirty)
	   };
		atomic { pte = NOPAGE; protected = false };
		pte = MARKER;
		atomic { st = RELEASED(st); publish() };
		break
	/* Page-out and page-in: another page, with the same content. */
	:: atomic {
		!busy && PRESENT(pte) ->
		busy = true;
#ifndef BREAK_PAGE_OUT_KEEPS
		armed = false
#endif
	   };
		atomic { protected = false };
		publish()
	:: break
	od
}
