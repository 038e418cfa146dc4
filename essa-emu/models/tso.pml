/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which steps need a locked instruction, on the memory model of x86: stores go
 * through a FIFO buffer of their CPU, loads look there first, and a locked
 * instruction waits until it is empty.  The other models take each step to be
 * seen by everybody at once; this one says why they may.
 *
 * The host's invalidation of a page drains the buffers, as it makes every vCPU
 * exit.  A store finds its page when it enters the buffer, not when it leaves.
 *
 * Two cases: an owner allocates and frees the frame; or a user looks it up
 * while the ageing pass makes it volatile.
 *
 * Proven: with locked instructions for all changes of the state and for
 * references, plain loads of the state (folio_make_stable(), the counts in the
 * ageing pass) and plain stores of content do no harm.
 *
 * BREAK_PLAIN_ALLOC    set stable by the allocator is a load and a store
 * BREAK_PLAIN_FREE     set unused
 * BREAK_PLAIN_STABLE   set stable if kept
 * BREAK_PLAIN_REF      a reference is taken by a load and a store
 * BREAK_PLAIN_PENDING  set pending
 * BREAK_PLAIN_COMMIT   the host's commit of a discard
 *
 * CONFIG -DOWNERS=1 -DUSERS=0
 * CONFIG -DOWNERS=0 -DUSERS=1
 */
#include "essa.pml"

#ifndef OWNERS
#define OWNERS 1
#define USERS 1
#endif

/* Addresses. */
#define ST   0
#define REF  1
#define DATA 2

/* CPUs. */
#define USER   0
#define AGEING 1
#define HOST   2

byte mem[3];
byte addr[6], val[6];	/* two entries for each CPU, the older one first */
byte nr[3];

inline load(cpu, a, x)
{
	atomic {
		if
		:: nr[cpu] == 2 && addr[cpu * 2 + 1] == a -> x = val[cpu * 2 + 1]
		:: nr[cpu] > 0 && addr[cpu * 2] == a &&
		   !(nr[cpu] == 2 && addr[cpu * 2 + 1] == a) -> x = val[cpu * 2]
		:: else -> x = mem[a]
		fi
	}
}

inline store(cpu, a, x)
{
	atomic {
		nr[cpu] < 2 ->
		addr[cpu * 2 + nr[cpu]] = a;
		val[cpu * 2 + nr[cpu]] = x;
		nr[cpu]++
	}
}

/* What a locked instruction waits for. */
#define DRAINED(cpu) (nr[cpu] == 0)

inline locked_op(cpu, op, was)
{
	atomic {
		DRAINED(cpu) && NEXT(op, mem[ST]) != ESSA_WAIT ->
		was = mem[ST];
		mem[ST] = NEXT(op, was)
	}
}

inline plain_op(cpu, op, was)
{
	do
	:: load(cpu, ST, was);
		if
		:: NEXT(op, was) != ESSA_WAIT -> break
		:: else
		fi
	od;
	store(cpu, ST, NEXT(op, was))
}

inline leave(cpu)
{
	mem[addr[cpu * 2]] = val[cpu * 2];
	nr[cpu]--;
	addr[cpu * 2] = addr[cpu * 2 + 1];
	val[cpu * 2] = val[cpu * 2 + 1];
	addr[cpu * 2 + 1] = 0;
	val[cpu * 2 + 1] = 0
}

active proctype buffers()
{
end:	do
	:: atomic { nr[USER] > 0 -> leave(USER) }
	:: atomic { nr[AGEING] > 0 -> leave(AGEING) }
	:: atomic { nr[HOST] > 0 -> leave(HOST) }
	od
}

/* The access needs the page that is there now. */
inline store_data(what)
{
	do
	:: atomic {
		PRESENT(mem[DATA]) && nr[USER] < 2 ->
		addr[USER * 2 + nr[USER]] = DATA;
		val[USER * 2 + nr[USER]] = what;
		nr[USER]++;
		break
	   }
	:: atomic { !PRESENT(mem[DATA]) && DRAINED(USER) -> mem[DATA] = ZEROS }
	od
}

