// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that keeps a twentieth of its memory for itself (the kernel) and
 * gives the rest to a process whose size changes: it grows by small blocks
 * that are written at once, shrinks from its end, and touches what it has.
 */
#include <errno.h>
#include <stdlib.h>

#include <essa/random.h>

#include "essa-emu/trace/synth.h"

#define BLOCK		 16u /* frames; allocations come in such pieces */
#define ROUND_MS	 100u
#define TOUCH_PART	 4u /* a Zipf round touches a quarter as often as frames */
#define CHURN_EVERY	 16u /* touches */
#define CHURN_BLOCKS	 4u
#define MAX_SIZE_PERCENT 90u
#define MIN_SIZE_PERCENT 10u

struct maker {
	struct trace_builder b;
	struct rng rng;
	uint64_t now_ms;
	uint32_t *block; /* the process's blocks first, then the free ones */
	uint32_t nr_blocks, used;
	uint32_t first_gfn;
};

static uint64_t draw(struct maker *m, uint64_t below)
{
	return (rng_next(&m->rng) >> 16) % below;
}

static void add(struct maker *m, unsigned int kind, uint64_t gfn, uint64_t nr)
{
	const struct trace_event ev = {
		.time_ms = m->now_ms,
		.gfn = gfn,
		.nr = nr,
		.kind = kind,
	};

	trace_add(&m->b, &ev);
}

static uint32_t gfn_of(const struct maker *m, uint32_t block)
{
	return m->first_gfn + m->block[block] * BLOCK;
}

static void grow_to(struct maker *m, uint32_t want)
{
	uint32_t i, t;

	while (m->used < want) {
		/* Mostly what was freed last, as allocators do. */
		i = m->used;
		if (!draw(m, 4))
			i += (uint32_t)draw(m, m->nr_blocks - m->used);
		t = m->block[m->used];
		m->block[m->used] = m->block[i];
		m->block[i] = t;
		add(m, ESSA_OP_SET_STABLE, gfn_of(m, m->used), BLOCK);
		add(m, TRACE_WRITE, gfn_of(m, m->used), BLOCK);
		m->used++;
	}
}

static void shrink_to(struct maker *m, uint32_t want)
{
	while (m->used > want)
		add(m, ESSA_OP_SET_UNUSED, gfn_of(m, --m->used), BLOCK);
}

static void sweep(struct maker *m)
{
	uint32_t i;

	for (i = 0; i < m->used; i++)
		add(m, TRACE_READ, gfn_of(m, i), BLOCK);
}

/* Rank r with a probability of about 1/r: every power of two is as likely. */
static void zipf(struct maker *m)
{
	uint32_t used = m->used;
	uint64_t frames = (uint64_t)m->used * BLOCK;
	unsigned int octaves = 64 - (unsigned int)__builtin_clzll(frames);
	uint64_t i, low, rank;

	for (i = 0; i < frames / TOUCH_PART; i++) {
		/* Something short-lived goes, and comes back a while later. */
		if (i % CHURN_EVERY == 0)
			shrink_to(m, used > 2 * CHURN_BLOCKS ?
					     used - CHURN_BLOCKS :
					     used);
		if (i % CHURN_EVERY == CHURN_EVERY / 2)
			grow_to(m, used);
		low = 1ull << draw(m, octaves);
		rank = low - 1 + draw(m, low);
		if (rank >= frames)
			rank -= low;
		if (rank / BLOCK >= m->used)
			continue;
		add(m, draw(m, 3) ? TRACE_READ : TRACE_WRITE,
		    gfn_of(m, (uint32_t)(rank / BLOCK)) + rank % BLOCK, 1);
	}
	grow_to(m, used);
}

int trace_synth(struct trace **out, const struct synth *s, const char **why)
{
	struct maker m = { .rng = { s->seed } };
	uint32_t i, percent, want;

	*why = "a synthetic trace needs a seed, 4 MiB of guest memory and some rounds";
	if (!s->seed || s->nr_frames < SYNTH_MIN_FRAMES ||
	    s->nr_frames > TRACE_MAX_FRAMES || !s->rounds ||
	    s->rounds > SYNTH_MAX_ROUNDS)
		return -EINVAL;
	m.first_gfn = (uint32_t)(s->nr_frames / 20);
	m.nr_blocks = (uint32_t)(s->nr_frames - m.first_gfn) / BLOCK;
	m.block = calloc(m.nr_blocks, sizeof(*m.block));
	*why = "out of memory";
	if (!m.block)
		return -ENOMEM;
	for (i = 0; i < m.nr_blocks; i++)
		m.block[i] = i;
	add(&m, TRACE_MARK, TRACE_PHASE_ENABLE, 1);
	add(&m, TRACE_WRITE, 0, m.first_gfn);
	add(&m, ESSA_OP_SET_UNUSED, m.first_gfn, s->nr_frames - m.first_gfn);
	add(&m, TRACE_MARK, TRACE_PHASE_WORK, 1);
	for (i = 0; i < s->rounds; i++) {
		percent = MIN_SIZE_PERCENT +
			  (uint32_t)draw(&m, MAX_SIZE_PERCENT -
						     MIN_SIZE_PERCENT + 1);
		want = m.nr_blocks * percent / 100;
		grow_to(&m, want ? want : 1);
		shrink_to(&m, want ? want : 1);
		if (i % 2)
			sweep(&m);
		else
			zipf(&m);
		m.now_ms += ROUND_MS;
	}
	add(&m, TRACE_MARK, TRACE_PHASE_DONE, 1);
	free(m.block);
	return trace_build(&m.b, s->nr_frames, out, why);
}
