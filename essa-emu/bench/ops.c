// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation at a time, beside as many plain stores and as many bare locked
 * exchanges at the same places.
 *
 * The place of each depends on what the one before returned, of both sides: a
 * processor that has several in flight would hide most of a cache miss, and a
 * guest does one and goes on with something else.  Stores return nothing, and
 * "in a row" lets the processor do what it can.
 */
#include <emmintrin.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <essa/step.h>

#include "essa-emu/bench/bench.h"
#include "essa-emu/emu/batch.h"

#define HOT_BYTES  4096u
#define NR_INDEX   4096u
#define HOT_REPS   8u
#define MIN_PASSES 20u

enum where {
	HOT,	   /* one page of the table */
	ROW,	   /* the same, independent of each other */
	COLD,	   /* lines that are in no cache */
	RANDOM,	   /* all over the table of a 64 GiB guest */
	CONTENDED, /* as hot, while a host thread scans that page */
	NR_WHERE,
};

static const char *const where_names[NR_WHERE] = {
	"hot", "hot, in a row", "cold", "random", "contended",
};

/* Operations, and the two they are compared with. */
enum {
	STORE = ESSA_NR_OPS,
	CMPXCHG,
	/* Out of line, with the operation as an argument: as patch 0002. */
	CALLED_STABLE,
	CALLED_UNUSED,
	CALLED_IF_KEPT,
	NR_VARIANTS,
};

/* @before: a byte that the operation changes, where there is one */
static const struct variant {
	const char *name;
	uint8_t before;
} variants[NR_VARIANTS] = {
	[STORE] = { "plain store", ESSA_STABLE },
	[CMPXCHG] = { "load, lock cmpxchg", ESSA_STABLE },
	[ESSA_OP_GET] = { "get state", ESSA_STABLE },
	[ESSA_OP_SET_STABLE] = { "set stable", ESSA_UNUSED },
	[ESSA_OP_SET_UNUSED] = { "set unused", ESSA_STABLE },
	[ESSA_OP_SET_VOLATILE] = { "set volatile", ESSA_STABLE },
	[ESSA_OP_SET_POTENTIAL] = { "set pot. volatile", ESSA_STABLE },
	[ESSA_OP_SET_STABLE_RESIDENT] = { "set stable resident", ESSA_UNUSED },
	[ESSA_OP_SET_STABLE_IF_KEPT] = { "set stable if kept", ESSA_VOLATILE },
	[ESSA_OP_SET_PENDING] = { "set pending", ESSA_STABLE },
	[ESSA_OP_COMMIT_VOLATILE] = { "commit volatile",
				      ESSA_STABLE | ESSA_PENDING },
	[ESSA_OP_COMMIT_POTENTIAL] = { "commit pot. volatile",
				       ESSA_STABLE | ESSA_PENDING },
	[CALLED_STABLE] = { "stable, called", ESSA_UNUSED },
	[CALLED_UNUSED] = { "unused, called", ESSA_STABLE },
	[CALLED_IF_KEPT] = { "if kept, called", ESSA_VOLATILE },
};

static unsigned int line[NR_WHERE][NR_VARIANTS];
static uint32_t hot_index[NR_INDEX];
static uint32_t far_index[NR_INDEX];

static struct scanner {
	pthread_t thread;
	const uint8_t *page;
	bool started;
	uint32_t on, stop;
	uint64_t passes;
} scanner;

/* Always 0, but the processor cannot know: no state byte has bit 7 set. */
static inline uint32_t chain(int old, bool depend)
{
	return depend ? (uint32_t)old & 0x80 : 0;
}

/* Kernels are built without jump tables, because of Spectre. */
static __attribute__((noinline, optimize("no-jump-tables"))) int
call(uint8_t *state, unsigned int op)
{
	return batch_op_one(state, op);
}

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t run_called(uint8_t *table, const uint32_t *index,
			   unsigned int op, bool depend)
{
	uint64_t start = now_ns();
	uint32_t last = 0;
	unsigned int i;

	for (i = 0; i < NR_INDEX; i++)
		last = chain(call(&table[index[i] + last], op), depend);
	bench_keep(last);
	return now_ns() - start;
}