inline load_data(x)
{
	load(USER, DATA, x)
}

active [OWNERS] proctype owner()
{
	byte old, got;

	atomic { mem[ST] = ESSA_UNUSED | ESSA_RESIDENT; mem[DATA] = ZEROS };
	do
	::
#ifdef BREAK_PLAIN_ALLOC
		plain_op(USER, ESSA_OP_SET_STABLE, old);
#else
		locked_op(USER, ESSA_OP_SET_STABLE, old);
#endif
		store_data(PRIV);
		load_data(got);
		assert(got == PRIV);
		/* And when it has left the buffer. */
		atomic { DRAINED(USER) -> assert(mem[DATA] == PRIV) };
		/* It was volatile page cache before it is freed. */
		locked_op(USER, ESSA_OP_SET_VOLATILE, old);
#ifdef BREAK_PLAIN_FREE
		plain_op(USER, ESSA_OP_SET_UNUSED, old);
#else
		locked_op(USER, ESSA_OP_SET_UNUSED, old);
#endif
		atomic { old = 0; got = 0 }
	:: break
	od
}

active [USERS] proctype user()
{
	byte old, got;

	atomic {
		mem[ST] = ESSA_STABLE | ESSA_RESIDENT;
		mem[DATA] = FILE;
		mem[REF] = 1
	};
	do
	:: mem[REF] > 0 ->
#ifdef BREAK_PLAIN_REF
		load(USER, REF, got);
		store(USER, REF, got + 1);
#else
		atomic { DRAINED(USER) -> mem[REF]++ };
#endif
		load(USER, ST, old);
		if
		:: old & (ESSA_USAGE_MASK | ESSA_PENDING) ->
#ifdef BREAK_PLAIN_STABLE
			plain_op(USER, ESSA_OP_SET_STABLE_IF_KEPT, old)
#else
			locked_op(USER, ESSA_OP_SET_STABLE_IF_KEPT, old)
#endif
		:: else
		fi;
		if
		:: !IS_DISCARDED(old) ->
			load_data(got);
			assert(got == FILE)
		:: else ->
			break
		fi;
		atomic { DRAINED(USER) -> mem[REF]-- };
		atomic { old = 0; got = 0 }
	:: break
	od
}

active [USERS] proctype ageing()
{
	byte old, refs;

	mem[REF] > 0;
	do
	:: atomic { DRAINED(AGEING) -> mem[REF]++ };
#ifdef BREAK_PLAIN_PENDING
		plain_op(AGEING, ESSA_OP_SET_PENDING, old);
#else
		locked_op(AGEING, ESSA_OP_SET_PENDING, old);
#endif
		load(AGEING, REF, refs);
		if
		:: USAGE(old) == ESSA_STABLE && refs == 2 ->
			locked_op(AGEING, ESSA_OP_COMMIT_VOLATILE, old)
		:: USAGE(old) == ESSA_STABLE && refs != 2 ->
			locked_op(AGEING, ESSA_OP_SET_STABLE_IF_KEPT, old)
		:: else
		fi;
		atomic { DRAINED(AGEING) -> mem[REF]-- };
		atomic { old = 0; refs = 0 }
	:: break
	od
}

active proctype host()
{
	byte old;

	do
	:: DISCARD(mem[ST], 0) < 64 && PRESENT(mem[DATA]) ->
#ifdef BREAK_PLAIN_COMMIT
		load(HOST, ST, old);
		if
		:: DISCARD(old, 0) < 64 -> store(HOST, ST, DISCARD(old, 0))
		:: else -> goto next
		fi;
#else
		atomic {
			if
			:: DRAINED(HOST) && DISCARD(mem[ST], 0) < 64 ->
				old = mem[ST];
				mem[ST] = DISCARD(old, 0)
			:: else -> goto next
			fi
		};
#endif
		/* Unmap: all vCPUs exit. */
		atomic { DRAINED(USER) && DRAINED(AGEING) -> mem[DATA] = NOPAGE };
		atomic { DRAINED(HOST) -> mem[ST] = RELEASED(mem[ST]) };
next:		old = 0
	:: break
	od
}
