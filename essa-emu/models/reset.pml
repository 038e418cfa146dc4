/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hinting is switched off while discards are in flight (ESSA_CMD_DISABLE,
 * mem_reset()), and on again by the kernel that runs next.
 *
 * The old kernel has a volatile page of a file in frame 0 and frees and
 * allocates frame 1.  One CPU switches off and starts the next kernel, which
 * owns both frames, does not know what states they had, and switches on.
 *
 * A kernel with volatile pages has to stop its other CPUs first: a discarded
 * frame becomes a stable one that reads as zeros, and a reader would believe
 * it.  For one with Unused only it is enough that they stop before the next
 * kernel; what they free behind the reset must not count for the next kernel,
 * so ESSA_CMD_ENABLE makes all frames Stable.
 *
 * Proven: nobody reads zeros for a file; what the next kernel writes stays; it
 * never sees a discard fault.
 *
 * BREAK_CPUS_RUNNING     the other CPUs are stopped only behind the reset
 * BREAK_RESET_NO_WAIT    the reset does not wait for releases in flight
 * BREAK_TRUST_MARKER     a marker alone makes a touch a discard fault
 * BREAK_ENABLE_NO_RESET  switching on leaves the states alone
 *
 * CONFIG -DPAGE_CACHE=1
 * CONFIG -DPAGE_CACHE=0
 */
#include "essa.pml"

#ifndef PAGE_CACHE
#define PAGE_CACHE 1
#endif
#if PAGE_CACHE && !defined(BREAK_CPUS_RUNNING)
#define STOP_FIRST
#endif

byte st[2];
byte data[2];
bool host_busy[2];
bool features = true;
bool stopped;
bool next_kernel;

#define FEATURE_OF(s) (features && (PAGE_CACHE || USAGE(s) == ESSA_UNUSED))

#ifdef BREAK_TRUST_MARKER
#define LOST(i) (data[i] == MARKER)
#else
#define LOST(i) (data[i] == MARKER && features && IS_DISCARDED(st[i]))
#endif

inline touch(i, lost)
{
	do
	:: PRESENT(data[i]) -> break
	:: atomic { LOST(i) && !host_busy[i] -> lost = true; break }
	:: atomic {
		!PRESENT(data[i]) && !LOST(i) && !host_busy[i] ->
		data[i] = ZEROS;
		/* A byte that looks discarded is put right when it is touched. */
		st[i] = (st[i] & ~ESSA_CONTENT_MASK) | ESSA_RESIDENT
	   }
	od
}

init
{
	/* A page of a file, read; a free frame that still has a page. */
	atomic {
		st[0] = ESSA_VOLATILE | ESSA_RESIDENT;
		data[0] = FILE;
		st[1] = ESSA_UNUSED | ESSA_RESIDENT;
		data[1] = PRIV;
		run reader();
		run freer();
		run reclaim();
		run boot()
	}
}

/* Each step of the old kernel's other CPUs asks whether they still run. */
proctype reader()
{
	byte old;
	bool ok, lost;

	do
	:: PAGE_CACHE && !stopped ->
end_look:	atomic {
			!stopped ->
			old = st[0];
			ok = USAGE(old) == ESSA_STABLE
		};
		atomic {
			if
			:: !stopped && !ok ->
				old = st[0];
				st[0] = NEXT(ESSA_OP_SET_STABLE_IF_KEPT, old);
				ok = !IS_DISCARDED(old)
			:: else
			fi
		};
		/* Who finds it discarded reads it again, elsewhere. */
		if
		:: ok && !stopped ->
			touch(0, lost);
			assert(stopped || (!lost && data[0] == FILE));
end_done:		atomic { !stopped -> st[0] = NEXT(ESSA_OP_SET_VOLATILE, st[0]) }
		:: !ok || stopped -> break
		fi
	:: !PAGE_CACHE || stopped -> break
	od
}

proctype freer()
{
	do
	:: atomic {
		!stopped && NEXT(ESSA_OP_SET_STABLE, st[1]) != ESSA_WAIT ->
		st[1] = NEXT(ESSA_OP_SET_STABLE, st[1])
	   };
		if
		:: atomic { !stopped -> st[1] = NEXT(ESSA_OP_SET_UNUSED, st[1]) }
		:: stopped -> break
		fi
	:: stopped -> break
	od
}

/* The features are looked at under the stripe, in the step that commits. */
inline discard(i)
{
	atomic {
		FEATURE_OF(st[i]) && DISCARD(st[i], 0) < 64 && !host_busy[i] &&
		PRESENT(data[i]) ->
		mark = USAGE(st[i]) != ESSA_UNUSED;
		st[i] = DISCARD(st[i], 0);
		host_busy[i] = true
	};
	data[i] = NOPAGE;
	if
	:: mark -> data[i] = MARKER /* unreached for frame 1, which is Unused */
	:: else
	fi;
	atomic { st[i] = RELEASED(st[i]); host_busy[i] = false; mark = false }
}

proctype reclaim()
{
	bool mark;

	do
	:: discard(0)
	:: discard(1)
	:: break
	od
}

inline reset(i)
{
	atomic {
#ifndef BREAK_RESET_NO_WAIT
		!host_busy[i] ->
#endif
		if
		:: PRESENT(data[i]) -> st[i] = ESSA_STABLE | ESSA_RESIDENT
		:: else -> st[i] = ESSA_STABLE | ESSA_ZERO
		fi
	}
}

inline own(i)
{
	do
	:: atomic { PRESENT(data[i]) -> data[i] = PRIV; break }
	:: !PRESENT(data[i]) -> touch(i, lost); assert(!lost)
	od
}

proctype boot()
{
	bool lost;

#ifdef STOP_FIRST
	stopped = true;
#endif
	features = false;
	reset(0);
	reset(1);
	stopped = true;
	next_kernel = true;
	own(0);
	own(1);
	assert(data[0] == PRIV && data[1] == PRIV);
#ifndef BREAK_ENABLE_NO_RESET
	reset(0);
	reset(1);
#endif
	features = true;
	touch(0, lost);
	touch(1, lost);
	assert(!lost && data[0] == PRIV && data[1] == PRIV)
}
