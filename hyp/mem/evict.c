// SPDX-License-Identifier: GPL-2.0-only
/* Second chance; see evict.h. */
#include <stdlib.h>

#include <essa/abi.h>

#include "hyp/mem/evict.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

/* Bounds of the frames of one kind in probation, in parts of the limit. */
#define SHARE_UNIT 256u
#define SHARE_MIN  8u
#define SHARE_MAX  32u
/* Changes of a share from round to round; it begins at the most. */
#define SHARE_STEP 1u

static uint64_t since(uint64_t *seen, _Atomic uint64_t *counter)
{
	uint64_t now = atomic_load(counter);
	uint64_t delta = now - *seen;

	*seen = now;
	return delta;
}

/*
 * Where most of what is put to the test is in use, a longer test finds out no
 * more and costs a fault for each: less of it then.
 */
static void resize(struct mem *mem, enum probation_kind kind)
{
	struct evict_size *s = &mem->reclaim.size[kind];
	uint64_t window =
		atomic_load(&mem->limit.limit) / SHARE_UNIT * SHARE_MAX;

	s->parked += since(&s->parked_seen, &mem->count.parked[kind]);
	s->rescued += since(&s->rescued_seen, &mem->count.rescued[kind]);
	if (s->rescued > s->parked / 2)
		s->less += s->less < SHARE_MAX - SHARE_MIN ? SHARE_STEP : 0;
	else
		s->less -= s->less ? SHARE_STEP : 0;
	while (s->parked > window) {
		s->parked /= 2;
		s->rescued /= 2;
	}
}

uint64_t evict_target(struct mem *mem, enum probation_kind kind)
{
	uint64_t limit = atomic_load(&mem->limit.limit);

	if (limit == UINT64_MAX)
		return 0;
	resize(mem, kind);
	return limit / SHARE_UNIT * (SHARE_MAX - mem->reclaim.size[kind].less);
}

/* What a claim is for, and how much it minds. */
enum claim {
	CLAIM_PARK,
	/* To page out: in the first turn of the clock a reference saves. */
	CLAIM_UNUSED,
	CLAIM_ANY,
	/*
	 * Not even being volatile saves: what the guest scribbles into the
	 * table must not keep reclaim from ending.
	 */
	CLAIM_ALL,
};

/* Caller holds the stripe. */
static bool __may_claim(struct mem *mem, uint64_t i, enum claim claim)
{
	struct frame *f = &mem->frames[i];
	uint8_t usage;

	if (f->content != FRAME_RESIDENT || f->busy || f->pins || f->parked)
		return false;
	usage = state_usage(mem, state_read(mem, i));
	if (claim != CLAIM_ALL &&
	    (usage == ESSA_UNUSED || usage == ESSA_VOLATILE))
		return false;
	/* Going, it would lose its mark: it is better off discarded. */
	if (claim == CLAIM_PARK && f->armed && usage == ESSA_POTENTIAL)
		return false;
	if (claim <= CLAIM_UNUSED && f->referenced) {
		f->referenced = 0;
		return false;
	}
	return true;
}

static unsigned int claim_block(struct mem *mem, uint64_t block,
				enum claim claim, uint64_t *idx,
				unsigned int room)
{
	uint64_t i = block * FRAME_BLOCK;
	uint64_t end = i + FRAME_BLOCK;
	unsigned int nr = 0;

	if (end > mem->nr_frames)
		end = mem->nr_frames;
	frame_lock(mem, block * FRAME_BLOCK);
	for (; i < end && nr < room; i++) {
		struct frame *f = &mem->frames[i];

		if (!__may_claim(mem, i, claim))
			continue;
		f->busy = claim == CLAIM_PARK ? FRAME_PARK : FRAME_PAGE_OUT;
		f->armed = 0;
		idx[nr++] = i;
	}
	frame_unlock(mem, block * FRAME_BLOCK);
	return nr;
}

static void step(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;

	r->clock = r->clock + 1 < mem_nr_blocks(mem) ? r->clock + 1 : 0;
}

/* In trouble once, whenever something is to be tried again. */
static bool may_page_out(struct mem *mem)
{
	uint64_t round = atomic_load(&mem->trouble.round);

	if (mem_is_stopping(mem) || atomic_load(&mem->failed))
		return false;
	/* Pages would only go out of reach and back. */
	if (!mem->swap || swap_is_full(mem->swap))
		return false;
	return !trouble_is(mem, TROUBLE_OUT) || mem->reclaim.round != round;
}

