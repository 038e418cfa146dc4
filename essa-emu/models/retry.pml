/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two loops of the kernel that must not go round for ever on a discarded folio.
 *
 * A futex: the access may not fault, fails on a discarded page, and its slow
 * path, fixup_user_fault(), calls the page fault handler.  That finds a present
 * entry; if it says that all is well the two go on for ever.
 *
 * A lookup that creates: it does not return a discarded folio, adding a new one
 * fails with -EEXIST, and it looks again.
 *
 * The host discards a few times, then no more: after that, each loop ends.
 *
 * BREAK_PRESENT_GOOD  the fault handler is content with a present entry
 * BREAK_EXIST_KEPT    a failed addition leaves the discarded folio there
 *
 * PROGRESS: cycles without it are searched for as well
 * CONFIG -DFUTEX=1 -DCREATE=0
 * CONFIG -DFUTEX=0 -DCREATE=1
 */
#include "essa.pml"

#ifndef FUTEX
#define FUTEX 1
#define CREATE 1
#endif

#define DISCARDS 3

byte st = ESSA_STABLE | ESSA_RESIDENT;
bool cached = true, mapped;
bool locked;

/* The folio lock is held; it is read again into another frame. */
inline discard()
{
	atomic { !locked -> locked = true };
	if
	:: cached && IS_DISCARDED(st) ->
		mapped = false;
		atomic { cached = false; st = ESSA_STABLE | ESSA_RESIDENT }
	:: else
	fi;
	locked = false
}

inline find(ok)
{
	byte old;

	ok = cached;
	if
	:: ok -> make_stable(st, old, ok); old = 0
	:: else
	fi
}

active [FUTEX] proctype futex()
{
	bool ok;

	do
	:: atomic { mapped && !IS_DISCARDED(st) -> skip };
progress:	skip
	:: !mapped || IS_DISCARDED(st) ->
		/* -EFAULT; handle_pte_fault() */
		if
#ifndef BREAK_PRESENT_GOOD
		:: mapped && IS_DISCARDED(st) -> discard()
		:: mapped && !IS_DISCARDED(st)
#else
		:: mapped
#endif
		:: !mapped ->
			find(ok);
			if
			:: ok ->
				atomic {
					!locked ->
					mapped = cached && !IS_DISCARDED(st)
				}
			:: !ok && cached -> discard()
			:: !ok && !cached -> cached = true
			fi;
			ok = false
		fi
	od
}

active [CREATE] proctype create()
{
	bool ok;

	do
	:: find(ok);
		if
		:: ok ->
progress:		skip
		:: else ->
			/* filemap_add_folio() */
			if
			:: atomic { !cached -> cached = true }
			:: cached ->
#ifndef BREAK_EXIST_KEPT
				if
				:: IS_DISCARDED(st) -> discard()
				:: else
				fi
#else
				skip
#endif
			fi
		fi;
		ok = false
	od
}

/* Makes it volatile and discards it, a few times. */
active proctype host()
{
	byte nr;

	do
	:: atomic { nr < DISCARDS && cached -> nr++ };
		atomic { cached -> st = NEXT(ESSA_OP_SET_VOLATILE, st) };
		atomic {
			if
			:: DISCARD(st, 0) < 64 -> st = RELEASED(DISCARD(st, 0))
			:: else
			fi
		}
	:: break
	od
}
