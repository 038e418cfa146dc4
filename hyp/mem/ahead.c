// SPDX-License-Identifier: GPL-2.0-only
/* Readahead windows; see ahead.h. */
#include <errno.h>

#include "hyp/mem/ahead.h"
#include "hyp/mem/content.h"
#include "hyp/mem/priv.h"

#define PAGES_BYTES ((size_t)AHEAD_WINDOWS * MEM_PAGE_SIZE)
#define QUARTERS    4u
#define MAX_SCORE   (6u * QUARTERS) /* AHEAD_MAX pages */
#define FIRST_SCORE (3u * QUARTERS)
/* Hits for a miss: two thirds of what is read are to be used. */
#define MISS_COSTS 2u
/* New windows of one page before one of two. */
#define TRY_EVERY 16u
/* New windows until one is judged: what is not wrong is used sooner, mostly. */
#define JUDGED_AFTER 8u
/* One window is no more than this part of the limit. */
#define LIMIT_PART 128u

_Static_assert(AHEAD_MAX == 1u << MAX_SCORE / QUARTERS, "largest window");
_Static_assert(AHEAD_MAX <= FRAME_BLOCK, "a window is in one block");

int ahead_init(struct ahead *a)
{
	unsigned int i;

	a->pages = content_map(PAGES_BYTES);
	if (!a->pages)
		return -ENOMEM;
	a->score = FIRST_SCORE;
	for (i = 0; i < AHEAD_WINDOWS; i++) {
		a->window[i].probe = AHEAD_NONE;
		a->window[i].first = AHEAD_NONE;
		a->window[i].end = AHEAD_NONE;
		a->window[i].page = a->pages + (size_t)i * MEM_PAGE_SIZE;
	}
	return 0;
}

void ahead_fini(struct ahead *a)
{
	content_unmap(a->pages, PAGES_BYTES);
	a->pages = NULL;
}

/* A VM at a small limit must not lose what it uses to what it might. */
static unsigned int most(struct mem *mem)
{
	uint64_t limit = atomic_load(&mem->limit.limit) / LIMIT_PART;

	if (limit >= AHEAD_MAX)
		return AHEAD_MAX;
	return limit ? (unsigned int)limit : 1;
}

/* The largest power of two that is neither above @size nor too much. */
static unsigned int fit(struct mem *mem, unsigned int size)
{
	unsigned int max = most(mem);

	if (size > max)
		size = max;
	while (size & (size - 1))
		size &= size - 1;
	return size;
}

static void score(struct mem *mem, bool hit)
{
	struct ahead *a = &mem->pager.in.ahead;

	if (hit && a->score < MAX_SCORE)
		a->score += a->score < QUARTERS ? QUARTERS : 1;
	else if (!hit)
		a->score -= a->score < MISS_COSTS ? a->score : MISS_COSTS;
}

/* Nobody has filled the frame.  What else became of it says nothing. */
static bool __has_copy(const struct mem *mem, uint64_t idx)
{
	const struct frame *f = &mem->frames[idx];

	return f->ahead && f->content == FRAME_PRESERVED;
}

/* Is the copy still what the frame has?  Give it up in any case. */
static bool take_back(struct mem *mem, struct ahead_window *w)
{
	struct frame *f = &mem->frames[w->probe];
	bool untouched;

	frame_lock(mem, w->probe);
	untouched = __has_copy(mem, w->probe);
	f->ahead = 0;
	frame_unlock(mem, w->probe);
	w->probe = AHEAD_NONE;
	return untouched;
}

/* Some windows later.  It may be touched yet. */
static void judge(struct mem *mem, struct ahead_window *w)
{
	bool untouched;

	if (w->probe == AHEAD_NONE || w->judged)
		return;
	frame_lock(mem, w->probe);
	untouched = __has_copy(mem, w->probe);
	frame_unlock(mem, w->probe);
	w->judged = true;
	if (untouched)
		score(mem, false);
}

/* Its place is needed. */
static void retire(struct mem *mem, struct ahead_window *w)
{
	if (w->probe != AHEAD_NONE)
		take_back(mem, w);
}

static struct ahead_window *oldest(struct ahead *a)
{
	struct ahead_window *w;

	/* Fewer are being read than there are. */
	do {
		w = &a->window[a->hand];
		a->hand = (a->hand + 1) % AHEAD_WINDOWS;
	} while (w->reading);
	return w;
}

