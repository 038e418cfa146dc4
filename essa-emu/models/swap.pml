/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An anonymous folio in the swap cache: nobody but the dirty bit of its entry
 * tells that it was written.
 *
 * The ageing pass sets the pending mark, then looks at the entry under the lock of
 * its page table, where it write-protects a clean one, then reads the reference
 * count, the map count and the dirty flag, and commits.  Against it: page faults
 * that make the entry writable (no reference, but the lock of the page table),
 * swap-in, GUP that writes, reclaim that unmaps and writes to the slot, and the
 * free of the slot under the lock of the page table.
 *
 * Proven: what is not in the slot is never discarded, and a slot with the only copy
 * is never freed.
 *
 * BREAK_WALK_FIRST       the entry is looked at before the mark is set
 * BREAK_NO_PROTECT       a clean entry stays writable
 * BREAK_NO_TABLE_LOCK    the entry is looked at without the lock of its table
 * BREAK_DIRTY_IGNORED    a dirty entry does not refuse
 * BREAK_WRITE_NO_STABLE  the fault makes it writable while it is volatile
 * BREAK_WRITE_LATE       the fault makes it stable, after it is writable
 * BREAK_LOOKUP_NO_STABLE swap-in maps what is volatile writable
 * BREAK_GUP_NO_STABLE    GUP does not make stable
 * BREAK_SLOT_FREED       the slot is freed whatever the state
 */
#include "essa.pml"

byte st = ESSA_STABLE | ESSA_RESIDENT;
byte data = FILE;	/* what the slot holds, or something else */

bool cached = true;	/* in the swap cache, with the slot */
byte ref = 1;
bool mapped;
bool writable, pte_dirty;
bool dirty;		/* the folio's flag */
bool locked, ptl;

inline lock(l)
{
	atomic { !l -> l = true }
}

/* Under the folio lock: swap entries, and out of the swap cache. */
inline discard()
{
	lock(locked);
	if
	:: cached && IS_DISCARDED(st) ->
		atomic {
			!ptl ->
			if
			:: mapped -> mapped = false; writable = false; ref--
			:: else
			fi;
			assert(!pte_dirty && !dirty)
		};
		/* The frame is another's then; the next one is read anew. */
		atomic { cached = false; ref-- }
	:: else
	fi;
	locked = false
}

inline look_at_entry()
{
#ifndef BREAK_NO_TABLE_LOCK
	lock(ptl);
#endif
	if
	:: mapped && pte_dirty ->
		clean = false
	:: mapped && !pte_dirty ->
#ifndef BREAK_NO_PROTECT
		/* Clear and flush: written meanwhile? */
		atomic {
			clean = !pte_dirty;
			if
			:: clean -> writable = false
			:: else
			fi
		}
#else
		skip
#endif
	:: else
	fi;
#ifndef BREAK_NO_TABLE_LOCK
	ptl = false;
#endif
#ifdef BREAK_DIRTY_IGNORED
	clean = true
#endif
}

active proctype ageing()
{
	byte old, refs;
	bool clean;

end:	do
	:: atomic {
		!locked && cached && ref > 0 && USAGE(st) == ESSA_STABLE ->
		locked = true;
		ref++
	   };
		clean = true;
#ifdef BREAK_WALK_FIRST
		look_at_entry();
#endif
		essa_op(ESSA_OP_SET_PENDING, st, old);
#ifndef BREAK_WALK_FIRST
		look_at_entry();
#endif
		refs = ref;
		if
		:: clean && refs == 2 + mapped && !dirty ->
			essa_op(ESSA_OP_COMMIT_VOLATILE, st, old);
			if
			:: !(old & ESSA_PENDING) ->
				essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old)
			:: else
			fi
		:: else ->
			essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old)
		fi;
		locked = false;
		ref--;
		atomic { old = 0; refs = 0; clean = false }
	od
}

active proctype host()
{
end:	do
	:: atomic {
		DISCARD(st, 0) < 64 ->
		assert(cached && data == FILE && !pte_dirty && !dirty);
		st = RELEASED(DISCARD(st, 0));
		data = MARKER
	   }
	od
}

