/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One page frame: as page cache that is looked up, mapped, made volatile,
 * discarded, removed, and as something else afterwards.
 *
 * Readers and the mapper find the folio in the cache; stale pointers and stale
 * discard faults may take references to whatever the frame is by then.  The
 * ageing pass makes it volatile behind a frozen reference count.  The host
 * discards with late release.  Whoever drops the last reference frees the frame
 * (Unused) and anyone may allocate it again.
 *
 * Proven: who was told that content is stable reads the file's content; so does
 * every access through a page table entry that does not fault; what the next
 * owner writes stays; a discarded frame reads as zeros for its next owner; a
 * discard fault is always got rid of; only what is discarded is removed, once.
 *
 * BREAK_LATE_RELEASE      the commit does not set busy
 * BREAK_EARLY_RELEASE     the backing goes before the commit
 * BREAK_BLIND_COMMIT      a store commits, not a compare-and-exchange
 * BREAK_NO_MARKER         nothing tells a discarded page from a fresh one
 * BREAK_NO_WAIT           the allocator does not wait for busy
 * BREAK_CHECK_BEFORE_REF  the state is looked at before the reference is taken
 * BREAK_NO_FREEZE         the ageing pass looks at the count but does not freeze
 * BREAK_NO_RELOAD         a lookup does not look at the cache again
 * BREAK_NO_LOCK           a discarded folio is removed without the folio lock
 * BREAK_FAULT_NO_RECHECK  a discard fault does not look at the state
 *
 * CONFIG -DREADERS=1 -DMAPPERS=1 -DOWNERS=1
 * CONFIG -DREADERS=2 -DMAPPERS=1 -DOWNERS=0
 * CONFIG -DREADERS=2 -DMAPPERS=0 -DOWNERS=1
 * LONG -DREADERS=2 -DMAPPERS=1 -DOWNERS=1
 */
#include "essa.pml"

#ifndef READERS
#define READERS 1
#define MAPPERS 1
#define OWNERS 1
#endif

byte st = ESSA_UNUSED | ESSA_ZERO;
byte data = NOPAGE;
bool host_busy;

byte ref;
bool locked;
bool cached;	/* the page cache points to the frame */
bool mapped;	/* a page table entry does */
bool avail = true; /* the buddy allocator has it */

/* The host's side of a touch; pager.pml has the details. */
inline fill()
{
	atomic {
		!PRESENT(data) && !host_busy &&
		!(data == MARKER && IS_DISCARDED(st)) ->
		data = ZEROS;
		st = CONTENT(st, ESSA_RESIDENT);
		assert(st < 64)
	}
}

/* A touch by the guest: got what is there, or a discard fault. */
inline load(got, fault)
{
	fault = false;
	do
	:: atomic { PRESENT(data) -> got = data; break }
	:: atomic {
		data == MARKER && !host_busy && IS_DISCARDED(st) ->
		fault = true;
		break
	   }
	:: fill()
	od
}

inline store(what)
{
	do
	:: atomic { PRESENT(data) -> data = what; break }
	:: fill()
	od
}

