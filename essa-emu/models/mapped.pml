/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A folio that is mapped: its reference count cannot be frozen.
 *
 * The ageing pass sets the pending mark, reads the reference count, then the
 * map count, then the dirty flag, and commits if the mark is still there.
 * Against it: lookups, GUP through a page table entry, fork, unmapping, and
 * writes through a shared mapping with their writeback.  The host discards in
 * one step; cache.pml has its parts.  A folio that was removed is read again.
 *
 * Proven: nobody who was told that content is stable finds it gone, and dirty
 * content is never discarded.  The latter without mapping_writably_mapped(),
 * which make_mapped_volatile() asks besides.
 *
 * BREAK_NO_PENDING       the commit is a plain Set Volatile
 * BREAK_PENDING_KEPT     a new reference leaves the mark alone
 * BREAK_MAPCOUNT_FIRST   the map count is read before the reference count
 * BREAK_FLAGS_FIRST      the dirty flag is read before the reference count
 * BREAK_FORK_NO_CANCEL   fork leaves the mark alone
 * BREAK_FORK_FIRST       fork clears it before it takes its reference
 * BREAK_FORK_LAST        fork clears it after it has raised the map count
 * BREAK_GUP_NO_STABLE    GUP does not make stable
 * BREAK_WRITE_NO_STABLE  the first write of a shared mapping does not
 *
 * CONFIG -DHOLDERS=1 -DGUPS=0 -DFORKS=1 -DZAPS=1 -DWRITERS=0
 * CONFIG -DHOLDERS=0 -DGUPS=1 -DFORKS=1 -DZAPS=1 -DWRITERS=0
 * CONFIG -DHOLDERS=1 -DGUPS=0 -DFORKS=1 -DZAPS=0 -DWRITERS=1
 * CONFIG -DHOLDERS=0 -DGUPS=1 -DFORKS=1 -DZAPS=0 -DWRITERS=1
 * LONG -DHOLDERS=1 -DGUPS=1 -DFORKS=1 -DZAPS=1 -DWRITERS=0
 */
#include "essa.pml"

#ifndef HOLDERS
#define HOLDERS 1
#define GUPS 1
#define FORKS 1
#define ZAPS 1
#define WRITERS 1
#endif

byte st = ESSA_STABLE | ESSA_RESIDENT;
byte data = FILE;

byte ref = 1;
byte mapcount;
bool locked;
bool cached = true;
bool dirty;
bool pte[2];	/* the same page in a parent and its child */
bool writable;	/* the parent's entry */
bool ptl[2];	/* page table locks */

inline lock(l)
{
	atomic { !l -> l = true }
}

inline try_get(ok)
{
	atomic {
		ok = ref > 0;
		if
		:: ok -> ref++
		:: else
		fi
	}
}

inline put()
{
	/* The last one: what it means for the frame is in cache.pml. */
	atomic { assert(ref > 0); ref--; assert(ref || !cached) }
}

inline discard()
{
	lock(locked);
	if
	:: cached && IS_DISCARDED(st) ->
		do
		:: atomic {
			pte[0] && !ptl[0] ->
			pte[0] = false; writable = false; mapcount--; ref--
		   }
		:: atomic { pte[1] && !ptl[1] -> pte[1] = false; mapcount--; ref-- }
		:: mapcount == 0 -> break
		od;
		atomic { assert(cached && !dirty && ref > 1); cached = false; ref-- }
	:: else
	fi;
	locked = false
}

/* A reference to what the page cache points to, or not. */
inline lookup(ok)
{
	ok = cached;
	if
	:: ok ->
		try_get(ok);
		if
		:: ok && !cached -> put(); ok = false
		:: else
		fi
	:: else
	fi
}

inline user_make_stable(ok)
{
#ifdef BREAK_PENDING_KEPT
	old = st;
	if
	:: USAGE(old) == ESSA_STABLE -> ok = true
	:: else ->
		essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old);
		ok = !IS_DISCARDED(old)
	fi
#else
	make_stable(st, old, ok)
#endif
}

active proctype ageing()
{
	byte old, refs, maps;
	bool clean;

end:	do
	:: USAGE(st) == ESSA_STABLE && ref > 0 ->
		/* Its own reference and the folio lock. */
		atomic {
			!locked && cached && ref > 0 && USAGE(st) == ESSA_STABLE ->
			locked = true;
			ref++
		};
#ifdef BREAK_FLAGS_FIRST
		clean = !dirty;
#endif
#ifndef BREAK_NO_PENDING
		essa_op(ESSA_OP_SET_PENDING, st, old);
#endif
#ifdef BREAK_MAPCOUNT_FIRST
		maps = mapcount;
		refs = ref;
#else
		refs = ref;
		maps = mapcount;
#endif
#ifndef BREAK_FLAGS_FIRST
		clean = !dirty;
#endif
		if
		:: refs == 2 + maps && clean ->
#ifdef BREAK_NO_PENDING
			essa_op(ESSA_OP_SET_VOLATILE, st, old);
#else
			essa_op(ESSA_OP_COMMIT_VOLATILE, st, old);
			if
			:: !(old & ESSA_PENDING) ->
				essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old)
			:: else
			fi