static unsigned int attempt(struct mem *mem, const uint64_t *idx,
			    unsigned int nr, bool parked)
{
	mem->reclaim.round = atomic_load(&mem->trouble.round);
	return pageout_batch(mem, idx, nr, parked);
}

void evict_park(struct mem *mem, uint64_t nr)
{
	uint64_t blocks = mem_nr_blocks(mem);
	uint64_t idx[FRAME_BLOCK];
	unsigned int got;
	uint64_t n;

	if (nr > probation_room(mem, PROBATION_STABLE))
		nr = probation_room(mem, PROBATION_STABLE);
	for (n = 0;
	     n < 2 * blocks && nr && may_page_out(mem) && !limit_is_urgent(mem);
	     n++) {
		pthread_mutex_lock(&mem->pageout.lock);
		got = claim_block(mem, mem->reclaim.clock, CLAIM_PARK, idx,
				  nr < FRAME_BLOCK ? (unsigned int)nr :
						     FRAME_BLOCK);
		probation_park(mem, PROBATION_STABLE, idx, got);
		pthread_mutex_unlock(&mem->pageout.lock);
		nr -= got;
		if (nr)
			step(mem);
	}
}

uint64_t evict_stable(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t idx[PAGEOUT_BATCH];
	uint64_t blocks = mem_nr_blocks(mem);
	unsigned int nr = 0;
	unsigned int freed = 0;
	uint64_t n;

	for (n = 0; n < 3 * blocks && freed < need; n++) {
		unsigned int room = PAGEOUT_BATCH - nr;

		if (!may_page_out(mem))
			break;
		if (room > need - freed - nr)
			room = (unsigned int)(need - freed - nr);
		nr += claim_block(mem, r->clock,
				  CLAIM_UNUSED + (enum claim)(n / blocks),
				  idx + nr, room);
		if (nr < PAGEOUT_BATCH && freed + nr < need) {
			step(mem);
			/* Batches ascend, for runs of neighbours. */
			if (r->clock || !nr)
				continue;
		}
		freed += attempt(mem, idx, nr, false);
		nr = 0;
	}
	if (nr)
		freed += attempt(mem, idx, nr, false);
	return freed;
}

static int cmp_idx(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

enum verdict { GONE, TO_WRITE, NOT_NOW };

/* The turn of a frame has come; the stripe is held. */
static enum verdict __judge(struct mem *mem, enum probation_kind kind,
			    uint64_t idx)
{
	uint8_t usage = state_usage(mem, state_read(mem, idx));

	/* The guest has taken it back, and will want what is in it. */
	if (kind == PROBATION_VOLATILE && usage == ESSA_STABLE &&
	    atomic_load(&mem->features)) {
		__probation_rescue(mem, idx);
		return GONE;
	}
	if (!__discard_commit(mem, &mem->reclaim.batch, idx))
		return GONE;
	if (!may_page_out(mem))
		return NOT_NOW;
	__pageout_claim(mem, idx);
	return TO_WRITE;
}

uint64_t evict_parked(struct mem *mem, enum probation_kind kind, uint64_t need)
{
	struct discard_batch *b = &mem->reclaim.batch;
	uint64_t idx[PAGEOUT_BATCH];
	enum verdict verdict = GONE;
	unsigned int nr = 0;
	uint64_t out = 0;
	uint64_t i;

	while (verdict != NOT_NOW && out + nr + b->nr_freed + b->nr < need &&
	       __probation_next(mem, kind, &i)) {
		verdict = __judge(mem, kind, i);
		frame_unlock(mem, i);
		if (verdict == TO_WRITE)
			idx[nr++] = i;
		if (b->nr == DISCARD_BATCH)
			discard_flush(mem, b);
		if (nr == PAGEOUT_BATCH) {
			qsort(idx, nr, sizeof(idx[0]), cmp_idx);
			out += attempt(mem, idx, nr, true);
			nr = 0;
		}
	}
	if (verdict == NOT_NOW)
		probation_unget(mem, kind);
	discard_flush(mem, b);
	if (nr) {
		qsort(idx, nr, sizeof(idx[0]), cmp_idx);
		out += attempt(mem, idx, nr, true);
	}
	return out;
}