/* Swap-in of what is not in the swap cache: a new folio, from the slot. */
active proctype reader()
{
end:	do
	:: atomic {
		!cached && !locked && !mapped && ref == 0 ->
		st = ESSA_STABLE | ESSA_RESIDENT;
		data = FILE;
		cached = true;
		ref = 1
	   }
	od
}

/* Another thread of it. */
active proctype writer()
{
end:	do
	:: atomic {
		writable && data != MARKER ->
		pte_dirty = true;
		data = PRIV
	   }
	od
}

/* The process: faults. */
active proctype process()
{
	byte old;
	bool ok;

end:	do
	/* do_swap_page() */
	:: cached && !mapped ->
		atomic {
			ok = cached && ref > 0;
			if
			:: ok -> ref++
			:: else
			fi
		};
		if
		:: ok ->
#ifndef BREAK_LOOKUP_NO_STABLE
			make_stable(st, old, ok);
#endif
			if
			:: ok ->
				lock(locked);
				lock(ptl);
				if
				:: cached && !mapped ->
					/* The reference becomes the mapping's. */
					mapped = true;
					writable = true
				fi;
				ptl = false;
				locked = false
			:: else ->
				discard();
				ref--
			fi
		:: else
		fi;
		atomic { old = 0; ok = false }
	/* do_wp_page(), and mprotect() */
	:: mapped && !writable ->
		lock(ptl);
		ok = mapped;
		if
		:: ok ->
#ifdef BREAK_WRITE_LATE
			writable = true;
			make_stable(st, old, ok);
#else
#ifndef BREAK_WRITE_NO_STABLE
			make_stable(st, old, ok);
#endif
			if
			:: ok -> writable = true
			:: else
			fi;
#endif
			if
			:: ok -> ptl = false
			:: else ->
				ref++;
				ptl = false;
				discard();
				ref--
			fi
		:: else -> ptl = false
		fi;
		atomic { old = 0; ok = false }
	/* folio_free_swap() on a write fault: the slot is gone, for good. */
	:: mapped && cached ->
		lock(ptl);
		atomic {
			ok = mapped && cached && !locked;
			if
			:: ok -> locked = true
			:: else
			fi
		};
		if
		:: ok ->
#ifndef BREAK_SLOT_FREED
			make_stable(st, old, ok);
#endif
			if
			:: ok ->
				assert(!IS_DISCARDED(st) && data != MARKER);
				/* From here on it is like any other memory. */
				locked = false;
				ptl = false;
				break
			:: else
			fi;
			locked = false
		:: else
		fi;
		ptl = false;
		atomic { old = 0; ok = false }
	od
}

/* GUP: a device reads, or writes, which takes a writable entry, and then the flag. */
active proctype gup()
{
	byte old;
	bool ok, write;

end:	do
	:: mapped ->
		atomic {
			write = writable;
			ok = mapped && ref > 0;
			if
			:: ok -> ref++
			:: else
			fi
		};
		if
		:: ok && mapped && (writable || !write) ->
#ifndef BREAK_GUP_NO_STABLE
			make_stable(st, old, ok);
#endif
			if
			:: ok && !write ->
				assert(data != MARKER)
			:: ok && write ->
				atomic { assert(data != MARKER); data = PRIV };
				dirty = true
			:: else
			fi;
			ref--
		:: ok && !(mapped && (writable || !write)) -> ref--
		:: else
		fi;
		atomic { old = 0; ok = false; write = false }
	od
}

/* Unmaps, and writes what is dirty to the slot. */
active proctype reclaim()
{
	bool was;

end:	do
	:: atomic { !locked && cached && ref > 0 -> locked = true; ref++ };
		if
		:: cached && !IS_DISCARDED(st) ->
			lock(ptl);
			if
			:: mapped ->
				/* The entry first, the flag second. */
				atomic {
					was = pte_dirty;
					pte_dirty = false;
					writable = false
				};
				dirty = dirty || was;
				mapped = false;
				ref--
			:: else
			fi;
			ptl = false;
			/* Nobody else can write now; a holder keeps it dirty. */
			atomic {
				if
				:: dirty && ref == 2 && data != MARKER ->
					dirty = false; data = FILE
				:: else
				fi
			}
		:: else
		fi;
		locked = false;
		ref--;
		was = false
	od
}
