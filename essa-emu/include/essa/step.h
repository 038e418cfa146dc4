/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The transition function of the page-hinting interface: pure, no libc, no
 * locks, for the guest kernel, the host and the tests alike.  Callers apply a
 * result with compare-and-exchange and start over when that fails.
 */
#ifndef _ESSA_STEP_H
#define _ESSA_STEP_H

#include <essa/abi.h>

/* No byte: the frame is busy and the operation has to wait (ESSA_CMD_WAIT). */
#define ESSA_WAIT		(-1)
/* No byte: the host may not do that to the frame now. */
#define ESSA_REFUSED		(-2)

/**
 * essa_is_discarded() - did the guest lose the content of this frame?
 * @state: state byte
 */
static inline int essa_is_discarded(__u8 state)
{
	return (state & 0x02) && (state & ESSA_CONTENT_MASK) == ESSA_ZERO;
}

static inline int __essa_to_stable(__u8 old)
{
	/* Late release: the release in flight would destroy new content. */
	if (old & ESSA_BUSY)
		return ESSA_WAIT;
	return old & ~(ESSA_USAGE_MASK | ESSA_PENDING);
}

static inline int __essa_to_volatile(__u8 old, __u8 usage)
{
	/* A frame without content has nothing to make volatile. */
	if ((old & ESSA_CONTENT_MASK) == ESSA_ZERO)
		return old;
	return (old & ~(ESSA_USAGE_MASK | ESSA_PENDING)) | usage;
}

/**
 * essa_next() - what an operation of the guest makes of a state byte
 * @old: state byte before
 * @op:  ESSA_OP_*
 *
 * Return: the byte after; @old where the operation is refused or changes
 * nothing; ESSA_WAIT.  An unknown @op changes nothing.
 */
static inline int essa_next(__u8 old, unsigned int op)
{
	switch (op) {
	case ESSA_OP_SET_STABLE:
	case ESSA_OP_SET_STABLE_RESIDENT:
		return __essa_to_stable(old);
	case ESSA_OP_SET_STABLE_IF_KEPT:
		return essa_is_discarded(old) ? old : __essa_to_stable(old);
	case ESSA_OP_SET_UNUSED:
		return (old & ~(ESSA_USAGE_MASK | ESSA_PENDING)) | ESSA_UNUSED;
	case ESSA_OP_SET_VOLATILE:
		return __essa_to_volatile(old, ESSA_VOLATILE);
	case ESSA_OP_SET_POTENTIAL:
		return __essa_to_volatile(old, ESSA_POTENTIAL);
	case ESSA_OP_SET_PENDING:
		if ((old & ESSA_USAGE_MASK) != ESSA_STABLE)
			return old;
		return old | ESSA_PENDING;
	case ESSA_OP_COMMIT_VOLATILE:
		/* Whoever took a reference meanwhile has cleared pending. */
		if ((old & (ESSA_USAGE_MASK | ESSA_PENDING)) !=
		    (ESSA_STABLE | ESSA_PENDING))
			return old;
		return __essa_to_volatile(old, ESSA_VOLATILE);
	case ESSA_OP_COMMIT_POTENTIAL:
		if ((old & (ESSA_USAGE_MASK | ESSA_PENDING)) !=
		    (ESSA_STABLE | ESSA_PENDING))
			return old;
		return __essa_to_volatile(old, ESSA_POTENTIAL);
	default:
		return old;
	}
}

/* A value in each of eight bytes. */
#define ESSA_LANES(value)	((value) * 0x0101010101010101ull)

/* 1 in each byte whose frame has no content. */
static inline __u64 __essa_zero_lanes(__u64 states)
{
	return (states >> 4) & ~(states >> 3) & ESSA_LANES(1);
}

/**
 * essa_discarded_lanes() - essa_is_discarded() for eight bytes at once
 * @states: eight state bytes
 *
 * Return: 1 in each byte whose frame is discarded.
 */
static inline __u64 essa_discarded_lanes(__u64 states)
{
	return (states >> 1) & __essa_zero_lanes(states);
}

/**
 * essa_next_word() - essa_next() for eight bytes at once
 * @old:  eight state bytes
 * @op:   ESSA_OP_SET_STABLE, _SET_UNUSED, _SET_VOLATILE, _SET_STABLE_IF_KEPT
 * @next: set to the bytes after
 *
 * For the allocator, whose blocks come in powers of two, and for large folios.
 *
 * Return: 0; or ESSA_WAIT if one of them has to wait, or @op is another: go
 * through them one by one.
 */
static inline int essa_next_word(__u64 old, unsigned int op, __u64 *next)
{
	__u64 usage = 0, same = 0;

	switch (op) {
	case ESSA_OP_SET_UNUSED:
		usage = ESSA_LANES(ESSA_UNUSED);
		break;
	case ESSA_OP_SET_VOLATILE:
		usage = ESSA_LANES(ESSA_VOLATILE);
		same = __essa_zero_lanes(old) * 0xff;
		break;
	case ESSA_OP_SET_STABLE_IF_KEPT:
		same = essa_discarded_lanes(old) * 0xff;
		if (old & ~same & ESSA_LANES(ESSA_BUSY))
			return ESSA_WAIT;
		break;
	case ESSA_OP_SET_STABLE:
		if (old & ESSA_LANES(ESSA_BUSY))
			return ESSA_WAIT;
		break;
	default:
		return ESSA_WAIT;
	}
	usage |= old & ~ESSA_LANES(ESSA_USAGE_MASK | ESSA_PENDING);
	*next = (old & same) | (usage & ~same);
	return 0;
}

/**
 * essa_host_discard() - commit a discard and mark its release as in flight
 * @old:   state byte before
 * @clean: the frame is known unwritten since it was armed (ESSA_CMD_ARM)
 *
 * Return: the byte after, with ESSA_BUSY set, or ESSA_REFUSED.
 */
static inline int essa_host_discard(__u8 old, int clean)
{
	__u8 usage = old & ESSA_USAGE_MASK;

	if (usage == ESSA_STABLE || (usage == ESSA_POTENTIAL && !clean))
		return ESSA_REFUSED;
	if ((old & (ESSA_PENDING | ESSA_BUSY)) ||
	    (old & ESSA_CONTENT_MASK) == ESSA_ZERO)
		return ESSA_REFUSED;
	return (old & ~ESSA_CONTENT_MASK) | ESSA_ZERO | ESSA_BUSY;
}

/**
 * essa_host_released() - the release that a discard began is over
 * @old: state byte before
 */
static inline int essa_host_released(__u8 old)
{
	return old & ~ESSA_BUSY;
}

/**
 * essa_host_content() - record a new content state
 * @old:     state byte before
 * @content: ESSA_RESIDENT, ESSA_PRESERVED or ESSA_ZERO
 *
 * Return: the byte after; or ESSA_REFUSED if a release is in flight, or if that
 * would make a volatile frame look discarded, or a discarded one look kept.
 */
static inline int essa_host_content(__u8 old, __u8 content)
{
	__u8 next = (old & ~ESSA_CONTENT_MASK) | content;

	if ((old & ESSA_BUSY) ||
	    essa_is_discarded(old) != essa_is_discarded(next))
		return ESSA_REFUSED;
	return next;
}

#endif /* _ESSA_STEP_H */
