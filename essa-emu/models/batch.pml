/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two neighbours: freed and allocated as a block, with one operation for each
 * frame, or one by one by another CPU; discarded by the host in batches, whose
 * release is one call for all of them.
 *
 * Who needs the block waits for the range (ESSA_CMD_WAIT) or for each frame, as
 * page_states_alloc() does.  A range that has been waited for can be busy again:
 * the wait looks at one frame after the other, and a frame that is Unused and
 * resident may be discarded at any time.  So the operation has to look as well.
 *
 * Proven: what was written to an allocated frame stays, whatever happens to its
 * neighbour; nobody waits for ever.
 *
 * BREAK_TRUST_WAIT     behind a wait the allocator does not look at busy
 * BREAK_STABLE_FIRST   the allocator makes only the first frame stable
 * BREAK_WRITE_EARLY    the allocator writes before the last frame is stable
 * BREAK_PUBLISH_FIRST  the batch is published before it is released
 * BREAK_FORGET_SECOND  only the first frame of a batch is published
 */
#include "essa.pml"

byte st[2] = ESSA_UNUSED | ESSA_ZERO;
byte data[2] = NOPAGE;
bool host_busy[2];
bool avail[2] = true;

inline fill(i)
{
	atomic {
		!PRESENT(data[i]) && !host_busy[i] ->
		data[i] = ZEROS;
		st[i] = CONTENT(st[i], ESSA_RESIDENT)
	}
}

inline store(i)
{
	do
	:: atomic { PRESENT(data[i]) -> data[i] = PRIV; break }
	:: fill(i)
	od
}

inline check(i)
{
	assert(data[i] == PRIV && USAGE(st[i]) == ESSA_STABLE)
}

/* wait_frame() */
inline wait_frame(i)
{
	if
	:: st[i] & ESSA_BUSY -> !host_busy[i]
	:: else
	fi
}

inline make_stable_of(i)
{
#ifdef BREAK_TRUST_WAIT
	atomic { old = st[i]; st[i] = st[i] & ~ESSA_USAGE_MASK }
#else
	essa_op(ESSA_OP_SET_STABLE, st[i], old)
#endif
}

active proctype block()
{
	byte old;

	do
	:: atomic { avail[0] && avail[1] -> avail[0] = false; avail[1] = false };
		if
		:: wait_frame(0);
			wait_frame(1)
#ifndef BREAK_TRUST_WAIT
		:: true
#endif
		fi;
		make_stable_of(0);
#ifdef BREAK_WRITE_EARLY
		store(0); store(1);
#endif
#ifndef BREAK_STABLE_FIRST
		make_stable_of(1);
#endif
#ifndef BREAK_WRITE_EARLY
		store(0); store(1);
#endif
		check(0); check(1);
		essa_op(ESSA_OP_SET_UNUSED, st[0], old);
		essa_op(ESSA_OP_SET_UNUSED, st[1], old);
		old = 0;
		atomic { avail[0] = true; avail[1] = true }
	:: break
	od
}

/* The block is split: order 0, either half. */
active proctype half()
{
	byte old, i;

	do
	:: if
		:: atomic { avail[0] -> avail[0] = false; i = 0 }
		:: atomic { avail[1] -> avail[1] = false; i = 1 }
		fi;
		essa_op(ESSA_OP_SET_STABLE, st[i], old);
		store(i);
		check(i);
		essa_op(ESSA_OP_SET_UNUSED, st[i], old);
		atomic { old = 0; avail[i] = true; i = 0 }
	:: break
	od
}

inline commit(i)
{
	atomic {
		if
		:: DISCARD(st[i], 0) < 64 && !host_busy[i] && PRESENT(data[i]) ->
			st[i] = DISCARD(st[i], 0);
			host_busy[i] = true;
			batch[i] = true
		:: true
		fi
	}
}

inline publish(i)
{
	atomic {
		if
		:: batch[i] ->
			host_busy[i] = false;
			st[i] = RELEASED(st[i]);
#ifndef BREAK_PUBLISH_FIRST
			batch[i] = false
#endif
		:: else
		fi
	}
}

active proctype reclaim()
{
	bool batch[2];

	do
	:: commit(0);
		commit(1);
#ifdef BREAK_PUBLISH_FIRST
		publish(0);
		publish(1);
#endif
		/* process_madvise() takes both; each goes at its own time. */
		if
		:: batch[0] -> data[0] = NOPAGE
		:: else
		fi;
		if
		:: batch[1] -> data[1] = NOPAGE
		:: else
		fi;
#ifdef BREAK_PUBLISH_FIRST
		atomic { batch[0] = false; batch[1] = false };
#else
		publish(0);
#ifndef BREAK_FORGET_SECOND
		publish(1);
#endif
#endif
	:: break
	od
}
