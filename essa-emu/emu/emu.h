/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface in user space, without KVM: a table of state bytes, guest CPUs
 * with as much of a kernel as changes states, and a host with memory to take
 * away.  Everybody is a step machine whose steps are the loads and the compare-
 * and-exchanges of the real code, with the transitions of <essa/step.h>.
 *
 * Content is a generation number that grows with each write to a frame, so that
 * a read knows what it has to find.  Guest and host use real atomics: the same
 * machines run one step at a time under a scheduler, or each on a thread.
 */
#ifndef ESSA_EMU_H
#define ESSA_EMU_H

#include <stdbool.h>
#include <stdint.h>

#include <essa/step.h>

#define EMU_LEVELS 5
#define EMU_JUNK   0xdeadu /* what a page holds that was given back */

enum emu_kind {
	EMU_FREE,  /* the allocator's */
	EMU_OWNED, /* allocated */
	EMU_CACHE, /* page cache: may be read again from where it came */
};

enum emu_busy {
	EMU_IDLE,
	EMU_FILL,
	EMU_DISCARD,
	EMU_PAGE_OUT,
};

/**
 * struct emu_frame - all about a frame but its state byte
 * @kind:     enum emu_kind; guest
 * @ref:      reference count; 0: free, or frozen
 * @locked:   folio lock
 * @map:      mapped by a page table; that is a reference, too
 * @dirty:    cannot be read again
 * @live:     ghost: the guest relies on the content, or on seeing a discard
 * @held:     ghost: users of the content who have made it stable
 * @truth:    content bits as the host knows them
 * @busy:     enum emu_busy, the host's own mark
 * @stripe:   lock of the host for this and the next members
 * @poisoned: zero, and a touch is a discard fault if the byte agrees
 * @present:  the guest reaches @page without a fault
 * @users:    accesses under way; who unmaps waits for them, as for a TLB flush
 * @armed:    the host records writes, and there has been none
 * @wp:	      writes fault
 * @pte_dirty: dirty bit of the page table entry
 * @unsaved:  ghost: written through a page table, and nowhere else
 * @tainted:  ghost: the guest scribbles on the byte, and forfeits its content
 * @page:     content of the backing page
 * @slot:     content that was paged out
 * @lo:       ghost: generation that a read finds at least
 * @hi:       ghost: and at most
 */
struct emu_frame {
	uint8_t kind, ref, locked, map, dirty;
	uint8_t live, held;
	uint8_t truth, busy, stripe, poisoned, present;
	uint32_t users;
	uint8_t armed, wp, pte_dirty, unsaved;
	uint8_t tainted, spare[3];
	uint32_t page, slot;
	uint32_t lo, hi;
};

/**
 * struct emu_vm - state of the whole machine
 * @off:     hinting is disabled: the host takes all frames for Stable
 * @stopped: number of the cpu that has stopped the other ones, from 1; or 0
 */
struct emu_vm {
	uint8_t off, stopped, spare[2];
};

