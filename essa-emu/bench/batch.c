// SPDX-License-Identifier: GPL-2.0-only
/* Blocks of the buddy allocator: page by page, and by wide exchanges. */
#include <string.h>

#include <essa/step.h>

#include "essa-emu/bench/bench.h"
#include "essa-emu/emu/batch.h"

#define BYTES 4096u
#define REPS  16u

enum how {
	SINGLE,
	WORD,
	PAIR,
	BARE_WORD, /* the exchanges, and nothing else */
	BARE_PAIR,
	STORES,
};

static const struct kind {
	const char *name;
	enum how how;
	unsigned int width; /* states, at least */
} kinds[] = {
	{ "page by page", SINGLE, 1 },	     { "8 bytes at a time", WORD, 8 },
	{ "16 bytes at a time", PAIR, 16 },  { "8 bytes, bare", BARE_WORD, 8 },
	{ "16 bytes, bare", BARE_PAIR, 16 }, { "plain memset", STORES, 1 },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct block {
	const char *name;
	unsigned int order;
	unsigned int op;
	uint8_t before;
} blocks[] = {
	{ "free, order 9", 9, ESSA_OP_SET_UNUSED, ESSA_STABLE },
	{ "alloc, order 9", 9, ESSA_OP_SET_STABLE, ESSA_UNUSED },
	{ "alloc, order 3", 3, ESSA_OP_SET_STABLE, ESSA_UNUSED },
};

#define NR_BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

static unsigned int line[NR_BLOCKS][NR_KINDS];

/* As patch 0003 does it; without jump tables, as kernels are built. */
static __attribute__((noinline, optimize("no-jump-tables"))) int
operate(uint8_t *state, unsigned int op)
{
	return batch_op_one(state, op);
}

/* What the widest loop cannot be faster than.  The caller knows the states. */
static void exchange_words(uint64_t *word, unsigned int nr, uint64_t before,
			   uint64_t after)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		uint64_t old = before;

		__atomic_compare_exchange_n(&word[i], &old, after, 0,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
}

static void exchange_pairs(uint64_t *word, unsigned int nr, uint64_t before,
			   uint64_t after)
{
	const uint64_t next[2] = { after, after };
	unsigned int i;

	for (i = 0; i < nr; i += 2) {
		uint64_t old[2] = { before, before };

		batch_cmpxchg16(&word[i], old, next);
	}
}

static __attribute__((noinline)) void
operate_block(uint8_t *state, const struct block *bl, enum how how)
{
	uint8_t after = (uint8_t)essa_next(bl->before, bl->op);
	unsigned int nr = 1u << bl->order;
	unsigned int i;

	switch (how) {
	case SINGLE:
		for (i = 0; i < nr; i++)
			operate(&state[i], bl->op);
		break;
	case WORD:
		for (i = 0; i < nr; i += 8)
			batch_op_word(&state[i], bl->op);
		break;
	case PAIR:
		for (i = 0; i < nr; i += 16)
			batch_op_pair(&state[i], bl->op);
		break;
	case BARE_WORD:
		exchange_words((uint64_t *)state, nr / 8,
			       ESSA_LANES(bl->before), ESSA_LANES(after));
		break;
	case BARE_PAIR:
		exchange_pairs((uint64_t *)state, nr / 8,
			       ESSA_LANES(bl->before), ESSA_LANES(after));
		break;
	case STORES:
		memset(state, after, nr);
		break;
	}
}

/* Nanoseconds a page, over neighbouring blocks that are in the cache. */
static double measure(uint8_t *table, const struct block *bl, enum how how)
{
	unsigned int nr = 1u << bl->order;
	uint64_t sum = 0;
	uint64_t start;
	unsigned int i, r;

	for (r = 0; r < REPS; r++) {
		memset(table, bl->before, BYTES);
		start = now_ns();
		for (i = 0; i < BYTES; i += nr)
			operate_block(&table[i], bl, how);
		sum += now_ns() - start;
	}
	return (double)sum / (BYTES * REPS);
}

void batch_add(struct bench *b)
{
	unsigned int i, k;

	for (i = 0; i < NR_BLOCKS; i++)
		for (k = 0; k < NR_KINDS; k++) {
			if (kinds[k].width > 1u << blocks[i].order)
				continue;
			line[i][k] = bench_add(b, "batch", kinds[k].name,
					       blocks[i].name, "ns/page",
					       k ? line[i][0] : b->nr);
		}
}

void batch_round(struct bench *b, unsigned int round)
{
	unsigned int i, k, n;

	for (i = 0; i < NR_BLOCKS; i++)
		for (n = 0; n < NR_KINDS; n++) {
			k = (n + round) % NR_KINDS;
			if (kinds[k].width > 1u << blocks[i].order)
				continue;
			UNDISTURBED(b->line[line[i][k]].v[round] =
					    measure(b->table, &blocks[i],
						    kinds[k].how));
		}
}