#endif
		:: else ->
			essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old)
		fi;
		locked = false;
		put();
		atomic { old = 0; refs = 0; maps = 0; clean = false }
	od
}

active proctype host()
{
end:	do
	:: atomic {
		DISCARD(st, 0) < 64 ->
		assert(data == FILE && !dirty);
		st = RELEASED(DISCARD(st, 0));
		data = MARKER
	   }
	od
}

/* A removed folio without references: its file is read again. */
active proctype reread()
{
end:	do
	:: atomic {
		ref == 0 && !cached && !locked ->
		assert(mapcount == 0 && !dirty);
		st = ESSA_STABLE | ESSA_RESIDENT;
		data = FILE;
		cached = true;
		ref = 1
	   }
	od
}

active [HOLDERS] proctype holder()
{
	byte old;
	bool ok;

end:	do
	:: cached ->
		lookup(ok);
		if
		:: ok ->
			user_make_stable(ok);
			if
			:: ok -> assert(data != MARKER)
#if WRITERS
			:: ok ->
				/* A write that ends in set_page_dirty(). */
				atomic { assert(data != MARKER); data = PRIV };
				dirty = true
#endif
			:: else -> discard()
			fi;
			put()
		:: else
		fi;
		atomic { old = 0; ok = false }
	od
}

active [GUPS] proctype gup()
{
	byte old;
	bool ok;

end:	do
	:: pte[0] ->
		try_get(ok);
		if
		:: ok && !pte[0] ->
			/* Which page this is nobody knows. */
			put()
		:: ok && pte[0] ->
#ifndef BREAK_GUP_NO_STABLE
			user_make_stable(ok);
#endif
			if
			:: ok -> assert(data != MARKER)
			:: else
			fi;
			put()
		:: else
		fi;
		if
		:: !ok ->
			/* The slow path ends in handle_pte_fault(). */
			lock(ptl[0]);
			if
			:: pte[0] && IS_DISCARDED(st) ->
				ref++;
				ptl[0] = false;
				discard();
				put()
			:: else ->
				ptl[0] = false
			fi
		:: else
		fi;
		atomic { old = 0; ok = false }
	od
}

inline cancel()
{
	old = st;
	if
	:: old & ESSA_PENDING ->
		essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old)
	:: else
	fi
}

/* A process that reads the page and forks. */
active [FORKS] proctype mm()
{
	byte old;
	bool ok;

end:	do
	:: cached && !pte[0] ->
		lookup(ok);
		if
		:: ok ->
			lock(locked);
			if
			:: cached && !IS_DISCARDED(st) ->
				atomic {
					!ptl[0] ->
					ok = !pte[0];
					if
					:: ok -> mapcount++; pte[0] = true
					:: else
					fi
				}
			:: else -> ok = false
			fi;
			locked = false;
			if
			:: ok
			:: else -> put()
			fi
		:: else
		fi;
		atomic { old = 0; ok = false }
	:: pte[0] && !pte[1] ->
		lock(ptl[0]);
		lock(ptl[1]);
		if
		:: pte[0] && !pte[1] ->
#ifdef BREAK_FORK_FIRST
			cancel();
#endif
			ref++;
#if !defined(BREAK_FORK_NO_CANCEL) && !defined(BREAK_FORK_FIRST) && !defined(BREAK_FORK_LAST)
			cancel();
#endif
			mapcount++;
#ifdef BREAK_FORK_LAST
			cancel();
#endif
			pte[1] = true
		:: else
		fi;
		ptl[1] = false;
		ptl[0] = false;
		old = 0
	od
}

/* Map count first, reference later, as mmu_gather does. */
active [ZAPS] proctype zap()
{
end:	do
	:: atomic { pte[0] && !ptl[0] -> pte[0] = false; writable = false; mapcount-- };
		put()
	:: atomic { pte[1] && !ptl[1] -> pte[1] = false; mapcount-- };
		put()
	od
}

/* Writes through the parent's entry; the kernel cleans the page later. */
active [WRITERS] proctype writer()
{
	byte old;
	bool ok;

end:	do
	:: pte[0] && !writable ->
		lock(ptl[0]);
		ok = pte[0];
		if
		:: ok ->
			ref++;
#ifndef BREAK_WRITE_NO_STABLE
			user_make_stable(ok);
#endif
			ptl[0] = false;
			if
			:: ok ->
				/* page_mkwrite returns with the folio locked */
				lock(locked);
				if
				:: cached ->
					dirty = true;
					atomic { !ptl[0] -> writable = pte[0] }
				:: else
				fi;
				locked = false
			:: else ->
				discard()
			fi;
			put()
		:: else -> ptl[0] = false
		fi;
		atomic { old = 0; ok = false }
	:: atomic {
		writable ->
		assert(dirty && data != MARKER);
		data = PRIV
	   }
	:: dirty ->
		lock(locked);
		atomic { !ptl[0] -> writable = false };
		atomic {
			assert(dirty && data != MARKER);
			dirty = false;
			data = FILE
		};
		locked = false
	od
}
