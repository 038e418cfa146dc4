// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state table as a whole: what it costs, and that a pass of reclaim over it
 * sees every frame of RAM and nothing else, on both sides of the hole.
 */
#include <sys/mman.h>

#include "hyp/mem/ages.h"
#include "hyp/mem/state.h"
#include "hyp/mem/tests/vm.h"

#define GIB (1ull << 30)

static struct mem *create(uint64_t size_bytes)
{
	const struct mem_config cfg = { .size_bytes = size_bytes,
					.hinting = true };
	const char *why = "?";
	struct mem *mem;
	int err = mem_create(&mem, &cfg, &why);

	if (err)
		fail_msg("mem_create: %s (%s)", why, strerror(-err));
	return mem;
}

/* Bytes of the table that have memory. */
static uint64_t table_cost(struct mem *mem)
{
	uint64_t nr_frames, pages = 0;
	unsigned char *in_core;
	uint8_t *table;
	size_t len, i;

	table = mem_table(mem, &len, &nr_frames);
	assert_true(nr_frames <= len);
	in_core = malloc(len / MEM_PAGE_SIZE);
	assert_non_null(in_core);
	assert_int_equal(mincore(table, len, in_core), 0);
	for (i = 0; i < len / MEM_PAGE_SIZE; i++)
		pages += in_core[i] & 1;
	free(in_core);
	return pages * MEM_PAGE_SIZE;
}

static void table_costs_at_most_three_in_ten_thousand(void **s)
{
	/* With the hole, beside it, and odd ones that waste most of a page. */
	static const uint64_t sizes[] = {
		16 * MIB, 64 * MIB, 256 * MIB,		256 * MIB + 4 * KIB,
		2 * GIB,  3 * GIB,  3 * GIB + 4 * KIB,	4 * GIB,
		5 * GIB,  16 * GIB, 64 * GIB - 4 * KIB, 64 * GIB,
	};
	unsigned int i;

	(void)s;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct mem *mem = create(sizes[i]);
		uint64_t cost = table_cost(mem);

		printf("# %llu KiB of RAM: table %llu KiB, %.4f %%\n",
		       (unsigned long long)(sizes[i] / KIB),
		       (unsigned long long)(cost / KIB),
		       100.0 * (double)cost / (double)sizes[i]);
		assert_true(cost >= sizes[i] / MEM_PAGE_SIZE);
		assert_true(cost * 10000 <= sizes[i] * 3);
		mem_destroy(mem);
	}
}

static uint64_t nr_blocks(const struct mem *mem)
{
	return (mem->nr_frames + FRAME_BLOCK - 1) / FRAME_BLOCK;
}

/* What the pass should have left, frame by frame. */
static void check_ages(struct mem *mem, const uint8_t *before,
		       uint8_t generation)
{
	const struct reclaim *r = &mem->reclaim;
	uint64_t by_age[RECLAIM_AGES] = { 0 };
	uint64_t i, b;

	for (i = 0; i < mem->nr_frames; i++) {
		bool is_volatile = mem->table[mem_gfn(mem, i)] == ESSA_VOLATILE;
		uint8_t age = 0;

		if (is_volatile)
			age = before[i] ? before[i] : generation;
		by_age[age]++;
		if (r->age[i] != age)
			fail_msg("frame %llu has age %u, not %u",
				 (unsigned long long)i, r->age[i], age);
	}
	for (i = mem->nr_frames; i < nr_blocks(mem) * FRAME_BLOCK; i++)
		assert_int_equal(r->age[i], 0);
	for (i = 1; i < RECLAIM_AGES; i++)
		assert_int_equal(r->by_age[i], by_age[i]);
	for (b = 0; b < nr_blocks(mem); b++) {
		bool any = false;

		for (i = 0; i < FRAME_BLOCK; i++)
			any |= r->age[b * FRAME_BLOCK + i] != 0;
		assert_int_equal(r->aged[b / 64] >> b % 64 & 1, any);
	}
}

