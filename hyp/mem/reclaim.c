// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim thread.
 *
 * The state table is scanned eight bytes at a time, without locks: a byte only
 * nominates its frame, __discard_commit() decides under the stripe.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <essa/abi.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

/* Storm: the pause between two scans; enough for a guest to get on. */
#define STORM_PAUSE_MS 1u
/* After a round that freed nothing while charges wait for room. */
#define IDLE_PAUSE_MS 1u

#define LANES 0x0101010101010101ull

int reclaim_init(struct mem *mem)
{
	uint64_t blocks = (mem->nr_frames + FRAME_BLOCK - 1) / FRAME_BLOCK;

	mem->reclaim.age = calloc(blocks, FRAME_BLOCK);
	mem->reclaim.generation = 1;
	return mem->reclaim.age ? 0 : -ENOMEM;
}

void reclaim_fini(struct mem *mem)
{
	free(mem->reclaim.age);
	mem->reclaim.age = NULL;
}

static uint64_t nr_blocks(const struct mem *mem)
{
	return (mem->nr_frames + FRAME_BLOCK - 1) / FRAME_BLOCK;
}

/* State bytes of eight frames; those behind the end of RAM look stable. */
static uint64_t load_word(struct mem *mem, uint64_t idx)
{
	const uint64_t *p = (const uint64_t *)&mem->table[mem_gfn(mem, idx)];
	uint64_t word = __atomic_load_n(p, __ATOMIC_RELAXED);
	uint64_t left = mem->nr_frames - idx;

	return left >= 8 ? word : word & ((1ull << 8 * left) - 1);
}

/* Lowest bit of each byte whose frame has the usage and something to lose. */
static uint64_t with_usage(uint64_t word, unsigned int usage)
{
	uint64_t hit = ~(word >> 2) & ~(word >> 4) & ~(word >> 5) & LANES;

	hit &= usage & 1 ? word : ~word;
	hit &= usage & 2 ? word >> 1 : ~(word >> 1);
	return hit;
}

/* Discard the nominated frames among eight of one block. */
static void discard_lanes(struct mem *mem, uint64_t idx, uint64_t lanes)
{
	struct discard_batch *b = &mem->reclaim.batch;

	if (b->nr + 8 > DISCARD_BATCH)
		discard_flush(mem, b);
	frame_lock(mem, idx);
	for (; lanes; lanes &= lanes - 1) {
		uint64_t i = idx + (unsigned int)__builtin_ctzll(lanes) / 8;

		if (__discard_commit(mem, b, i) == -EBUSY)
			mem_count(&mem->count.discard_lost, 1);
	}
	frame_unlock(mem, idx);
}

/* Note since when frames are volatile; count them by that. */
static void note_ages(struct reclaim *r, uint64_t idx, uint64_t volatiles)
{
	uint64_t ages;
	unsigned int i;

	memcpy(&ages, &r->age[idx], sizeof(ages));
	if (!volatiles && !ages)
		return;
	for (i = 0; i < 8; i++) {
		if (!(volatiles >> 8 * i & 1))
			r->age[idx + i] = 0;
		else if (!r->age[idx + i])
			r->age[idx + i] = r->generation;
		r->by_age[r->age[idx + i]]++;
	}
}

/* One pass over the table: Unused frames go, Volatile ones are aged. */
static void scan_unused(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t idx, word, lanes;

	memset(r->by_age, 0, sizeof(r->by_age));
	for (idx = 0; idx < mem->nr_frames; idx += 8) {
		word = load_word(mem, idx);
		note_ages(r, idx, with_usage(word, ESSA_VOLATILE));
		lanes = with_usage(word, ESSA_UNUSED);
		if (lanes && r->batch.nr_freed + r->batch.nr < need)
			discard_lanes(mem, idx, lanes);
	}
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

static void discard_volatile(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	unsigned int young = cutoff(r, need - r->batch.nr_freed);
	uint64_t blocks = nr_blocks(mem);
	uint64_t n, i, idx, lanes;

	for (n = 0; n < blocks; n++) {
		if (r->batch.nr_freed + r->batch.nr >= need)
			break;
		idx = r->hand * FRAME_BLOCK;
		for (i = idx; i < idx + FRAME_BLOCK && i < mem->nr_frames;
		     i += 8) {
			unsigned int k;

			lanes = with_usage(load_word(mem, i), ESSA_VOLATILE);
			for (k = 0; lanes && k < 8; k++)
				if (!r->age[i + k] || r->age[i + k] > young)
					lanes &= ~(1ull << 8 * k);
			if (lanes)
				discard_lanes(mem, i, lanes);
		}
		r->hand = r->hand + 1 < blocks ? r->hand + 1 : 0;
	}
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

		if (mem_is_stopping(mem) || atomic_load(&mem->failed))
			break;
		/* Pages would only go to the staging area and back. */
		if (!mem->swap || swap_is_full(mem->swap))
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
		freed += pageout_batch(mem, idx, nr);
		nr = 0;
	}
	if (nr)
		freed += pageout_batch(mem, idx, nr);
	return freed;
}

/* Free @need frames, or what there is.  Return: frames freed. */
static uint64_t round_of(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t freed;

	r->batch.nr_freed = 0;
	if (atomic_load(&mem->features)) {
		scan_unused(mem, need);
		if (r->batch.nr_freed < need)
			discard_volatile(mem, need);
		next_generation(mem);
	}
	freed = r->batch.nr_freed;
	if (freed < need && need != UINT64_MAX)
		freed += page_out(mem, need - freed);
	return freed;
}

static void no_room(struct mem *mem)
{
	if (!mem->swap)
		mem_fatal(
			mem, -ENOSPC,
			"resident limit reached and no swap: raise --limit or give --swap");
	else if (swap_is_full(mem->swap))
		mem_fatal(mem, -ENOSPC,
			  "swap file is full: raise --swap-size or --limit");
	else
		limit_idle_round(mem);
}

void *reclaim_thread(void *arg)
{
	struct mem *mem = arg;
	bool storm = mem->cfg.storm;
	unsigned int pause_ms = storm ? STORM_PAUSE_MS : 0;
	uint64_t need;

	for (;;) {
		limit_wait_work(mem, pause_ms);
		if (mem_is_stopping(mem))
			return NULL;
		pause_ms = storm ? STORM_PAUSE_MS : 0;
		if (storm)
			round_of(mem, UINT64_MAX);
		need = limit_excess(mem);
		if (!need || atomic_load(&mem->failed))
			continue;
		if (round_of(mem, need)) {
			if (limit_excess(mem))
				limit_kick(mem);
		} else if (atomic_load(&mem->limit.waiters)) {
			no_room(mem);
			pause_ms = IDLE_PAUSE_MS;
		}
	}
}
