/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's side of one frame: pager, reclaim, page-out, devices and the slow
 * path, as in hyp/mem; frame.h has the wake rule.
 *
 * What is atomic here is done under the stripe of the frame, or is one system
 * call.  A vCPU that finds no page queues a message and sleeps, unless there is
 * a page by then; a marker counts as none.  Everybody may stop at any time, so
 * whoever sleeps without somebody bound to wake it is a deadlock.
 *
 * A pager that reads other messages while a fill of its own is in flight is, for
 * this one frame, what it is beside a device's fill.
 *
 * A page that is out of reach, in probation or to be written, is in the area; while
 * its frame is parked, nobody has the frame marked.
 *
 * Proven: content of a stable frame is what was written last, through discard,
 * page-out, page-in and reuse; volatile content is that or a discard fault; no
 * sleeper is forgotten; what a device has pinned stays.
 *
 * BREAK_DROP_BUSY       the pager drops a message for a frame that is busy
 * BREAK_DROP_POISONED   the pager drops a message for a poisoned frame
 * BREAK_DROP_RESIDENT   the pager drops a message for a resident frame
 * BREAK_PUBLISH_NO_WAKE who publishes does not wake those who wait for it
 * BREAK_NO_BROADCAST    nor those who wait for the private mark
 * BREAK_FILL_NO_PUBLISH a fill leaves the frame busy
 * BREAK_PUBLISH_FIRST   a discard is published before the release
 * BREAK_COMMIT_BUSY     a discard does not look at the private mark
 * BREAK_COMMIT_PINNED   nor at pins
 * BREAK_NO_MOVE         page-out writes the page where the guest can change it
 * BREAK_PAGE_OUT_WAITED page-out does not look for who waits for the frame
 * BREAK_PARK_WAITED     nor does who puts it into probation
 * BREAK_PIN_PARKED      a device pins a parked frame as it is
 * BREAK_RESCUE_BUSY     who brings a page back does not mark its frame
 * BREAK_AREA_LEFT       a discard releases the place of a parked page, not the page
 *
 * CONFIG -DTOUCHERS=1 -DDEVICES=0 -DPARKS=1
 * CONFIG -DTOUCHERS=0 -DDEVICES=1 -DPARKS=1
 * CONFIG -DTOUCHERS=1 -DDEVICES=1 -DPARKS=0
 * LONG -DTOUCHERS=1 -DDEVICES=1 -DPARKS=1
 */
#include "essa.pml"

#ifndef TOUCHERS
#define TOUCHERS 1
#define DEVICES 1
#define PARKS 1
#endif

#define IDLE 0
#define FILL 1
#define DISCARDING 2
#define PAGE_OUT 3
#define PARK 4

#define NR_SLEEPERS 3 /* owner, toucher, device */

byte st = ESSA_STABLE | ESSA_ZERO;
byte pte = NOPAGE;

/* struct frame */
byte content = ESSA_ZERO;
byte busy = IDLE;
bool poisoned, waited, parked;
byte pins;
byte slot;	/* what the swap file has */
byte area = NOPAGE;

bool message[NR_SLEEPERS]; /* of the userfaultfd, not read yet */
bool asleep[NR_SLEEPERS];  /* in the kernel, until it is woken */
bool waiting[NR_SLEEPERS]; /* on the condition variable of the stripe */

byte want = ZEROS;	/* what the owner wrote last */
bool known = true;	/* false: allocated, not yet written */

#ifdef BREAK_PAGE_OUT_WAITED
#define NOBODY_WAITS true
#else
#define NOBODY_WAITS !waited
#endif

#ifdef BREAK_PARK_WAITED
#define NOBODY_WAITS_PARKED true
#else
#define NOBODY_WAITS_PARKED !waited
#endif

#define DISCARDED_FRAME (content == ESSA_ZERO && poisoned && IS_DISCARDED(st))

inline wake()
{
	atomic {
		asleep[0] = false; message[0] = false;
		asleep[1] = false; message[1] = false
	}
}

/* __frame_publish(); within an atomic step of the caller */
inline publish(must_wake)
{
	must_wake = waited;
	waited = false;
	busy = IDLE;
#ifdef BREAK_PUBLISH_NO_WAKE
	must_wake = false;
#endif
#ifndef BREAK_NO_BROADCAST
	waiting[0] = false; waiting[1] = false; waiting[2] = false
#endif
}

inline repair()
{
	st = (st & ~(ESSA_CONTENT_MASK | ESSA_BUSY)) | content
}

/* fill_run(); the frame is marked FILL */
inline fill(must_wake)
{
	atomic { st = CONTENT(st, ESSA_RESIDENT); assert(st < 64) };
	atomic {
		assert(busy == FILL && !PRESENT(pte));
		if
		:: content == ESSA_PRESERVED -> pte = slot
		:: else -> pte = ZEROS
		fi;
		wake()
	};
#ifndef BREAK_FILL_NO_PUBLISH
	atomic {
		assert(busy == FILL && PRESENT(pte));
		content = ESSA_RESIDENT;
		poisoned = false;
		slot = NOPAGE;
		repair();
		publish(must_wake)
	};
	if
	:: must_wake -> wake(); must_wake = false
	:: else
	fi
#endif
}

