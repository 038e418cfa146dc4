// SPDX-License-Identifier: GPL-2.0-only
/*
 * A limit that is cut by 256 MiB at once, until the last of them is free: elapsed
 * time, with the threads of hyp/mem at work.  The bare side gives the same frames
 * back with one madvise(), and keeps nothing.
 */
#include <string.h>
#include <sys/mman.h>

#include <essa/step.h>

#include "hyp/mem/access.h"
#include "hyp/mem/bench/bench.h"
#include "hyp/mem/state.h"
#include "hyp/mem/uffd.h"

#define FRAMES	65536u /* of the cut */
#define REST	32768u
#define CHUNK	512u
#define POLL_NS 50000

static const struct share {
	const char *name;
	unsigned int volatiles; /* the others of the cut are Stable */
} shares[] = {
	{ "all volatile", FRAMES },
	{ "half volatile", FRAMES / 2 },
};

#define NR_SHARES 2u

static unsigned int line[NR_SHARES][2];
static struct mem *mem;

static uint64_t *word(uint64_t idx)
{
	return (uint64_t *)mem_hva(mem, idx);
}

static void make_resident(void)
{
	uint64_t i;

	for (i = 0; i < FRAMES + REST; i++) {
		uint8_t old;

		state_guest_op(mem, i, ESSA_OP_SET_STABLE, &old);
		bench_must(access_resident(mem, i, i + 1, false,
					   &mem->count.device_fills),
			   "cannot fill a frame");
		/* Zeros would not be written. */
		*word(i) = i + 1;
	}
}

static double gib_per_s(uint64_t ns)
{
	return (double)FRAMES * MEM_PAGE_SIZE / (1u << 30) / ((double)ns / 1e9);
}

static double hyp(unsigned int volatiles)
{
	const struct timespec poll = { 0, POLL_NS };
	const uint64_t limit = REST;
	uint64_t start, end, i, gone, written;

	make_resident();
	gone = mem->count.discarded_volatile;
	written = mem->count.swapped_out;
	for (i = 0; i < volatiles; i++) {
		uint8_t old;

		/* All over the cut, in runs of 64. */
		state_guest_op(mem,
			       volatiles < FRAMES ? i / 64 * 128 + i % 64 : i,
			       ESSA_OP_SET_VOLATILE, &old);
	}
	start = now_ns();
	bench_must(mem_set_limit(mem, limit * MEM_PAGE_SIZE), "cannot cut");
	while (atomic_load(&mem->count.content[FRAME_RESIDENT]) > limit)
		nanosleep(&poll, NULL);
	end = now_ns();
	/* Whoever does not do the work is no faster. */
	if (mem->count.discarded_volatile - gone != volatiles ||
	    mem->count.swapped_out - written < FRAMES - volatiles)
		abort();
	bench_must(mem_set_limit(mem, 0), "cannot raise the limit");
	return gib_per_s(end - start);
}

static double bare(void)
{
	static uint64_t buf[CHUNK * MEM_PAGE_SIZE / sizeof(uint64_t)]
		__attribute__((aligned(MEM_PAGE_SIZE)));
	uint64_t start, end, i;

	make_resident();
	start = now_ns();
	if (madvise(word(0), (size_t)FRAMES * MEM_PAGE_SIZE, MADV_DONTNEED))
		abort();
	end = now_ns();
	/* Behind the back of hyp/mem. */
	for (i = 0; i < FRAMES; i += CHUNK)
		bench_must(uffd_copy(mem->uffd, word(i), buf, sizeof(buf)),
			   "cannot fill frames");
	return gib_per_s(end - start);
}

void cut_add(struct bench *b)
{
	unsigned int i;

	mem = bench_mem((uint64_t)(FRAMES + REST) * MEM_PAGE_SIZE, true, true);
	bench_must(mem_start(mem), "cannot start the threads");
	for (i = 0; i < NR_SHARES; i++) {
		line[i][0] = bench_add(b, "cut", "madvise, all at once",
				       shares[i].name, "GiB/s", b->nr);
		line[i][1] = bench_add(b, "cut", "limit - 256 MiB",
				       shares[i].name, "GiB/s", line[i][0]);
	}
}

void cut_round(struct bench *b, unsigned int round)
{
	unsigned int i;

	for (i = 0; i < NR_SHARES; i++) {
		b->line[line[i][0]].v[round] = bare();
		b->line[line[i][1]].v[round] = hyp(shares[i].volatiles);
	}
}

void cut_end(void)
{
	mem_stop(mem);
	mem_destroy(mem);
}
