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

/* Note since when the frames of a block are volatile; count them by that. */
static void note_ages(struct reclaim *r, uint64_t block, uint64_t volatiles)
{
	uint8_t *age = &r->age[block * FRAME_BLOCK];
	unsigned int i;

	for (i = 0; i < FRAME_BLOCK; i++) {
		if (!(volatiles >> i & 1)) {
			age[i] = 0;
			continue;
		}
		if (!age[i])
			age[i] = r->generation;
		r->by_age[age[i]]++;
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
	const uint8_t *age = &mem->reclaim.age[block * FRAME_BLOCK];
	uint64_t idx = block * FRAME_BLOCK;
	struct essa_nominees found;
	uint64_t mask = 0;
	uint64_t left;

	if (!is_aged(&mem->reclaim, block) ||
	    next_nominees(mem, idx, idx + FRAME_BLOCK, &found) != idx)
		return 0;
	for (left = found.volatiles; left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(left);

		if (age[i] && age[i] <= young)
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
		r->age[i] = (uint8_t)((r->age[i] + 1) / 2);
	r->generation = RECLAIM_AGES / 2 + 1;
}

/*
 * Frames of one block for page-out.  @turn: in the first turn of the clock a
 * reference saves a frame, in the last nothing does, not even being volatile:
 * what the guest scribbles into the table must not keep reclaim from ending.
 */
static unsigned int claim_block(struct mem *mem, uint64_t block, int turn,
				uint64_t *idx, unsigned int room)
{
	uint64_t i = block * FRAME_BLOCK;
	uint64_t end = i + FRAME_BLOCK;
	unsigned int nr = 0;

	if (end > mem->nr_frames)
		end = mem->nr_frames;
	frame_lock(mem, block * FRAME_BLOCK);
	for (; i < end && nr < room; i++) {
		struct frame *f = &mem->frames[i];
		uint8_t usage;

		if (f->content != FRAME_RESIDENT || f->busy || f->pins)
			continue;
		usage = state_usage(mem, state_read(mem, i));
		if (turn < 2 &&
		    (usage == ESSA_UNUSED || usage == ESSA_VOLATILE))
			continue;
		if (turn < 2 && f->referenced) {
			f->referenced = 0;
			continue;
		}
		if (!__pageout_claim(mem, i))
			idx[nr++] = i;
	}
	frame_unlock(mem, block * FRAME_BLOCK);
	return nr;
}

/* In trouble once, whenever something is to be tried again. */
static bool may_page_out(struct mem *mem)
{
	uint64_t round = atomic_load(&mem->trouble.round);

	if (mem_is_stopping(mem) || atomic_load(&mem->failed))
		return false;
	/* Pages would only go to the staging area and back. */
	if (!mem->swap || swap_is_full(mem->swap))
		return false;
	return !trouble_is(mem, TROUBLE_OUT) || mem->reclaim.round != round;
}

static unsigned int attempt(struct mem *mem, const uint64_t *idx,
			    unsigned int nr)
{
	mem->reclaim.round = atomic_load(&mem->trouble.round);
	return pageout_batch(mem, idx, nr);
}

static unsigned int page_out(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t idx[PAGEOUT_BATCH];
	uint64_t blocks = nr_blocks(mem);
	unsigned int nr = 0;
	unsigned int freed = 0;
	uint64_t n;

	for (n = 0; n < 3 * blocks && freed < need; n++) {
		unsigned int room = PAGEOUT_BATCH - nr;

		if (!may_page_out(mem))
			break;
		if (room > need - freed - nr)
			room = (unsigned int)(need - freed - nr);
		nr += claim_block(mem, r->clock, (int)(n / blocks), idx + nr,
				  room);
		if (nr < PAGEOUT_BATCH && freed + nr < need) {
			r->clock = r->clock + 1 < blocks ? r->clock + 1 : 0;
			/* Batches ascend, for runs of neighbours. */
			if (r->clock || !nr)
				continue;
		}
		freed += attempt(mem, idx, nr);
		nr = 0;
	}
	if (nr)
		freed += attempt(mem, idx, nr);
	return freed;
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

	if (need == UINT64_MAX || !mem->swap || swap_is_full(mem->swap))
		return 0;
	balance_note(b, atomic_load(&mem->count.fault_discard),
		     atomic_load(&mem->count.swapped_out) +
			     atomic_load(&mem->count.swapped_in),
		     mem->nr_frames);
	return balance_stable(b, need, mem->nr_frames);
}

/* Free @need frames, or what there is.  Return: frames freed. */
static uint64_t round_of(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	bool hinting = atomic_load(&mem->features);
	uint64_t stable = 0;
	uint64_t out = 0;

	r->batch.nr_freed = 0;
	if (hinting) {
		reclaim_scan(mem, need);
		if (r->batch.nr_freed < need)
			stable = stable_part(mem, need - r->batch.nr_freed);
		discard(mem, need - stable);
		next_generation(mem);
	}
	if (r->batch.nr_freed < need && need != UINT64_MAX)
		out = page_out(mem, need - r->batch.nr_freed);
	/* What should have been stable, and could not be had. */
	if (stable && r->batch.nr_freed + out < need)
		discard(mem, need - out);
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
		} else if (limit_is_stuck(mem)) {
			no_room(mem);
			if (!trouble)
				pause_ms = IDLE_PAUSE_MS;
		}
	}
}