/* What a test breaks, to see that it is noticed. */
enum emu_broken {
	BREAK_HOST_NO_BUSY = 1 << 0,	   /* no late release */
	BREAK_HOST_PUBLISH_FIRST = 1 << 1, /* busy clear, then release */
	BREAK_HOST_RELEASE_FIRST = 1 << 2, /* release, then commit */
	BREAK_HOST_STORE = 1 << 3,	   /* commit by a plain store */
	BREAK_HOST_NO_MARK = 1 << 4,	   /* a discarded page reads as zeros */
	BREAK_HOST_KEEP = 1 << 5,	   /* the old page stays */
	BREAK_HOST_FILL_BUSY = 1 << 6,	   /* faults do not wait for releases */
	BREAK_HOST_WAIT_EARLY = 1 << 7,	   /* ESSA_CMD_WAIT does not wait */
	BREAK_HOST_ZERO_VOLATILE = 1 << 8, /* page out zeros of V as "zero" */
	BREAK_GUEST_NO_WAIT = 1 << 9,	   /* to Stable in spite of busy */
	BREAK_GUEST_STORE = 1 << 10,	   /* operations by plain stores */
	BREAK_GUEST_WRITE_FIRST = 1 << 11, /* allocate: write, then Stable */
	BREAK_GUEST_FREE_FIRST = 1 << 12,  /* free: hand over, then Unused */
	BREAK_GUEST_NO_STABLE = 1 << 13,   /* look up without make stable */
	BREAK_GUEST_NO_FREEZE = 1 << 14,   /* make volatile: compare only */
	BREAK_GUEST_NO_PENDING = 1 << 15,  /* the same for mapped frames */
	BREAK_GUEST_MAP_FIRST = 1 << 16,   /* map count, then references */
	BREAK_GUEST_ZERO_VOLATILE = 1 << 17, /* volatile without content */
	BREAK_HOST_TAKE_ALL_P = 1 << 18,     /* P is taken like V */
	BREAK_HOST_WRITE_UNSEEN = 1 << 19,   /* a write does not void arming */
	BREAK_HOST_ARM_KEPT = 1 << 20,	     /* nor does a fill */
	BREAK_GUEST_CHECK_THEN_ARM = 1 << 21,
	BREAK_HOST_ALWAYS_ON = 1 << 23,	    /* commits while disabled */
	BREAK_HOST_RESET_NO_WAIT = 1 << 24, /* disable: releases go on */
	BREAK_HOST_ENABLE_KEEPS = 1 << 25,  /* enable leaves states alone */
	BREAK_HOST_TRUST_MARK = 1 << 26,    /* a marker alone is a fault */
	BREAK_GUEST_CPUS_RUNNING = 1 << 27, /* disable, the others go on */
	BREAK_HOST_TRUST_TABLE = 1 << 28,   /* fill what the byte says */
	BREAK_HOST_TRUST_BUSY = 1 << 29,    /* wait for the bit in the byte */
	BREAK_HOST_NO_REPAIR = 1 << 30,	    /* scribble stays */
};

/**
 * struct emu_mem - what guest and host share
 * @table:   state bytes; read eight at a time, so a multiple of 8
 * @frame:   all else about frames
 * @vm:      and about the machine
 * @nr:	     frames
 * @broken:  enum emu_broken
 * @lenient: accept states that are wrong as long as no content suffers; to see
 *	     what a broken variant does in the end
 * @scribble: what the scribbling program writes
 */
struct emu_mem {
	uint8_t *table;
	struct emu_frame *frame;
	struct emu_vm *vm;
	unsigned int nr;
	uint32_t broken;
	bool lenient;
	uint8_t scribble;
};

/**
 * struct emu_cpu - private state of a guest CPU or of the host
 * @pc:   where it stands, by level; see co.h
 * @prog: index of its program
 * @f:    frame it works on, @g: another one
 * @i:    counts frames
 * @old:  state byte as last seen
 * @set:  host: frames of the batch, @mark: those that need a marker
 * @done: nothing more to do
 * @r:    reference count as read, @m: map count
 * @val:  content on its way
 */
struct emu_cpu {
	uint16_t pc[EMU_LEVELS];
	uint16_t f, g;
	uint16_t set, mark;
	uint8_t prog, i, old, done, r, m;
	uint32_t val;
};

_Static_assert(sizeof(struct emu_cpu) == 28, "no padding: it is hashed");
_Static_assert(sizeof(struct emu_frame) == 40, "no padding: it is hashed");

/**
 * struct emu - one cpu at work
 * @m:		 shared
 * @c:		 its own state
 * @why:	 set when a step finds that an invariant is broken
 * @transitions: changes that it made to state bytes
 * @discards:	 discards committed, @seen: discards that the guest noticed
 * @waits:	 ESSA_CMD_WAIT that found a release in flight
 */
struct emu {
	struct emu_mem *m;
	struct emu_cpu *c;
	const char *why;
	uint64_t transitions, discards, seen, waits;
};

enum emu_ret {
	EMU_OK,
	EMU_NO,
	EMU_RAN,     /* one step done; there is more to do */
	EMU_BLOCKED, /* asleep; nothing has changed */
	EMU_BAD,     /* see emu.why */
	EMU_DEAD,    /* a guest that scribbled has got what it deserves */
};

