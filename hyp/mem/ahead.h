/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Readahead: how many neighbours are read with a page that was touched.
 *
 * A page that has been mapped ahead raises no fault when it is used, so whether
 * it was worth while would show when it is paged out again, if at all.  So one
 * page of each read, any of them, is not mapped but kept here: the probe.  Its
 * frame stays preserved, slot and all, and is not charged; what is kept is a copy
 * of the slot.  A touch of it is a hit, for the whole of what was read ahead with
 * it; a probe that nobody has touched some windows later is a miss.
 *
 *	- A fault just behind (or before) a window continues it: a stream.  Its
 *	  window doubles while the probes are hit, and a hit has the next window
 *	  read before somebody waits for it.
 *	- Anywhere else a new window begins, aligned, as large as hits and misses
 *	  of all such windows say: most of what is read has to be used, or it
 *	  shrinks, down to the page itself.  From there now and then two pages
 *	  are tried.
 *
 * The copy is the page as long as the frame is preserved and has @ahead: that is
 * set while the fill owns the frame, and whatever makes a frame resident, which
 * is always a fill, clears it; until then its slot does not change.  No two windows
 * name the same frame.
 *
 * The pager's own, but for the bit, which is under the stripe.
 */
#ifndef HYP_MEM_AHEAD_H
#define HYP_MEM_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

struct mem;

#define AHEAD_MAX     64u /* frames of a window: a block */
#define AHEAD_WINDOWS 32u
#define AHEAD_NONE    UINT64_MAX

struct ahead_window {
	uint64_t first, end; /* frames; the same if none could be read */
	uint64_t probe;	     /* or AHEAD_NONE */
	unsigned int size;   /* what was wanted */
	unsigned int nr_ahead;
	int8_t step;  /* of a stream: 1, -1; else 0 */
	bool judged;  /* a miss so far */
	bool reading; /* the probe is on its way: not to be given away */
	uint8_t *page;
};

struct ahead {
	struct ahead_window window[AHEAD_WINDOWS];
	unsigned int hand;
	unsigned int score;  /* a quarter of the log2 of a new window */
	unsigned int tries;  /* new windows of one page, until two are tried */
	unsigned int random; /* where the next probe is */
	unsigned int fixed; /* for comparison: windows of this size, no probes */
	uint8_t *pages;
};

/** ahead_init() - Return: 0 or -ENOMEM */
int ahead_init(struct ahead *a);
void ahead_fini(struct ahead *a);

/**
 * ahead_plan() - the window of a preserved frame that was touched
 * @mem:   memory
 * @idx:   frame; no stripe held
 *
 * Its bounds, within the block of @idx, are what may be read with it.
 */
struct ahead_window *ahead_plan(struct mem *mem, uint64_t idx);

/**
 * ahead_follow() - a probe was hit: plan what a stream wants next
 * Return: false if there is nothing to be read.
 */
bool ahead_follow(struct mem *mem, struct ahead_window *w);

/** ahead_nothing() - of what was planned nothing can be read now */
void ahead_nothing(struct ahead_window *w);

/** ahead_keep() - the page of a window is the copy of a frame now */
void ahead_keep(struct mem *mem, struct ahead_window *w, uint64_t idx);

/** ahead_find() - the window whose probe a frame is, or NULL */
struct ahead_window *ahead_find(struct mem *mem, uint64_t idx);

/** ahead_probe() - choose one of @nr frames, not 0 */
unsigned int ahead_probe(struct ahead *a, unsigned int nr);

/** ahead_hit() - the probe of a window has been touched */
void ahead_hit(struct mem *mem, struct ahead_window *w);

#endif /* HYP_MEM_AHEAD_H */
