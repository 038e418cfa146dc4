// SPDX-License-Identifier: GPL-2.0-only
/* Common part of the benchmarks of hyp/mem. */
#include <stdio.h>
#include <string.h>

#include <essa/step.h>

#include "hyp/mem/access.h"
#include "hyp/mem/bench/bench.h"
#include "hyp/mem/state.h"

const unsigned int run_lengths[NR_LENGTHS] = { 1, 8, 64, 512 };
const char *const run_names[NR_LENGTHS] = { "runs of 1", "runs of 8",
					    "runs of 64", "runs of 512" };

void bench_must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void on_fatal(void *ctx, int err, const char *what)
{
	(void)ctx;
	bench_must(err, what);
}

void runs_make(struct runs *r, unsigned int len, uint64_t nr_frames)
{
	uint64_t rnd = len;
	unsigned int i, k;

	r->len = len;
	r->nr = (unsigned int)(nr_frames / (2 * len));
	r->first = calloc(r->nr, sizeof(*r->first));
	bench_must(r->first ? 0 : -ENOMEM, "runs");
	for (i = 0; i < r->nr; i++)
		r->first[i] = 2 * len * i;
	for (i = r->nr - 1; i; i--) {
		uint32_t other = r->first[i];

		rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
		k = (unsigned int)((rnd >> 33) % (i + 1));
		r->first[i] = r->first[k];
		r->first[k] = other;
	}
}

struct mem *bench_mem(uint64_t size_bytes, bool swap, bool potential)
{
	const char *dir = getenv("TMPDIR");
	const struct mem_config cfg = {
		.size_bytes = size_bytes,
		.hinting = true,
		.potential = potential,
		.swap_dir = swap ? (dir ? dir : "/tmp") : NULL,
		.swap_bytes = size_bytes,
		.fatal = on_fatal,
	};
	const char *why = "?";
	struct mem *mem;

	bench_must(mem_create(&mem, &cfg, &why), why);
	bench_must(mem_hypercall(mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				 mem_features(mem), false),
		   "cannot enable hinting");
	return mem;
}

void bench_resident(struct mem *mem, const struct runs *r)
{
	unsigned int i;
	uint64_t idx;
	uint8_t old;

	for (i = 0; i < r->nr; i++)
		for (idx = r->first[i]; idx < r->first[i] + r->len; idx++) {
			state_guest_op(mem, idx, ESSA_OP_SET_STABLE, &old);
			bench_must(access_resident(mem, idx,
						   r->first[i] + r->len, false,
						   &mem->count.fault_zero, 0),
				   "cannot fill a frame");
		}
}

void bench_page_out(struct mem *mem, const uint64_t *idx, unsigned int nr)
{
	unsigned int i, n;

	for (; nr; idx += n, nr -= n) {
		n = nr < PAGEOUT_BATCH ? nr : PAGEOUT_BATCH;
		for (i = 0; i < n; i++) {
			/* Zeros would not be written. */
			*(volatile uint64_t *)mem_hva(mem, idx[i]) = idx[i] + 1;
			frame_lock(mem, idx[i]);
			bench_must(__frame_wait_idle(mem, idx[i]) < 0,
				   "stopped");
			bench_must(__pageout_claim(mem, idx[i]),
				   "cannot page out");
			frame_unlock(mem, idx[i]);
		}
		if (pageout_batch(mem, idx, n, false) != n)
			abort();
	}
}

int main(int argc, char **argv)
{
	static const struct bench_group groups[] = {
		{ release_add, release_round, NULL },
		{ arm_add, arm_round, NULL },
		{ pagein_add, pagein_round, NULL },
		{ mechanism_add, mechanism_round, NULL },
		{ fault_add, fault_round, NULL },
		{ ahead_add, ahead_round, NULL },
		{ reclaim_add, reclaim_round, NULL },
		{ cut_add, cut_round, cut_end },
	};
	static struct bench b;

	return bench_main(argc, argv, &b, groups,
			  sizeof(groups) / sizeof(groups[0]));
}