/* A window that @idx continues, or NULL. */
static struct ahead_window *stream_of(struct ahead *a, uint64_t idx, int *step)
{
	unsigned int i;

	for (i = 0; i < AHEAD_WINDOWS; i++) {
		struct ahead_window *w = &a->window[i];

		if (w->reading)
			continue;
		*step = idx == w->end ? 1 : idx + 1 == w->first ? -1 : 0;
		if (*step)
			return w;
	}
	return NULL;
}

/* From @idx on in its direction, within the block. */
static void set_bounds(struct mem *mem, struct ahead_window *w, uint64_t idx)
{
	uint64_t low = idx - idx % FRAME_BLOCK;
	uint64_t high = low + FRAME_BLOCK;

	if (high > mem->nr_frames)
		high = mem->nr_frames;
	if (w->step > 0) {
		w->first = idx;
		w->end = idx + w->size;
	} else if (w->step < 0) {
		w->end = idx + 1;
		w->first = w->end > w->size ? w->end - w->size : 0;
	} else {
		w->first = idx - idx % w->size;
		w->end = w->first + w->size;
	}
	if (w->first < low)
		w->first = low;
	if (w->end > high)
		w->end = high;
	w->nr_ahead = 0;
	w->judged = false;
}

static struct ahead_window *new_window(struct mem *mem, uint64_t idx)
{
	struct ahead *a = &mem->pager.in.ahead;
	struct ahead_window *w = oldest(a);

	judge(mem, &a->window[(a->hand + AHEAD_WINDOWS - JUDGED_AFTER) %
			      AHEAD_WINDOWS]);
	retire(mem, w);
	w->size = 1u << a->score / QUARTERS;
	if (w->size == 1 && ++a->tries % TRY_EVERY == 0)
		w->size = 2;
	if (a->fixed)
		w->size = a->fixed;
	w->size = fit(mem, w->size);
	w->step = 0;
	set_bounds(mem, w, idx);
	return w;
}

struct ahead_window *ahead_plan(struct mem *mem, uint64_t idx)
{
	struct ahead *a = &mem->pager.in.ahead;
	struct ahead_window *w;
	int step;

	w = a->fixed ? NULL : stream_of(a, idx, &step);
	if (!w)
		return new_window(mem, idx);
	/* Gone past the probe: not all is used. */
	if (w->probe != AHEAD_NONE && take_back(mem, w))
		w->size = fit(mem, w->size > 1 ? w->size / 2 : 1);
	else
		w->size = fit(mem, w->size * 2);
	w->step = (int8_t)step;
	set_bounds(mem, w, idx);
	return w;
}

bool ahead_follow(struct mem *mem, struct ahead_window *w)
{
	if (!w->step || w->reading)
		return false;
	if (w->step > 0 ? w->end >= mem->nr_frames : !w->first)
		return false;
	w->size = fit(mem, w->size * 2);
	if (w->size == 1)
		return false;
	set_bounds(mem, w, w->step > 0 ? w->end : w->first - 1);
	return true;
}

void ahead_nothing(struct ahead_window *w)
{
	/* Still where the stream goes on. */
	if (w->step > 0)
		w->end = w->first;
	else
		w->first = w->end;
	w->nr_ahead = 0;
}

struct ahead_window *ahead_find(struct mem *mem, uint64_t idx)
{
	struct ahead *a = &mem->pager.in.ahead;
	unsigned int i;

	for (i = 0; i < AHEAD_WINDOWS; i++)
		if (a->window[i].probe == idx)
			return &a->window[i];
	return NULL;
}

void ahead_keep(struct mem *mem, struct ahead_window *w, uint64_t idx)
{
	struct ahead_window *other = ahead_find(mem, idx);

	/* A copy of what it was before somebody else filled it. */
	if (other)
		other->probe = AHEAD_NONE;
	w->probe = idx;
}

unsigned int ahead_probe(struct ahead *a, unsigned int nr)
{
	a->random = a->random * 1664525u + 1013904223u;
	return (a->random >> 8) % nr;
}

void ahead_hit(struct mem *mem, struct ahead_window *w)
{
	mem_count(&mem->count.readahead_hits, w->nr_ahead);
	w->probe = AHEAD_NONE;
	if (!w->step)
		score(mem, true);
}
