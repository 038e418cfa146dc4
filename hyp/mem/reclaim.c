// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim thread.
 *
 * The state table is scanned without locks (<essa/scan.h>): a byte only nominates
 * its frame, __discard_commit() decides under the stripe.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <essa/scan.h>

#include "hyp/mem/evict.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

/* Storm: the pause between two scans; enough for a guest to get on. */
#define STORM_PAUSE_MS 1u
/* After a round that freed nothing while charges wait for room. */
#define IDLE_PAUSE_MS 1u
/* In trouble: until the next attempt. */
#define RETRY_PAUSE_MS 1000u

/* A stripe and a step of the scan cover the same frames. */
_Static_assert(FRAME_BLOCK == ESSA_SCAN_BLOCK, "one block");

static uint64_t nr_blocks(const struct mem *mem)
{
	return (mem->nr_frames + FRAME_BLOCK - 1) / FRAME_BLOCK;
}

int reclaim_init(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;

	r->age = calloc(nr_blocks(mem), FRAME_BLOCK);
	r->aged = calloc((nr_blocks(mem) + 63) / 64, sizeof(*r->aged));
	r->generation = 1;
	r->scan = essa_best_scanner();
	if (r->age && r->aged)
		return 0;
	reclaim_fini(mem);
	return -ENOMEM;
}

void reclaim_fini(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;

	free(r->age);
	free(r->aged);
	r->age = NULL;
	r->aged = NULL;
}

/*
 * Next block of [@first, @end), first frames of blocks, with a nominee.  Frames
 * behind the end of RAM are none.
 */
static uint64_t next_nominees(struct mem *mem, uint64_t first, uint64_t end,
			      struct essa_nominees *found)
{
	const uint64_t low = MEM_HOLE_START >> MEM_PAGE_SHIFT;
	uint64_t gap, stop, i, left;

	while (first < end) {
		/* The table has bytes for the hole: one side at a time. */
		stop = first < low && low < end ? low : end;
		gap = mem_gfn(mem, first) - first;
		i = mem->reclaim.scan(mem->table, first + gap, stop + gap,
				      found) -
		    gap;
		left = mem->nr_frames - i;
		if (i < stop && left < FRAME_BLOCK) {
			found->unused &= (1ull << left) - 1;
			found->volatiles &= (1ull << left) - 1;
		}
		if (i < stop && (found->unused | found->volatiles))
			return i;
		first = i < stop ? i + FRAME_BLOCK : stop;
	}
	return end;
}

static bool is_aged(const struct reclaim *r, uint64_t block)
{
	return r->aged[block / 64] >> block % 64 & 1;
}

/* Others say that a frame was used: reclaim_note_use(). */
static uint8_t age_of(const struct reclaim *r, uint64_t idx)
{
	return __atomic_load_n(&r->age[idx], __ATOMIC_RELAXED);
}

static void set_age(struct reclaim *r, uint64_t idx, uint8_t age)
{
	__atomic_store_n(&r->age[idx], age, __ATOMIC_RELAXED);
}

void reclaim_note_use(struct mem *mem, uint64_t idx)
{
	set_age(&mem->reclaim, idx, 0);
}

/* Note since when the frames of a block are volatile; count them by that. */
static void note_ages(struct reclaim *r, uint64_t block, uint64_t volatiles)
{
	uint64_t idx = block * FRAME_BLOCK;
	unsigned int i;
	uint8_t age;

	for (i = 0; i < FRAME_BLOCK; i++) {
		age = age_of(r, idx + i);
		if (!(volatiles >> i & 1)) {
			if (age)
				set_age(r, idx + i, 0);
			continue;
		}
		if (!age) {
			age = r->generation;
			set_age(r, idx + i, age);
		}
		r->by_age[age]++;
	}
	if (volatiles)
		r->aged[block / 64] |= 1ull << block % 64;
	else
		r->aged[block / 64] &= ~(1ull << block % 64);
}

/* Blocks without a volatile frame: whatever was there is no longer. */
static void forget_ages(struct reclaim *r, uint64_t block, uint64_t end)
{
	while (block < end) {
		if (block % 64 == 0 && end - block >= 64 &&
		    !r->aged[block / 64]) {
			block += 64;
			continue;
		}
		if (is_aged(r, block))
			note_ages(r, block, 0);
		block++;
	}
}