/* __probation_rescue(), from the step on that leaves probation */
inline rescue(must_wake)
{
	atomic {
#ifndef BREAK_RESCUE_BUSY
		assert(busy == FILL);
#endif
		assert(PRESENT(area) && !PRESENT(pte));
		pte = area;
		area = NOPAGE;
		wake()
	};
	atomic { publish(must_wake) };
	if
	:: must_wake -> wake(); must_wake = false
	:: else
	fi
}

#ifdef BREAK_RESCUE_BUSY
#define LEAVE parked = false
#else
#define LEAVE parked = false; busy = FILL
#endif

#ifdef BREAK_PIN_PARKED
#define OUT_OF_REACH (parked && !pin)
#else
#define OUT_OF_REACH parked
#endif

/* access_resident() */
inline resident(me, pin, lost, must_wake)
{
	do
	:: atomic { busy != IDLE -> waiting[me] = true };
		!waiting[me]
	:: atomic { busy == IDLE && DISCARDED_FRAME -> lost = true; break }
	:: atomic { busy == IDLE && OUT_OF_REACH -> LEAVE };
		rescue(must_wake)
	:: atomic {
		busy == IDLE && !DISCARDED_FRAME && content == ESSA_RESIDENT &&
		!(OUT_OF_REACH) ->
		pins = pins + pin;
		break
	   }
	:: atomic {
		busy == IDLE && !DISCARDED_FRAME && content != ESSA_RESIDENT ->
		busy = FILL
	   };
		fill(must_wake)
	od
}

/* What a vCPU does that finds no page, until it tries again. */
inline missing(me, lost, must_wake)
{
	if
	:: pte == MARKER -> resident(me, 0, lost, must_wake)
	:: pte == NOPAGE ->
		atomic { message[me] = true; asleep[me] = true };
		atomic {
			if
			:: PRESENT(pte) -> asleep[me] = false; message[me] = false
			:: else
			fi
		};
		!asleep[me]
	:: PRESENT(pte)
	fi
}

inline write(what)
{
	do
	:: atomic {
		PRESENT(pte) -> pte = what; want = what; known = true; break
	   }
	:: !PRESENT(pte) ->
		missing(0, lost, must_wake);
		assert(!lost)
	od
}

inline check()
{
	do
	:: atomic { PRESENT(pte) -> assert(pte == want); break }
	:: atomic { lost -> break }
	:: !PRESENT(pte) -> missing(0, lost, must_wake)
	od
}

/* arch_page_state_op() where it may have to wait: an exit */
inline set_stable()
{
	do
	:: atomic {
		NEXT(ESSA_OP_SET_STABLE, st) != ESSA_WAIT ->
		old = st;
		st = NEXT(ESSA_OP_SET_STABLE, old);
		known = false;
		break
	   }
	:: NEXT(ESSA_OP_SET_STABLE, st) == ESSA_WAIT ->
		do
		:: atomic { busy != IDLE -> waiting[0] = true };
			!waiting[0]
		:: atomic { busy == IDLE -> repair(); break }
		od
	od
}

active proctype owner()
{
	byte old;
	bool lost, must_wake, kept;

	do
	:: write(FILE)
	:: write(PRIV)
	:: check(); assert(!lost)
	:: essa_op(ESSA_OP_SET_VOLATILE, st, old);
		check();
		essa_op(ESSA_OP_SET_STABLE_IF_KEPT, st, old);
		kept = !IS_DISCARDED(old);
		assert(!(lost && kept));
		lost = false;
		if
		:: kept -> check(); assert(!lost)
		:: else ->
			essa_op(ESSA_OP_SET_UNUSED, st, old);
			set_stable();
			write(FILE)
		fi;
		atomic { old = 0; kept = false }
	:: essa_op(ESSA_OP_SET_UNUSED, st, old);
		set_stable();
		if
		:: CONTENT_OF(old) == ESSA_ZERO ->
			atomic { want = ZEROS; known = true };
			check();
			assert(!lost)
		:: else
		fi;
		write(PRIV);
		old = 0
	:: break
	od
}

/* Another vCPU; it has a reference or not. */
active [TOUCHERS] proctype toucher()
{
	bool lost, must_wake;

	do
	:: atomic {
		PRESENT(pte) ->
		assert(USAGE(st) != ESSA_STABLE || !known || pte == want)
	   }
	:: !PRESENT(pte) -> missing(1, lost, must_wake); lost = false
	:: break
	od
}