/** struct emu_program - what a cpu does; runs a step with each call */
struct emu_program {
	const char *name;
	enum emu_ret (*run)(struct emu *e);
};

extern const struct emu_program emu_guest_programs[];
/* The first ones go with each other; the others, up to all, as they say. */
extern const unsigned int emu_nr_guest_programs;
extern const unsigned int emu_nr_all_guest_programs;
extern const struct emu_program emu_host_programs[];
extern const unsigned int emu_nr_host_programs;

/**
 * emu_find_program() - index of a program by its name
 * @list: emu_guest_programs or emu_host_programs
 * @nr:	  its length
 * @name: must be in it
 */
unsigned int emu_find_program(const struct emu_program *list, unsigned int nr,
			      const char *name);

/** enum emu_start - states that a frame may begin in, see emu_init_frame() */
enum emu_start {
	START_FREE,	  /* Unused, resident */
	START_FREE_OUT,	  /* Unused, preserved */
	START_STABLE,	  /* page cache, Stable, resident */
	START_ZERO,	  /* page cache full of zeros, Stable, zero */
	START_VOLATILE,	  /* page cache, Volatile, resident */
	START_ZEROS_HELD, /* page cache full of zeros, Volatile, resident */
	START_OUT,	  /* page cache, Volatile, preserved */
	START_DISCARDED,  /* page cache, Volatile, zero */
	START_MAPPED,	  /* as START_STABLE, mapped */
	START_MAPPED_VOL, /* as START_VOLATILE, mapped */
	EMU_NR_STARTS,
	START_ARMED = EMU_NR_STARTS, /* page cache, mapped writable, P, armed */
};

void emu_init_frame(struct emu_mem *m, unsigned int f, enum emu_start start);

/**
 * emu_check() - do the invariants hold that can be seen from outside?
 * @m: memory; nobody is in the middle of a step
 * @f: set to the frame where not
 *
 * Return: NULL, or what is wrong.
 */
const char *emu_check(const struct emu_mem *m, unsigned int *f);
/** emu_check_end() - and those that hold when nobody has anything left to do */
const char *emu_check_end(const struct emu_mem *m, unsigned int *f);

/* For the machines: guest.c and host.c on mem.c. */
uint8_t emu_load(struct emu *e, unsigned int f);
bool emu_cas(struct emu *e, unsigned int f, uint8_t next);
/** emu_repair() - make the host's bits of a scribbled byte true; in one step */
void emu_repair(struct emu *e, unsigned int f);
void emu_store(struct emu *e, unsigned int f, uint8_t next);
/** emu_bad() - the cpu found that an invariant is broken, at its own frame */
enum emu_ret emu_bad(struct emu *e, const char *why);
/** emu_bad_at() - at frame @f */
enum emu_ret emu_bad_at(struct emu *e, unsigned int f, const char *why);
bool emu_stripe_trylock(struct emu *e, unsigned int f);
void emu_stripe_unlock(struct emu *e, unsigned int f);
bool emu_page_idle(struct emu *e, unsigned int f);
uint8_t emu_content(uint8_t byte);

/* How an access reaches a frame, and what it does. */
#define EMU_WRITE  1u
#define EMU_BY_MAP 2u /* through a page table, without a reference */

/** emu_access() - read or write a frame. EMU_NO: discard fault, or unmapped */
enum emu_ret emu_access(struct emu *e, unsigned int f, unsigned int how);
/** emu_fault() - make a frame resident. EMU_NO: it is discarded */
enum emu_ret emu_fault(struct emu *e, unsigned int f);
/** emu_wait() - ESSA_CMD_WAIT for one frame */
enum emu_ret emu_wait(struct emu *e, unsigned int f);
/** emu_arm() - ESSA_CMD_ARM for one frame */
enum emu_ret emu_arm(struct emu *e, unsigned int f);
/** emu_reset() - a frame becomes Stable, as ESSA_CMD_DISABLE does for all */
enum emu_ret emu_reset(struct emu *e, unsigned int f);

#endif /* ESSA_EMU_H */