void reclaim_scan(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t end = nr_blocks(mem) * FRAME_BLOCK;
	struct essa_nominees found;
	uint64_t done = 0;
	uint64_t idx = 0;

	memset(r->by_age, 0, sizeof(r->by_age));
	while ((idx = next_nominees(mem, idx, end, &found)) < end) {
		forget_ages(r, done, idx / FRAME_BLOCK);
		if (found.volatiles || is_aged(r, idx / FRAME_BLOCK))
			note_ages(r, idx / FRAME_BLOCK, found.volatiles);
		if (found.unused && r->batch.nr_freed + r->batch.nr < need)
			discard_commit_block(mem, &r->batch, idx, found.unused);
		idx += FRAME_BLOCK;
		done = idx / FRAME_BLOCK;
	}
	forget_ages(r, done, nr_blocks(mem));
	discard_flush(mem, &r->batch);
	mem_count(&mem->count.scans, 1);
}

/* Youngest generation that has to go for @need frames. */
static unsigned int cutoff(const struct reclaim *r, uint64_t need)
{
	uint64_t sum = 0;
	unsigned int g;

	for (g = 1; g < RECLAIM_AGES - 1; g++) {
		sum += r->by_age[g];
		if (sum >= need)
			break;
	}
	return g;
}

/* Volatile frames of a block that have been so since generation @young. */
static uint64_t old_volatiles(struct mem *mem, uint64_t block,
			      unsigned int young)
{
	uint64_t idx = block * FRAME_BLOCK;
	struct essa_nominees found;
	uint64_t mask = 0;
	uint64_t left;
	uint8_t age;

	if (!is_aged(&mem->reclaim, block) ||
	    next_nominees(mem, idx, idx + FRAME_BLOCK, &found) != idx)
		return 0;
	for (left = found.volatiles; left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(left);

		age = age_of(&mem->reclaim, idx + i);
		if (age && age <= young)
			mask |= 1ull << i;
	}
	return mask;
}

static void discard_volatile(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	unsigned int young = cutoff(r, need - r->batch.nr_freed);
	uint64_t blocks = nr_blocks(mem);
	uint64_t n, mask;

	for (n = 0; n < blocks; n++) {
		if (r->batch.nr_freed + r->batch.nr >= need)
			break;
		mask = old_volatiles(mem, r->hand, young);
		if (mask)
			discard_commit_block(mem, &r->batch,
					     r->hand * FRAME_BLOCK, mask);
		r->hand = r->hand + 1 < blocks ? r->hand + 1 : 0;
	}
	discard_flush(mem, &r->batch);
}

/* Known unwritten: nothing is lost but what the guest can get again. */
static void discard_potential(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t begin = mem->track.hand;
	uint64_t block = begin;
	uint64_t end = nr_blocks(mem);
	uint64_t mask;

	while (r->batch.nr_freed + r->batch.nr < need) {
		block = track_next(mem, block, end);
		if (block == end) {
			if (end == begin)
				break;
			/* From the start, up to where this began. */
			end = begin;
			block = 0;
			continue;
		}
		mask = track_clean(mem, block);
		if (mask)
			discard_commit_block(mem, &r->batch,
					     block * FRAME_BLOCK, mask);
		block++;
	}
	mem->track.hand = block < nr_blocks(mem) ? block : 0;
	discard_flush(mem, &r->batch);
}

/* Generations are bytes: make room by merging old ones. */
static void next_generation(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t i;

	if (r->generation < RECLAIM_AGES - 1) {
		r->generation++;
		return;
	}
	for (i = 0; i < mem->nr_frames; i++)
		set_age(r, i, (uint8_t)((age_of(r, i) + 1) / 2));
	r->generation = RECLAIM_AGES / 2 + 1;
}

