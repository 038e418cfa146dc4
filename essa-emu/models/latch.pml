/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The information area of one vCPU.  The handler of a discard fault may be
 * interrupted by an NMI whose handler takes a discard fault of its own, which
 * overwrites the area.
 *
 * Host and guest write the area in turn, on one processor: no orders of stores
 * to care for, but each step of the guest may have an NMI behind it.
 *
 * Proven: a handler acts on the information of its own fault, or on none and
 * retries; each access gets done.
 *
 * BREAK_READ_LATE     the address is read behind the exchange of the latch
 * BREAK_NO_CHECK      what the exchange returns does not matter
 * BREAK_NO_OVERWRITE  the host leaves an area alone whose latch is set
 */

#define NMIS 3

byte gpa;
bool latch;
byte nmis;
byte there; /* bit mask of the pages that are there again */

#define IS_THERE(page) ((there >> (page)) & 1)

inline deliver(page)
{
	atomic {
#ifdef BREAK_NO_OVERWRITE
		if
		:: !latch -> gpa = page
		:: else
		fi;
#else
		gpa = page;
#endif
		latch = true
	}
}

inline exchange(got)
{
	atomic { got = latch; latch = false }
}

inline handle(page, own)
{
	assert(page == own);
	there = there | (1 << page)
}

/* The handler of an NMI: touches its page and has nothing above it. */
inline nmi()
{
	if
	:: nmis < NMIS ->
		nmis++;
		do
		:: IS_THERE(nmis) -> break
		:: !IS_THERE(nmis) ->
			deliver(nmis);
#ifndef BREAK_READ_LATE
			nested_page = gpa;
#endif
			exchange(nested);
#ifdef BREAK_READ_LATE
			nested_page = gpa;
#endif
			if
#ifdef BREAK_NO_CHECK
			:: true ->
#else
			:: nested ->
#endif
				handle(nested_page, nmis)
			:: else /* unreached: nothing nests in an NMI */
			fi
		od;
		atomic { nested = false; nested_page = 0 }
	:: true
	fi
}

active proctype vcpu()
{
	byte page, nested_page;
	bool got, nested;

	nmi();
	do
	:: IS_THERE(0) -> break
	:: !IS_THERE(0) ->
		deliver(0);
		nmi();
#ifdef BREAK_READ_LATE
		exchange(got);
		nmi();
		page = gpa;
#else
		page = gpa;
		nmi();
		exchange(got);
#endif
		nmi();
		if
#ifdef BREAK_NO_CHECK
		:: true ->
#else
		:: got ->
#endif
			handle(page, 0)
		:: !got
		fi
	od
}
