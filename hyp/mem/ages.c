// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ages of volatile frames; see ages.h.
 *
 * The state table is scanned without locks (<essa/scan.h>): a byte only nominates
 * its frame, __discard_commit() decides under the stripe.
 */
#include <string.h>

#include <essa/scan.h>

#include "hyp/mem/ages.h"
#include "hyp/mem/priv.h"

/* A stripe and a step of the scan cover the same frames. */
_Static_assert(FRAME_BLOCK == ESSA_SCAN_BLOCK, "one block");

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

/* Others say that a frame was used: ages_forget(). */
static uint8_t age_of(const struct reclaim *r, uint64_t idx)
{
	return __atomic_load_n(&r->age[idx], __ATOMIC_RELAXED);
}

static void set_age(struct reclaim *r, uint64_t idx, uint8_t age)
{
	__atomic_store_n(&r->age[idx], age, __ATOMIC_RELAXED);
}

void ages_forget(struct mem *mem, uint64_t idx)
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

void ages_scan(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t end = mem_nr_blocks(mem) * FRAME_BLOCK;
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
	forget_ages(r, done, mem_nr_blocks(mem));
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

void ages_discard(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	unsigned int young = cutoff(r, need - r->batch.nr_freed);
	uint64_t blocks = mem_nr_blocks(mem);
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

static void halve_ages(struct reclaim *r, uint64_t block)
{
	uint64_t first = block * FRAME_BLOCK;
	uint64_t i;

	for (i = first; i < first + FRAME_BLOCK; i++)
		set_age(r, i, (uint8_t)((age_of(r, i) + 1) / 2));
}

void ages_next(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t block;

	/* They are bytes: make room by merging old ones. */
	if (r->generation < RECLAIM_AGES - 1) {
		r->generation++;
		return;
	}
	for (block = 0; block < mem_nr_blocks(mem); block++)
		if (is_aged(r, block))
			halve_ages(r, block);
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

void ages_park(struct mem *mem, uint64_t nr)
{
	uint64_t in = atomic_load(&mem->probation.nr[PROBATION_VOLATILE]);
	struct reclaim *r = &mem->reclaim;
	unsigned int young = cutoff(r, nr + in);
	uint64_t blocks = mem_nr_blocks(mem);
	uint64_t idx[FRAME_BLOCK];
	uint64_t n, mask;
	unsigned int got;

	if (nr > probation_room(mem, PROBATION_VOLATILE))
		nr = probation_room(mem, PROBATION_VOLATILE);
	for (n = 0; n < blocks && nr && !limit_is_urgent(mem); n++) {
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
