// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histograms of waits.  Buckets are powers of two, each in SUBS parts, so that
 * a quantile is right to a quarter, and bounds that are powers of two exist for
 * whoever wants fewer.
 */
#include <time.h>

#include "hyp/mem/latency.h"
#include "hyp/mem/priv.h"

#define FIRST_BIT 10u /* bucket 0: up to 1,024 ns */
#define LAST_BIT  34u /* the last one: above 17 s */
#define SUB_BITS  2u
#define SUBS	  (1u << SUB_BITS)

_Static_assert(MEM_LATENCY_BUCKETS == (LAST_BIT - FIRST_BIT) * SUBS + 2,
	       "buckets");

const char *const mem_wait_names[MEM_NR_WAITS] = {
	[MEM_WAIT_ZERO] = "zero",	[MEM_WAIT_PAGE_IN] = "page_in",
	[MEM_WAIT_DISCARD] = "discard", [MEM_WAIT_WRITE] = "write",
	[MEM_WAIT_OTHER] = "other",
};

uint64_t mem_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Bounds belong to the bucket below them, as Prometheus wants it. */
unsigned int latency_bucket(uint64_t ns)
{
	unsigned int bit;

	if (ns <= 1u << FIRST_BIT)
		return 0;
	ns--;
	bit = 63 - (unsigned int)__builtin_clzll(ns);
	if (bit >= LAST_BIT)
		return MEM_LATENCY_BUCKETS - 1;
	return 1 + (bit - FIRST_BIT) * SUBS +
	       ((ns >> (bit - SUB_BITS)) & (SUBS - 1));
}

uint64_t mem_latency_bound(unsigned int bucket)
{
	unsigned int bit = FIRST_BIT + (bucket - 1) / SUBS;
	uint64_t part = (bucket - 1) % SUBS + 1;

	if (!bucket)
		return 1u << FIRST_BIT;
	if (bucket >= MEM_LATENCY_BUCKETS - 1)
		return UINT64_MAX;
	return (1ull << bit) + (part << (bit - SUB_BITS));
}

void latency_add(struct latency *l, uint64_t ns)
{
	mem_count(&l->sum_ns, ns);
	mem_count(&l->bucket[latency_bucket(ns)], 1);
}

void latency_read(const struct latency *l, struct mem_latency *out)
{
	unsigned int i;

	out->count = 0;
	for (i = 0; i < MEM_LATENCY_BUCKETS; i++) {
		out->bucket[i] = atomic_load_explicit(&l->bucket[i],
						      memory_order_relaxed);
		out->count += out->bucket[i];
	}
	out->sum_ns = atomic_load_explicit(&l->sum_ns, memory_order_relaxed);
}

uint64_t mem_latency_quantile(const struct mem_latency *l,
			      unsigned int permille)
{
	uint64_t rank = (l->count * permille + 999) / 1000;
	uint64_t seen = 0;
	unsigned int i;

	if (!l->count)
		return 0;
	for (i = 0; i < MEM_LATENCY_BUCKETS - 1; i++) {
		seen += l->bucket[i];
		if (seen && seen >= rank)
			break;
	}
	return mem_latency_bound(i);
}

void latency_note(struct mem *mem, enum mem_wait kind, uint64_t since_ns)
{
	latency_add(&mem->latency[kind], mem_clock_ns() - since_ns);
}

void mem_note_discard(struct mem *mem, uint64_t since_ns)
{
	latency_note(mem, MEM_WAIT_DISCARD, since_ns);
}

void mem_get_latency(struct mem *mem, enum mem_wait kind,
		     struct mem_latency *out)
{
	latency_read(&mem->latency[kind], out);
}
