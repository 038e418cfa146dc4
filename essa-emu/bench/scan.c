// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host looks for volatile frames that are neither pending, busy nor without
 * content, in the table of a 64 GiB guest.  A hit only nominates its frame, so
 * a vector that is not read as a whole does no harm: a compare-and-exchange of
 * that byte decides later.
 */
#include <immintrin.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <essa/abi.h>

#include "essa-emu/bench/bench.h"

#define LANES 0x0101010101010101ull
/* Usage, pending, zero content, busy: what decides about a nomination. */
#define MASK (ESSA_USAGE_MASK | ESSA_PENDING | ESSA_ZERO | ESSA_BUSY)

/* Calls for each hit; not inlined, to be the same work for all. */
static uint64_t nr_hits;
static uint64_t sum_hits;

static __attribute__((noinline)) void hit(uint64_t first, uint64_t mask)
{
	for (; mask; mask &= mask - 1) {
		sum_hits += first + (unsigned int)__builtin_ctzll(mask);
		nr_hits++;
	}
}

/* As hyp/mem does it: the lowest bit of each byte that counts. */
static void scan_scalar(const uint8_t *table)
{
	uint64_t i, word, lanes;

	for (i = 0; i < TABLE_BYTES; i += 8) {
		word = __atomic_load_n((const uint64_t *)&table[i],
				       __ATOMIC_RELAXED);
		lanes = ~(word >> 2) & ~(word >> 4) & ~(word >> 5) & LANES;
		lanes &= ~word & word >> 1;
		if (lanes)
			/* One bit a byte to one bit a frame. */
			hit(i, lanes * 0x0102040810204080ull >> 56);
	}
}

static void scan_sse2(const uint8_t *table)
{
	const __m128i mask = _mm_set1_epi8(MASK);
	const __m128i want = _mm_set1_epi8(ESSA_VOLATILE);
	unsigned int bits;
	uint64_t i;

	for (i = 0; i < TABLE_BYTES; i += 16) {
		__m128i v = _mm_load_si128((const __m128i *)&table[i]);

		v = _mm_cmpeq_epi8(_mm_and_si128(v, mask), want);
		bits = (unsigned int)_mm_movemask_epi8(v);
		if (bits)
			hit(i, bits);
	}
}

__attribute__((target("avx2"))) static void scan_avx2(const uint8_t *table)
{
	const __m256i mask = _mm256_set1_epi8(MASK);
	const __m256i want = _mm256_set1_epi8(ESSA_VOLATILE);
	uint64_t i, bits;

	for (i = 0; i < TABLE_BYTES; i += 64) {
		const __m256i *p = (const __m256i *)&table[i];
		__m256i a = _mm256_load_si256(p);
		__m256i b = _mm256_load_si256(p + 1);

		a = _mm256_cmpeq_epi8(_mm256_and_si256(a, mask), want);
		b = _mm256_cmpeq_epi8(_mm256_and_si256(b, mask), want);
		/* One test for a line of the cache, which mostly has no hit. */
		if (_mm256_testz_si256(_mm256_or_si256(a, b),
				       _mm256_or_si256(a, b)))
			continue;
		bits = (uint32_t)_mm256_movemask_epi8(a);
		bits |= (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
		hit(i, bits);
	}
}

static const struct kind {
	const char *name;
	void (*scan)(const uint8_t *table);
	bool avx2;
} kinds[] = {
	{ "8 bytes, as hyp/mem", scan_scalar, false },
	{ "16 bytes, SSE2", scan_sse2, false },
	{ "64 bytes, AVX2", scan_avx2, true },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct filling {
	const char *name;
	unsigned int one_in; /* volatile frames; 0: none */
} fillings[] = {
	{ "none volatile", 0 },
	{ "1 in 1024 volatile", 1024 },
	{ "1 in 16 volatile", 16 },
};

#define NR_FILLINGS (sizeof(fillings) / sizeof(fillings[0]))

static unsigned int line[NR_FILLINGS][NR_KINDS];

static bool usable(unsigned int k)
{
	return !kinds[k].avx2 || __builtin_cpu_supports("avx2");
}

static void fill(uint8_t *table, unsigned int one_in)
{
	uint64_t rnd = 1;
	uint64_t i;

	memset(table, ESSA_STABLE, TABLE_BYTES);
	for (i = 0; one_in && i < TABLE_BYTES / one_in; i++) {
		rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
		table[rnd >> 40] = ESSA_VOLATILE;
	}
}

void scan_add(struct bench *b)
{
	unsigned int i, k;

	for (i = 0; i < NR_FILLINGS; i++)
		for (k = 0; k < NR_KINDS; k++)
			if (usable(k))
				line[i][k] = bench_add(b, "scan", kinds[k].name,
						       fillings[i].name,
						       "ps/state",
						       k ? line[i][0] : b->nr);
}

static double measure(const uint8_t *table, unsigned int k)
{
	uint64_t start;

	nr_hits = 0;
	sum_hits = 0;
	start = now_ns();
	kinds[k].scan(table);
	return (double)(now_ns() - start) * 1000 / TABLE_BYTES;
}

void scan_round(struct bench *b, unsigned int round)
{
	unsigned int i, k, n;
	uint64_t hits = 0, sum = 0;

	for (i = 0; i < NR_FILLINGS; i++) {
		fill(b->table, fillings[i].one_in);
		for (n = 0; n < NR_KINDS; n++) {
			k = (n + round) % NR_KINDS;
			if (!usable(k))
				continue;
			UNDISTURBED(b->line[line[i][k]].v[round] =
					    measure(b->table, k));
			/* Whoever finds something else is no faster. */
			if (n && (nr_hits != hits || sum_hits != sum))
				abort();
			hits = nr_hits;
			sum = sum_hits;
		}
	}
}