/* No generation left: those there are make room. */
static void check_merge(struct mem *mem, uint8_t *before)
{
	struct reclaim *r = &mem->reclaim;
	uint64_t i;

	memcpy(before, r->age, mem->nr_frames);
	r->generation = RECLAIM_AGES - 1;
	ages_next(mem);
	assert_int_equal(r->generation, RECLAIM_AGES / 2 + 1);
	for (i = 0; i < mem->nr_frames; i++)
		assert_int_equal(r->age[i], (before[i] + 1) / 2);
}

/*
 * Frames become volatile and stop to be, in runs of all lengths; what lies in
 * the hole and behind the end says volatile all the time.
 */
static void a_pass_ages_all_frames_and_only_them(void **s)
{
	static const uint64_t sizes[] = { 3 * GIB + 4 * MIB + 20 * KIB,
					  9 * MIB + 12 * KIB };
	uint64_t seed = test_seed();
	struct essa_scanner all[ESSA_MAX_SCANNERS];
	unsigned int nr = essa_scanners(all);
	unsigned int i, round;

	(void)s;
	for (i = 0; i < 2; i++) {
		struct mem *mem = create(sizes[i]);
		struct reclaim *r = &mem->reclaim;
		uint8_t *before = malloc(mem->nr_frames);
		uint64_t idx, n, len;

		assert_non_null(before);
		memset(mem->table, ESSA_VOLATILE, mem->table_bytes);
		for (idx = 0; idx < mem->nr_frames; idx++)
			mem->table[mem_gfn(mem, idx)] = ESSA_STABLE;
		for (round = 0; round < 12; round++) {
			memcpy(before, r->age, mem->nr_frames);
			for (n = 0; n < 400; n++) {
				uint8_t state = rnd(&seed) % 2 ? ESSA_VOLATILE :
								 ESSA_STABLE;

				/* Near the end and the hole as well. */
				idx = rnd(&seed) % mem->nr_frames;
				if (n % 4 == 0)
					idx = mem->nr_frames - 1 - idx % 1200;
				len = 1 + rnd(&seed) % 200;
				for (; len && idx < mem->nr_frames; len--)
					mem->table[mem_gfn(mem, idx++)] = state;
			}
			r->scan = all[round % nr].scan;
			r->generation = (uint8_t)(round + 1);
			ages_scan(mem, 0);
			check_ages(mem, before, (uint8_t)(round + 1));
		}
		check_merge(mem, before);
		free(before);
		mem_destroy(mem);
	}
}

/* What the guest has scribbled goes, in all blocks and on both sides of the hole. */
static void hinting_begins_and_ends_with_all_frames_stable(void **s)
{
	static const uint64_t cmds[] = { ESSA_CMD_DISABLE, ESSA_CMD_ENABLE };
	const uint64_t size = 3 * GIB + 4 * MIB + 20 * KIB;
	struct vm vm;
	uint64_t i;
	unsigned int k;

	(void)s;
	vm_start(&vm, CFG(.size_bytes = size, .hinting = true, NO_SWAP));
	put(&vm, 70, 1);
	put(&vm, size / MEM_PAGE_SIZE - 1, 1);
	for (k = 0; k < 2; k++) {
		memset(vm.table, ESSA_VOLATILE | ESSA_PRESERVED,
		       vm.mem->table_bytes);
		assert_int_equal(mem_hypercall(vm.mem, cmds[k], ESSA_VERSION,
					       mem_features(vm.mem), false),
				 0);
		for (i = 0; i < vm.mem->nr_frames; i++)
			if (state(&vm, mem_gfn(vm.mem, i)) !=
			    (ESSA_STABLE |
			     state_content(vm.mem->frames[i].content)))
				fail_msg("frame %llu is in state 0x%x",
					 (unsigned long long)i,
					 state(&vm, mem_gfn(vm.mem, i)));
	}
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_costs_at_most_three_in_ten_thousand),
		cmocka_unit_test(a_pass_ages_all_frames_and_only_them),
		cmocka_unit_test(
			hinting_begins_and_ends_with_all_frames_stable),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