INLINE uint64_t run_inline(uint8_t *table, const uint32_t *index,
			   unsigned int op, bool depend)
{
	uint64_t start = now_ns();
	uint32_t last = 0;
	unsigned int i;

	for (i = 0; i < NR_INDEX; i++)
		last = chain(batch_op_one(&table[index[i] + last], op), depend);
	bench_keep(last);
	return now_ns() - start;
}

static uint64_t run_stores(uint8_t *table, const uint32_t *index)
{
	uint64_t start = now_ns();
	unsigned int i;

	for (i = 0; i < NR_INDEX; i++)
		__atomic_store_n(&table[index[i]], ESSA_UNUSED,
				 __ATOMIC_RELAXED);
	return now_ns() - start;
}

INLINE uint64_t run_cmpxchg(uint8_t *table, const uint32_t *index, bool depend)
{
	uint64_t start = now_ns();
	uint32_t last = 0;
	unsigned int i;

	for (i = 0; i < NR_INDEX; i++) {
		uint8_t *p = &table[index[i] + last];
		uint8_t old = __atomic_load_n(p, __ATOMIC_RELAXED);

		__atomic_compare_exchange_n(p, &old, ESSA_UNUSED, 0,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		last = chain(old, depend);
	}
	bench_keep(last);
	return now_ns() - start;
}

/* A constant operation for each: what an inline function would see. */
INLINE uint64_t run(uint8_t *table, const uint32_t *index, unsigned int variant,
		    bool depend)
{
	switch (variant) {
	case STORE:
		return run_stores(table, index);
	case CMPXCHG:
		return run_cmpxchg(table, index, depend);
	case CALLED_STABLE:
		return run_called(table, index, ESSA_OP_SET_STABLE, depend);
	case CALLED_UNUSED:
		return run_called(table, index, ESSA_OP_SET_UNUSED, depend);
	case CALLED_IF_KEPT:
		return run_called(table, index, ESSA_OP_SET_STABLE_IF_KEPT,
				  depend);
	case ESSA_OP_GET:
		return run_inline(table, index, ESSA_OP_GET, depend);
	case ESSA_OP_SET_STABLE:
		return run_inline(table, index, ESSA_OP_SET_STABLE, depend);
	case ESSA_OP_SET_UNUSED:
		return run_inline(table, index, ESSA_OP_SET_UNUSED, depend);
	case ESSA_OP_SET_VOLATILE:
		return run_inline(table, index, ESSA_OP_SET_VOLATILE, depend);
	case ESSA_OP_SET_POTENTIAL:
		return run_inline(table, index, ESSA_OP_SET_POTENTIAL, depend);
	case ESSA_OP_SET_STABLE_RESIDENT:
		return run_inline(table, index, ESSA_OP_SET_STABLE_RESIDENT,
				  depend);
	case ESSA_OP_SET_STABLE_IF_KEPT:
		return run_inline(table, index, ESSA_OP_SET_STABLE_IF_KEPT,
				  depend);
	case ESSA_OP_SET_PENDING:
		return run_inline(table, index, ESSA_OP_SET_PENDING, depend);
	case ESSA_OP_COMMIT_VOLATILE:
		return run_inline(table, index, ESSA_OP_COMMIT_VOLATILE,
				  depend);
	case ESSA_OP_COMMIT_POTENTIAL:
		return run_inline(table, index, ESSA_OP_COMMIT_POTENTIAL,
				  depend);
	default:
		abort();
	}
}

static __attribute__((noinline)) uint64_t
run_apart(uint8_t *table, const uint32_t *index, unsigned int variant)
{
	return run(table, index, variant, true);
}

static __attribute__((noinline)) uint64_t
run_row(uint8_t *table, const uint32_t *index, unsigned int variant)
{
	return run(table, index, variant, false);
}

static void *scanner_thread(void *arg)
{
	struct scanner *sc = arg;
	const uint64_t *word = (const uint64_t *)sc->page;
	uint64_t sum = 0;
	unsigned int i;

	while (!__atomic_load_n(&sc->stop, __ATOMIC_RELAXED)) {
		if (!__atomic_load_n(&sc->on, __ATOMIC_RELAXED)) {
			nanosleep(&(struct timespec){ .tv_nsec = 100000 },
				  NULL);
			continue;
		}
		for (i = 0; i < HOT_BYTES / 8; i++)
			sum += __atomic_load_n(&word[i], __ATOMIC_RELAXED);
		bench_keep(sum);
		__atomic_fetch_add(&sc->passes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static uint64_t passes(void)
{
	return __atomic_load_n(&scanner.passes, __ATOMIC_RELAXED);
}

static double measure(uint8_t *table, enum where where, unsigned int variant)
{
	bool hot = where != COLD && where != RANDOM;
	const uint32_t *index = hot ? hot_index : far_index;
	unsigned int reps = hot ? HOT_REPS : 1;
	uint64_t sum = 0;
	unsigned int i, r;

	for (r = 0; r < reps; r++) {
		memset(table, variants[variant].before,
		       hot ? HOT_BYTES : TABLE_BYTES);
		for (i = 0; where == COLD && i < NR_INDEX; i++)
			_mm_clflush(&table[index[i]]);
		_mm_mfence();
		sum += where == ROW ? run_row(table, index, variant) :
				      run_apart(table, index, variant);
	}
	return (double)sum / (NR_INDEX * reps);
}

/* Only what the scanner was there for all the time, on a processor of its own. */
static double measure_contended(uint8_t *table, unsigned int variant)
{
	unsigned int tries = 0;
	uint64_t before;
	double ns;

	__atomic_store_n(&scanner.on, 1, __ATOMIC_RELAXED);
	do {
		before = passes();
		while (passes() == before)
			sched_yield();
		before = passes();
		ns = measure(table, CONTENDED, variant);
	} while (passes() - before < MIN_PASSES && ++tries < 50);
	__atomic_store_n(&scanner.on, 0, __ATOMIC_RELAXED);
	return ns;
}

/* Threads that share a processor never meet. */
static void pin(pthread_t thread, unsigned int nth)
{
	cpu_set_t all, one;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && !nth--)
			break;
	if (cpu == CPU_SETSIZE)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

/* A permutation of 24 bits: places that no prefetcher guesses, none twice. */
static uint32_t mix(uint32_t x)
{
	x = x * 0x9e3779b1u & (TABLE_BYTES - 1);
	x ^= x >> 13;
	return x * 0x85ebca6bu & (TABLE_BYTES - 1);
}

void ops_add(struct bench *b)
{
	unsigned int w, v, base;

	for (v = 0; v < NR_INDEX; v++) {
		hot_index[v] = v % HOT_BYTES;
		far_index[v] = mix(v);
	}
	for (w = 0; w < NR_WHERE; w++) {
		base = bench_add(b, "operation", variants[CMPXCHG].name,
				 where_names[w], "ns", b->nr);
		line[w][CMPXCHG] = base;
		line[w][STORE] = bench_add(b, "operation", variants[STORE].name,
					   where_names[w], "ns", base);
		for (v = 0; v < NR_VARIANTS; v++)
			if (v != CMPXCHG && v != STORE)
				line[w][v] = bench_add(b, "operation",
						       variants[v].name,
						       where_names[w], "ns",
						       base);
	}
	scanner.page = b->table;
	scanner.started = !pthread_create(&scanner.thread, NULL, scanner_thread,
					  &scanner);
	if (!scanner.started)
		abort();
	pin(scanner.thread, 1);
	pin(pthread_self(), 0);
}

/* Another one begins in each round: none always follows the same one. */
void ops_round(struct bench *b, unsigned int round)
{
	unsigned int w, i, v;

	for (w = 0; w < NR_WHERE; w++)
		for (i = 0; i < NR_VARIANTS; i++) {
			v = (i + round) % NR_VARIANTS;
			UNDISTURBED(
				b->line[line[w][v]].v[round] =
					w == CONTENDED ?
						measure_contended(b->table, v) :
						measure(b->table, w, v));
		}
}

void ops_end(void)
{
	__atomic_store_n(&scanner.stop, 1, __ATOMIC_RELAXED);
	pthread_join(scanner.thread, NULL);
}