active [DEVICES] proctype device()
{
	bool lost, must_wake;

	do
	:: resident(2, 1, lost, must_wake);
		if
		:: lost -> lost = false
		:: else ->
			atomic {
				assert(PRESENT(pte));
				assert(USAGE(st) != ESSA_STABLE || !known || pte == want)
			};
			atomic { assert(PRESENT(pte)); pins-- }
		fi
	:: break
	od
}

active proctype pager()
{
	bool must_wake;

end:	do
	:: atomic {
		message[0] || message[1] ->
		if
		:: message[0] -> message[0] = false
		:: message[1] -> message[1] = false
		fi
	   };
		if
		:: atomic { busy != IDLE ->
#ifndef BREAK_DROP_BUSY
			waited = true
#endif
		   }
		:: atomic {
			busy == IDLE && !parked &&
			(content == ESSA_RESIDENT || poisoned) ->
#if defined(BREAK_DROP_POISONED)
			must_wake = !poisoned
#elif defined(BREAK_DROP_RESIDENT)
			must_wake = poisoned
#else
			must_wake = true
#endif
		   };
			if
			:: must_wake -> wake(); must_wake = false
			:: else
			fi
		:: atomic { busy == IDLE && parked -> LEAVE };
			rescue(must_wake)
		:: atomic {
			busy == IDLE && content != ESSA_RESIDENT && !poisoned ->
			busy = FILL
		   };
			fill(must_wake)
		fi
	od
}

inline release()
{
	if
	:: had_page -> pte = NOPAGE
	:: else
	fi;
#ifndef BREAK_AREA_LEFT
	if
	:: in_area -> area = NOPAGE
	:: else
	fi;
#endif
	if
	:: mark -> atomic { assert(pte == NOPAGE); pte = MARKER; wake() }
	:: else
	fi
}

inline move_out()
{
#ifdef BREAK_NO_MOVE
	area = pte;
	pte = NOPAGE
#else
	atomic { assert(PRESENT(pte) && area == NOPAGE); area = pte; pte = NOPAGE }
#endif
}

inline bring_back()
{
	atomic { assert(pte == NOPAGE); pte = area; area = NOPAGE; wake() };
	atomic { publish(must_wake) };
	if
	:: must_wake -> wake(); must_wake = false
	:: else
	fi
}

active proctype reclaim()
{
	bool mark, had_page, in_area, ok, must_wake;

	do
	:: atomic {
#ifndef BREAK_COMMIT_BUSY
		busy == IDLE &&
#endif
#ifndef BREAK_COMMIT_PINNED
		pins == 0 &&
#endif
		content != ESSA_ZERO && CONTENT_OF(st) == content &&
		DISCARD(st, 0) < 64 ->
		mark = USAGE(st) != ESSA_UNUSED;
		had_page = content == ESSA_RESIDENT && !parked;
		in_area = parked;
		parked = false;
		st = DISCARD(st, 0);
		busy = DISCARDING
	   };
#ifndef BREAK_PUBLISH_FIRST
		release();
#endif
		atomic {
			content = ESSA_ZERO;
			poisoned = mark;
			publish(must_wake);
			st = RELEASED(st)
		};
#ifdef BREAK_PUBLISH_FIRST
		release();
#endif
		if
		:: must_wake -> wake()
		:: else
		fi;
		atomic {
			if
			:: !had_page && !in_area && content != ESSA_PRESERVED -> slot = NOPAGE
			:: else
			fi;
			mark = false; had_page = false; in_area = false; must_wake = false
		}
	:: atomic {
		PARKS && busy == IDLE && pins == 0 &&
		content == ESSA_RESIDENT && !parked ->
		busy = PARK
	   };
		move_out();
		atomic {
			if
			:: NOBODY_WAITS_PARKED ->
				parked = true;
				ok = true;
				/* Nobody to wake. */
				publish(must_wake)
			:: else
			fi
		};
		if
		:: ok -> ok = false
		:: else -> bring_back()
		fi
	:: atomic {
		busy == IDLE && pins == 0 && content == ESSA_RESIDENT ->
		busy = PAGE_OUT;
		ok = parked;
		parked = false
	   };
		if
		:: ok
		:: else -> move_out()
		fi;
		/* A swap file that is full. */
		if
		:: ok = true
		:: ok = area == ZEROS
		fi;
		atomic {
			if
			:: ok && NOBODY_WAITS && area == ZEROS &&
			   CONTENT(st, ESSA_ZERO) < 64 ->
				st = CONTENT(st, ESSA_ZERO);
				content = ESSA_ZERO
			:: ok && NOBODY_WAITS && area != ZEROS &&
			   CONTENT(st, ESSA_PRESERVED) < 64 ->
				st = CONTENT(st, ESSA_PRESERVED);
				content = ESSA_PRESERVED;
				slot = area
			:: else -> ok = false
			fi;
			if
			/* Nobody to wake. */
			:: ok -> publish(must_wake)
			:: else
			fi
		};
		if
		:: ok -> atomic { area = NOPAGE; ok = false }
		:: else -> bring_back()
		fi
	:: break
	od
}