/* Frames of one block that may go into probation. */
static unsigned int claim_volatile(struct mem *mem, uint64_t block,
				   uint64_t mask, uint64_t *idx,
				   unsigned int room)
{
	unsigned int nr = 0;

	frame_lock(mem, block * FRAME_BLOCK);
	for (; mask && nr < room; mask &= mask - 1) {
		uint64_t i = block * FRAME_BLOCK +
			     (unsigned int)__builtin_ctzll(mask);
		struct frame *f = &mem->frames[i];

		if (f->content != FRAME_RESIDENT || f->busy || f->pins ||
		    f->parked)
			continue;
		f->busy = FRAME_PARK;
		f->armed = 0;
		idx[nr++] = i;
	}
	frame_unlock(mem, block * FRAME_BLOCK);
	return nr;
}

/* Those that have been volatile longest go into probation, @nr of them. */
static void park_volatile(struct mem *mem, uint64_t nr)
{
	uint64_t in = atomic_load(&mem->probation.nr[PROBATION_VOLATILE]);
	struct reclaim *r = &mem->reclaim;
	unsigned int young = cutoff(r, nr + in);
	uint64_t blocks = nr_blocks(mem);
	uint64_t idx[FRAME_BLOCK];
	uint64_t n, mask;
	unsigned int got;

	if (nr > probation_room(mem, PROBATION_VOLATILE))
		nr = probation_room(mem, PROBATION_VOLATILE);
	for (n = 0; n < blocks && nr; n++) {
		mask = old_volatiles(mem, r->hand, young);
		got = 0;
		if (mask) {
			pthread_mutex_lock(&mem->pageout.lock);
			got = claim_volatile(mem, r->hand, mask, idx,
					     nr < FRAME_BLOCK ?
						     (unsigned int)nr :
						     FRAME_BLOCK);
			probation_park(mem, PROBATION_VOLATILE, idx, got);
			pthread_mutex_unlock(&mem->pageout.lock);
		}
		nr -= got;
		if (nr)
			r->hand = r->hand + 1 < blocks ? r->hand + 1 : 0;
	}
}

/* What the guest can do without, until @need frames have been freed. */
static void discard(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;

	if (r->batch.nr_freed < need)
		discard_volatile(mem, need);
	if (r->batch.nr_freed < need && mem->track.offered)
		discard_potential(mem, need);
}

/* Free @need frames that the guest gave up, or what there is of them. */
static uint64_t discard_round(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;

	r->batch.nr_freed = 0;
	if (atomic_load(&mem->features)) {
		reclaim_scan(mem, need);
		discard(mem, need);
		next_generation(mem);
	}
	return r->batch.nr_freed;
}

int mem_discard(struct mem *mem, uint64_t nr_frames,
		void (*done)(void *ctx, uint64_t nr_frames), void *ctx)
{
	struct reclaim *r = &mem->reclaim;

	if (atomic_load(&r->asked))
		return -EBUSY;
	if (!nr_frames)
		return -EINVAL;
	r->asked_done = done;
	r->asked_ctx = ctx;
	/* Last, and 0 before @done is called: one side at a time. */
	atomic_store(&r->asked, nr_frames);
	limit_kick(mem);
	return 0;
}

static void discard_asked(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t need = atomic_load(&r->asked);
	void (*done)(void *ctx, uint64_t nr_frames);
	void *ctx;

	if (!need)
		return;
	done = r->asked_done;
	ctx = r->asked_ctx;
	need = discard_round(mem, need);
	atomic_store(&r->asked, 0);
	done(ctx, need);
}

/* How many of @need frames to page out though there may be volatile ones. */
static uint64_t stable_part(struct mem *mem, uint64_t need)
{
	struct balance *b = &mem->reclaim.balance;
	struct mem_counters *c = &mem->count;

	if (need == UINT64_MAX || !mem->swap || swap_is_full(mem->swap))
		return 0;
	balance_note(b,
		     atomic_load(&c->fault_discard) +
			     atomic_load(&c->rescued[PROBATION_VOLATILE]),
		     atomic_load(&c->swapped_out) +
			     atomic_load(&c->swapped_in) +
			     atomic_load(&c->rescued[PROBATION_STABLE]),
		     mem->nr_frames);
	return balance_stable(b, need, mem->nr_frames);
}

/* What is to be in probation, while nobody waits. */
static void fill_probation(struct mem *mem, bool stable)
{
	uint64_t target = evict_target(mem, PROBATION_VOLATILE);
	uint64_t in;

	in = atomic_load(&mem->probation.nr[PROBATION_VOLATILE]);
	if (atomic_load(&mem->features) && in < target)
		park_volatile(mem, target - in);
	target = evict_target(mem, PROBATION_STABLE);
	in = atomic_load(&mem->probation.nr[PROBATION_STABLE]);
	if (stable && in < target)
		evict_park(mem, target - in);
}

