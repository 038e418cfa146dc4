// SPDX-License-Identifier: GPL-2.0-only
/* Reclaim thread: rounds, and what follows when they do not help. */
#include <errno.h>
#include <time.h>

#include <essa/scan.h>

#include "hyp/mem/ages.h"
#include "hyp/mem/evict.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/sparse.h"
#include "hyp/mem/state.h"

/* Storm: the pause between two scans; enough for a guest to get on. */
#define STORM_PAUSE_MS 1u
/* After a round that freed nothing while charges wait for room. */
#define IDLE_PAUSE_MS 1u
/* In trouble: until the next attempt. */
#define RETRY_PAUSE_MS 1000u

/* All of the last block. */
static size_t age_bytes(const struct mem *mem)
{
	return mem_nr_blocks(mem) * FRAME_BLOCK;
}

static size_t aged_bytes(const struct mem *mem)
{
	return (mem_nr_blocks(mem) + 63) / 64 * sizeof(*mem->reclaim.aged);
}

int reclaim_init(struct mem *mem)
{
	struct reclaim *r = &mem->reclaim;

	r->age = sparse_alloc(age_bytes(mem));
	r->aged = sparse_alloc(aged_bytes(mem));
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

	sparse_free(r->age, age_bytes(mem));
	sparse_free(r->aged, aged_bytes(mem));
	r->age = NULL;
	r->aged = NULL;
}

/* Known unwritten: nothing is lost but what the guest can get again. */
static void discard_potential(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t begin = mem->track.hand;
	uint64_t block = begin;
	uint64_t end = mem_nr_blocks(mem);
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
	mem->track.hand = block < mem_nr_blocks(mem) ? block : 0;
	discard_flush(mem, &r->batch);
}

/* What the guest can do without, until @need frames have been freed. */
static void discard(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;

	if (r->batch.nr_freed < need)
		ages_discard(mem, need);
	if (r->batch.nr_freed < need && mem->track.offered)
		discard_potential(mem, need);
}

/* Free @need frames that the guest gave up, or what there is of them. */
static uint64_t discard_round(struct mem *mem, uint64_t need)
{
	struct reclaim *r = &mem->reclaim;

	r->batch.nr_freed = 0;
	if (atomic_load(&mem->features)) {
		ages_scan(mem, need);
		discard(mem, need);
		ages_next(mem);
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

/* What is to be in probation, unless something is urgent. */
static void fill_probation(struct mem *mem, bool stable)
{
	uint64_t target = evict_target(mem, PROBATION_VOLATILE);
	uint64_t in;

	in = atomic_load(&mem->probation.nr[PROBATION_VOLATILE]);
	if (atomic_load(&mem->features) && in < target)
		ages_park(mem, target - in);
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
	mem_count(&mem->count.reclaim_urgent, limit_is_urgent(mem));
	r->batch.nr_freed = 0;
	if (hinting) {
		ages_scan(mem, need);
		if (r->batch.nr_freed < need)
			stable = stable_part(mem, need - r->batch.nr_freed);
		if (!storm)
			out = evict_parked(mem, PROBATION_VOLATILE,
					   need - stable);
		discard(mem, need - stable);
		ages_next(mem);
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
	if (!storm)
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
		} else if (limit_is_stuck(mem)) {
			no_room(mem);
			if (!trouble)
				pause_ms = IDLE_PAUSE_MS;
		}
	}
}