/* The byte loses BUSY only with the private mark. */
inline set_stable()
{
#ifdef BREAK_NO_WAIT
	atomic { old = st; st = st & ~(ESSA_USAGE_MASK | ESSA_PENDING) }
#else
	essa_op(ESSA_OP_SET_STABLE, st, old)
#endif
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

inline try_lock(ok)
{
	atomic {
		ok = !locked;
		if
		:: ok -> locked = true
		:: else
		fi
	}
}

inline put()
{
	atomic { assert(ref > 0); ref--; last = ref == 0 }
	if
	:: last ->
		assert(!cached && !mapped);
		essa_op(ESSA_OP_SET_UNUSED, st, old);
		atomic { last = false; avail = true }
	:: else
	fi
}

inline unlock()
{
	atomic { assert(locked); locked = false }
}

/* folio_discard(); the caller holds a reference */
inline discard()
{
#ifndef BREAK_NO_LOCK
	atomic { !locked -> locked = true }
#endif
	if
#ifdef BREAK_FAULT_NO_RECHECK
	:: cached ->
#else
	:: cached && IS_DISCARDED(st) ->
#endif
		do
		:: atomic { mapped -> mapped = false; assert(ref > 1); ref-- }
		:: !mapped -> break
		od;
		atomic {
			assert(cached && IS_DISCARDED(st));
			cached = false;
			assert(ref > 1);
			ref--
		}
	:: else
	fi;
#ifndef BREAK_NO_LOCK
	unlock()
#endif
}

/* A lookup in the page cache: a reference to what it points to, or not. */
inline lookup(ok)
{
	ok = cached;
	if
	:: ok ->
		try_get(ok);
#ifndef BREAK_NO_RELOAD
		if
		:: ok && !cached -> put(); ok = false
		:: else
		fi
#endif
	:: else
	fi
}

inline allocate(ok)
{
	atomic {
		ok = avail;
		if
		:: ok -> avail = false; assert(ref == 0); ref = 1
		:: else
		fi
	};
	if
	:: ok -> set_stable()
	:: else
	fi
}

active [READERS] proctype reader()
{
	byte old, got;
	bool ok, last, fault;

end:	do
	:: cached ->
#ifdef BREAK_CHECK_BEFORE_REF
		make_stable(st, old, ok);
		if
		:: ok -> lookup(ok)
		:: else
		fi;
		if
		:: ok -> load(got, fault); assert(!fault && got == FILE); put()
		:: else
		fi
#else
		lookup(ok);
		if
		:: ok ->
			make_stable(st, old, ok);
			if
			:: ok ->
				load(got, fault);
				assert(!fault && got == FILE)
			:: else ->
				discard()
			fi;
			put()
		:: else
		fi
#endif
		atomic { old = 0; got = 0; ok = false; fault = false }
	:: !cached ->
		/* Read it from its file. */
		allocate(ok);
		if
		:: ok ->
			store(FILE);
			atomic { assert(!cached); cached = true; ref++ };
			load(got, fault);
			assert(!fault && got == FILE);
			put()
		:: else
		fi;
		atomic { old = 0; got = 0; ok = false; fault = false }
	od
}

/* Uses the frame for something that only this frame holds. */
active [OWNERS] proctype owner()
{
	byte old, got;
	bool ok, last, fault, zero;

end:	do
	:: allocate(ok);
		if
		:: ok ->
			zero = CONTENT_OF(old) == ESSA_ZERO;
			load(got, fault);
			assert(!fault && (!zero || got == ZEROS));
			store(PRIV);
			load(got, fault);
			assert(!fault && got == PRIV);
			put()
		:: else
		fi;
		atomic { old = 0; got = 0; ok = false; fault = false; zero = false }
	od
}

/* next_uptodate_folio() maps a volatile folio as it is. */
active [MAPPERS] proctype mapper()
{
	byte old, got;
	bool ok, last, fault;

end:	do
	:: !mapped ->
		lookup(ok);
		if
		:: ok ->
			try_lock(ok);
			if
			:: ok ->
				if
				:: cached && !IS_DISCARDED(st) -> mapped = true
				:: else -> ok = false
				fi;
				unlock()
			:: else
			fi;
			if
			:: ok
			:: else -> put()
			fi
		:: else
		fi;
		ok = false
	:: mapped ->
		/* The walk and the access are one: the host shoots down both. */
		do
		:: atomic { !mapped -> break }
		:: atomic { mapped && PRESENT(data) -> assert(data == FILE); break }
		:: atomic {
			mapped && data == MARKER && !host_busy &&
			IS_DISCARDED(st) -> fault = true; break
		   }
		:: mapped -> fill()
		od;
		if
		:: fault ->
			try_get(ok);
			if
			:: ok ->
#ifndef BREAK_FAULT_NO_RECHECK
				if
				:: IS_DISCARDED(st) -> discard()
				:: else
				fi;
#else
				discard();
#endif
				put()
			:: else
			fi;
			/* Else the access would fault for ever. */
			assert(!(mapped && IS_DISCARDED(st)))
		:: else
		fi;
		atomic { old = 0; ok = false; fault = false }
	:: atomic { mapped -> mapped = false };
		put()
	od
}

active proctype ageing()
{
	byte old;
	bool ok, last;

end:	do
	:: USAGE(st) == ESSA_STABLE ->
		try_get(ok);
		if
		:: ok ->
			try_lock(ok);
			if
			:: ok ->
				if
				:: cached && !mapped ->
#ifdef BREAK_NO_FREEZE
					ok = ref == 2;
#else
					atomic {
						ok = ref == 2;
						if
						:: ok -> ref = 0
						:: else
						fi
					};
#endif
					if
					:: ok ->
						essa_op(ESSA_OP_SET_VOLATILE, st, old);
#ifndef BREAK_NO_FREEZE
						ref = 2
#endif
					:: else
					fi
				:: else
				fi;
				unlock()
			:: else
			fi;
			put()
		:: else
		fi;
		atomic { old = 0; ok = false }
	od
}

active proctype reclaim()
{
	byte old;

end:	do
	:: atomic {
		DISCARD(st, 0) < 64 && PRESENT(data) ->
		old = st;
#if defined(BREAK_EARLY_RELEASE)
		data = NOPAGE
#elif !defined(BREAK_BLIND_COMMIT)
		host_busy = true;
		st = DISCARD(old, 0)
#endif
#ifdef BREAK_LATE_RELEASE
		; st = RELEASED(st)
#endif
	   };
#if defined(BREAK_EARLY_RELEASE)
		atomic {
			if
			:: DISCARD(st, 0) < 64 -> st = DISCARD(st, 0)
			:: else
			fi;
			host_busy = true
		};
#elif defined(BREAK_BLIND_COMMIT)
		atomic { host_busy = true; st = DISCARD(old, 0) };
#endif
		data = NOPAGE;
#ifndef BREAK_NO_MARKER
		if
		:: USAGE(old) != ESSA_UNUSED -> data = MARKER
		:: else
		fi;
#endif
		atomic { host_busy = false; st = RELEASED(st); old = 0 }
	od
}