/* Free @need frames, or what there is.  Return: frames freed. */
static uint64_t round_of(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	bool hinting = atomic_load(&mem->features);
	bool storm = need == UINT64_MAX;
	uint64_t stable = 0;
	uint64_t out = 0;

	mem_count(&mem->count.reclaim_rounds, 1);
	mem_count(&mem->count.reclaim_urgent,
		  !!atomic_load(&mem->limit.waiters));
	r->batch.nr_freed = 0;
	if (hinting) {
		reclaim_scan(mem, need);
		if (r->batch.nr_freed < need)
			stable = stable_part(mem, need - r->batch.nr_freed);
		if (!storm)
			out = evict_parked(mem, PROBATION_VOLATILE,
					   need - stable);
		discard(mem, need - stable);
		next_generation(mem);
	}
	if (r->batch.nr_freed + out < need && !storm) {
		if (!hinting)
			out += evict_parked(mem, PROBATION_VOLATILE, need);
		out += evict_parked(mem, PROBATION_STABLE, need - out);
		if (r->batch.nr_freed + out < need)
			out += evict_stable(mem,
					    need - out - r->batch.nr_freed);
	}
	/* What should have been stable, and could not be had. */
	if (stable && r->batch.nr_freed + out < need)
		discard(mem, need - out);
	if (!storm && !atomic_load(&mem->limit.waiters))
		fill_probation(mem, out);
	return r->batch.nr_freed + out;
}

static void no_room(struct mem *mem)
{
	if (!mem->swap)
		mem_fatal(
			mem, -ENOSPC,
			"resident limit reached and no swap: raise --limit or give --swap");
	else if (swap_is_full(mem->swap))
		trouble_begin(
			mem, TROUBLE_ROOM, -ENOSPC,
			"swap file is full: raise the limit, or start with a larger --swap-size; the guest waits");
	else if (!trouble_is_any(mem))
		limit_idle_round(mem);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Try again when it is time.  Return: whether there is trouble. */
static bool look_at_trouble(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;
	bool before = r->in_trouble;

	r->in_trouble = trouble_is_any(mem);
	if (!r->in_trouble)
		return false;
	if (!before) {
		r->retried_ms = now_ms();
	} else if (now_ms() - r->retried_ms >= RETRY_PAUSE_MS) {
		r->retried_ms = now_ms();
		mem_retry(mem);
	}
	return true;
}

/* What nobody wants any more is no trouble. */
static void end_trouble(struct mem *mem)
{
	if (!atomic_load(&mem->limit.waiters))
		trouble_end(mem, TROUBLE_ROOM);
	if (atomic_load(&mem->trouble.round) != mem->reclaim.round &&
	    !limit_excess(mem)) {
		mem->reclaim.round = atomic_load(&mem->trouble.round);
		trouble_end(mem, TROUBLE_OUT);
	}
}

void *reclaim_thread(void *arg)
{
	struct mem *mem = arg;
	bool storm = mem->cfg.storm;
	unsigned int pause_ms = storm ? STORM_PAUSE_MS : 0;
	bool trouble;
	uint64_t need;

	for (;;) {
		limit_wait_work(mem, pause_ms);
		if (mem_is_stopping(mem))
			return NULL;
		trouble = look_at_trouble(mem);
		if (trouble)
			end_trouble(mem);
		pause_ms = trouble ? RETRY_PAUSE_MS : 0;
		if (storm) {
			pause_ms = STORM_PAUSE_MS;
			round_of(mem, UINT64_MAX);
		}
		discard_asked(mem);
		need = limit_excess(mem);
		if (!need || atomic_load(&mem->failed))
			continue;
		if (round_of(mem, need)) {
			trouble_end(mem, TROUBLE_ROOM);
			if (limit_excess(mem))
				limit_kick(mem);
		} else if (atomic_load(&mem->limit.waiters)) {
			no_room(mem);
			if (!trouble)
				pause_ms = IDLE_PAUSE_MS;
		}
	}
}
