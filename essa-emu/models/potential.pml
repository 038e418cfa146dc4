/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Potentially Volatile: a clean page behind a writable page table entry.
 *
 * The rules R-POT-* of SPEC.md: the host arms write tracking first, the guest
 * checks its dirty bits second, and only then the frame becomes Potentially
 * Volatile.  What hyp does about it is in hyp/mem/track.h.
 *
 * A store sets the dirty bit of the entry and, where it is armed, that of the
 * host's tracking in the step that writes.  The host takes the page from the
 * guest, looks at what it tracked, and then commits; a page that was written
 * goes back.
 *
 * The guest's check walks the entries under their lock and looks at the folio's
 * flag last: unmapping clears the entry first and sets the flag second, under
 * that lock.
 *
 * Proven: what was written is never discarded.
 *
 * BREAK_NO_DIRTY_CHECK   the host takes every frame for unwritten
 * BREAK_NOT_ARMED        a frame that was never armed counts as unwritten
 * BREAK_ARM_POTENTIAL    a frame that is Potentially Volatile is armed again
 * BREAK_CHECK_THEN_ARM   the guest checks first, the host arms second
 * BREAK_CHECK_MAPPED     the host looks while the guest can still write
 * BREAK_FLAG_FIRST       the guest looks at the flag before the entries
 * BREAK_NO_TABLE_LOCK    the guest looks at the entries without their lock
 * BREAK_REMAP_FORGETS    tracking is lost when the host takes and gives a page
 */
#include "essa.pml"

byte st = ESSA_STABLE | ESSA_RESIDENT;
byte data = FILE;

/* guest */
bool mapped = true, pte_dirty, folio_dirty, ptl;

/* host: what the hardware has and what was taken from there */
bool present = true, hw_dirty;
bool armed, sw_dirty;

#ifdef BREAK_NOT_ARMED
#define IS_UNWRITTEN !sw_dirty
#else
#define IS_UNWRITTEN (armed && !sw_dirty)
#endif

active proctype writer()
{
	do
	:: atomic {
		mapped && present ->
		pte_dirty = true; hw_dirty = hw_dirty || armed; data = PRIV
	   }
	/* Unmap, map again. */
	:: atomic { !ptl && mapped -> ptl = true; mapped = false };
		if
		:: pte_dirty -> pte_dirty = false; folio_dirty = true
		:: else
		fi;
		ptl = false;
		mapped = true
	/* Writeback: stable before the dirty bits go. */
	:: (pte_dirty || folio_dirty) && present ->
		atomic {
			!IS_DISCARDED(st) && NEXT(ESSA_OP_SET_STABLE_IF_KEPT, st) != ESSA_WAIT ->
			st = NEXT(ESSA_OP_SET_STABLE_IF_KEPT, st)
		};
		atomic {
			!ptl && present ->
			pte_dirty = false; folio_dirty = false; data = FILE
		}
	:: break
	od
}

inline arm()
{
	atomic { hw_dirty = false; sw_dirty = false; armed = true }
}

inline check_entries()
{
#ifdef BREAK_NO_TABLE_LOCK
	clean = clean && !pte_dirty
#else
	atomic { !ptl -> clean = clean && !pte_dirty }
#endif
}

active proctype ageing()
{
	bool clean;

	do
#ifdef BREAK_ARM_POTENTIAL
	:: !IS_DISCARDED(st) ->
#else
	:: USAGE(st) == ESSA_STABLE ->
#endif
		clean = true;
#if !defined(BREAK_CHECK_THEN_ARM) && !defined(BREAK_NOT_ARMED)
		arm();
#endif
#ifdef BREAK_FLAG_FIRST
		clean = !folio_dirty;
#endif
		check_entries();
#ifndef BREAK_FLAG_FIRST
		clean = clean && !folio_dirty;
#endif
#ifdef BREAK_CHECK_THEN_ARM
		arm();
#endif
		if
		:: clean -> atomic { st = NEXT(ESSA_OP_SET_POTENTIAL, st) }
		:: else
		fi;
		clean = false
	:: break
	od
}

/* What the tracking of the hardware says is kept when the page goes. */
inline take_dirty()
{
	sw_dirty = sw_dirty || hw_dirty;
	hw_dirty = false
}

active proctype reclaim()
{
	bool unwritten;

	do
	:: USAGE(st) == ESSA_POTENTIAL && CONTENT_OF(st) == ESSA_RESIDENT ->
#ifdef BREAK_CHECK_MAPPED
		atomic { take_dirty(); unwritten = IS_UNWRITTEN };
		present = false;
#else
		present = false;
		atomic { take_dirty(); unwritten = IS_UNWRITTEN };
#endif
#ifdef BREAK_NO_DIRTY_CHECK
		unwritten = true;
#endif
		atomic {
			if
			:: DISCARD(st, unwritten) < 64 ->
				st = RELEASED(DISCARD(st, unwritten));
				assert(data == FILE && !pte_dirty && !folio_dirty);
				break
			:: else -> present = true
			fi
		};
		unwritten = false
	/* Paged out and in, moved, compacted. */
	:: atomic {
		present ->
#ifdef BREAK_REMAP_FORGETS
		hw_dirty = false
#else
		take_dirty()
#endif
	   }
	:: break
	od
}
