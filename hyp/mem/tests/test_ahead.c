// SPDX-License-Identifier: GPL-2.0-only
/* Readahead: what is read with a page, and that a copy is never an old one. */
#include "hyp/mem/tests/vm.h"

#define NR    8192u
#define BYTES ((uint64_t)NR * MEM_PAGE_SIZE)
#define START(...)                                                             \
	CFG(.size_bytes = BYTES, .hinting = true, .swap_dir = swap_dir(),      \
	    .swap_bytes = BYTES, __VA_ARGS__)

static _Atomic unsigned int reads;
static _Atomic unsigned int fail_at; /* the n-th read from now on; 0: none */

int __real_swap_read(struct swap *swap, uint32_t slot, void *dst, uint32_t nr);
int __wrap_swap_read(struct swap *swap, uint32_t slot, void *dst, uint32_t nr);
int __wrap_swap_read(struct swap *swap, uint32_t slot, void *dst, uint32_t nr)
{
	atomic_fetch_add(&reads, 1);
	if (atomic_load(&fail_at) && atomic_fetch_sub(&fail_at, 1) == 1)
		return -EIO;
	return __real_swap_read(swap, slot, dst, nr);
}

static void all_out(struct vm *vm, uint64_t first, uint64_t nr)
{
	uint64_t i;

	for (i = first; i < first + nr; i++)
		put(vm, i, i + 1);
	for (i = first; i < first + nr; i++)
		assert_int_equal(test_cmd(vm, ESSA_CMD_TEST_PAGE_OUT, i), 0);
}

static uint64_t pages_read(struct vm *vm)
{
	return stats(vm).swap_in_bytes / MEM_PAGE_SIZE;
}

/* The frame of [@first, @end) that the pager has a copy of. */
static uint64_t probe_of(struct vm *vm, uint64_t first, uint64_t end)
{
	uint64_t i, found = 0;
	unsigned int nr = 0;

	for (i = first; i < end; i++) {
		frame_lock(vm->mem, i);
		if (vm->mem->frames[i].ahead) {
			found = i;
			nr++;
		}
		frame_unlock(vm->mem, i);
	}
	assert_int_equal(nr, 1);
	return found;
}

static void stream(int step)
{
	const uint64_t n = 1024;
	struct mem_stats st;
	struct vm vm;
	uint64_t i, at;

	vm_start(&vm, START());
	all_out(&vm, 64, n);
	for (i = 0; i < n; i++) {
		at = step > 0 ? 64 + i : 64 + n - 1 - i;
		assert_int_equal(get(&vm, at), at + 1);
	}
	st = stats(&vm);
	/* A window is 64 pages soon: its begin and its probe are touched. */
	assert_true(st.fault_preserved < n / 16);
	assert_int_equal(pages_read(&vm), n);
	assert_int_equal(st.swapped_in, n);
	WAIT_UNTIL(!slots_used(&vm));
	assert_true(st.readahead > n - n / 16);
	assert_true(st.readahead_hits > n / 2);
	assert_true(st.readahead_hits <= st.readahead);
	vm_end(&vm);
}

static void stream_is_read_ahead_of_the_reader(void **s)
{
	(void)s;
	stream(1);
}

static void stream_may_descend(void **s)
{
	(void)s;
	stream(-1);
}

static void what_nobody_uses_is_soon_not_read(void **s)
{
	const unsigned int blocks = NR / FRAME_BLOCK;
	uint64_t before = 0;
	struct vm vm;
	uint64_t i, at;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, 0, NR);
	for (i = 0; i < blocks; i++) {
		if (i == blocks / 2)
			before = pages_read(&vm);
		/* Far from the last, and never beside another. */
		at = i * 37 % blocks * FRAME_BLOCK + 20;
		assert_int_equal(get(&vm, at), at + 1);
	}
	/* The page itself, and one in sixteen two. */
	at = pages_read(&vm) - before;
	assert_in_range(at, blocks / 2 + 1, blocks / 2 + blocks / 2 / 16 + 1);
	assert_int_equal(stats(&vm).readahead_hits, 0);
	/* And when it is of use again, it is noticed. */
	for (i = 0; i < NR; i++)
		assert_int_equal(get(&vm,
				     i * 7 % FRAME_BLOCK +
					     i / FRAME_BLOCK * FRAME_BLOCK),
				 i * 7 % FRAME_BLOCK +
					 i / FRAME_BLOCK * FRAME_BLOCK + 1);
	before = stats(&vm).fault_preserved;
	assert_true(stats(&vm).readahead_hits > NR / 8);
	assert_true(before < NR / 2);
	vm_end(&vm);
}

static void touched_probe_costs_no_read(void **s)
{
	uint64_t probe, read;
	struct vm vm;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, 64, 8);
	assert_int_equal(get(&vm, 67), 68);
	probe = probe_of(&vm, 64, 72);
	assert_int_not_equal(probe, 67);
	assert_int_equal(state(&vm, probe), ESSA_STABLE | ESSA_PRESERVED);
	assert_int_equal(stats(&vm).readahead, 7);
	assert_int_equal(stats(&vm).readahead_hits, 0);
	WAIT_UNTIL(slots_used(&vm) == 1);
	read = pages_read(&vm);
	assert_int_equal(get(&vm, probe), probe + 1);
	assert_int_equal(pages_read(&vm), read);
	assert_int_equal(stats(&vm).readahead_hits, 7);
	assert_int_equal(state(&vm, probe), ESSA_STABLE | ESSA_RESIDENT);
	WAIT_UNTIL(!slots_used(&vm));
	vm_end(&vm);
}

static void copy_is_not_used_when_the_frame_has_changed(void **s)
{
	const uint64_t val = 4711;
	uint64_t probe;
	struct vm vm;

	(void)s;
	vm_start(&vm, START());
	/* A device writes it; it goes out again, to the same slot. */
	all_out(&vm, 64, 8);
	get(&vm, 67);
	probe = probe_of(&vm, 64, 72);
	assert_int_equal(mem_write(vm.mem, probe * MEM_PAGE_SIZE, &val, 8), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, probe), 0);
	assert_int_equal(get(&vm, probe), val);
	/* The guest gives it up, and fills it anew. */
	all_out(&vm, 640, 8);
	get(&vm, 643);
	probe = probe_of(&vm, 640, 648);
	guest_op(vm.mem, vm.table, probe, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, probe), 0);
	assert_int_equal(try_get(&vm, probe), GUEST_DISCARDED);
	guest_op(vm.mem, vm.table, probe, ESSA_OP_SET_STABLE);
	assert_int_equal(get(&vm, probe), 0);
	put(&vm, probe, val);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, probe), 0);
	assert_int_equal(get(&vm, probe), val);
	WAIT_UNTIL(!slots_used(&vm));
	vm_end(&vm);
}

static void older_copy_is_forgotten(void **s)
{
	uint64_t n, i, probe, val;
	struct vm vm;

	(void)s;
	vm_start(&vm, START());
	for (n = 1; n <= 64; n++) {
		for (i = 64; i < 72; i++)
			put(&vm, i, n << 32 | i);
		for (i = 64; i < 72; i++)
			assert_int_equal(
				test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, i), 0);
		assert_int_equal(get(&vm, 64 + n % 8), n << 32 | (64 + n % 8));
		probe = probe_of(&vm, 64, 72);
		/* Now and then a device is faster, and the copy stays behind. */
		if (n % 4) {
			val = get(&vm, probe);
		} else {
			assert_int_equal(mem_read(vm.mem, probe * MEM_PAGE_SIZE,
						  &val, 8),
					 0);
		}
		assert_int_equal(val, n << 32 | probe);
	}
	vm_end(&vm);
}

static void one_window_is_read_around_what_is_there(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, 64, 8);
	assert_int_equal(mem_read(vm.mem, 67 * MEM_PAGE_SIZE, &i, 8), 0);
	assert_int_equal(mem_read(vm.mem, 70 * MEM_PAGE_SIZE, &i, 8), 0);
	assert_int_equal(get(&vm, 65), 66);
	WAIT_UNTIL(pages_read(&vm) == 8);
	assert_int_equal(stats(&vm).fault_preserved, 1);
	for (i = 64; i < 72; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_int_equal(pages_read(&vm), 8);
	vm_end(&vm);
}

static void hit_has_the_next_window_of_a_stream_read(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, 64, 64);
	get(&vm, 65);
	get(&vm, probe_of(&vm, 64, 72));
	assert_int_equal(pages_read(&vm), 8);
	get(&vm, 72);
	assert_int_equal(pages_read(&vm), 8 + 16);
	/* Nobody touches what comes now. */
	get(&vm, probe_of(&vm, 72, 88));
	WAIT_UNTIL(pages_read(&vm) == 8 + 16 + 32);
	assert_int_equal(stats(&vm).fault_preserved, 4);
	vm_end(&vm);
}

static void window_grows_downwards_as_well(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, 64, 64);
	get(&vm, 100);
	get(&vm, probe_of(&vm, 96, 104));
	get(&vm, 95);
	assert_int_equal(pages_read(&vm), 8 + 16);
	probe_of(&vm, 80, 96);
	vm_end(&vm);
}

static void window_is_no_more_than_a_part_of_the_limit(void **s)
{
	const uint64_t limit = 512;
	struct vm vm;
	uint64_t i;

	(void)s;
	/* Room enough, but for what? */
	vm_start(&vm, START(.limit_bytes = limit * MEM_PAGE_SIZE));
	all_out(&vm, 64, 256);
	for (i = 64; i < 320; i++)
		assert_int_equal(get(&vm, i), i + 1);
	/* Four with each touch that was noticed. */
	assert_true(stats(&vm).readahead <= 4 * stats(&vm).fault_preserved);
	assert_true(stats(&vm).readahead > 0);
	vm_end(&vm);
}

static void readahead_keeps_the_limit(void **s)
{
	const uint64_t limit = 512;
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, START(.limit_bytes = limit * MEM_PAGE_SIZE));
	for (i = 0; i < 2048; i++)
		put(&vm, i, i + 1);
	for (i = 0; i < 1024; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_true(stats(&vm).readahead > 0);
	assert_true(stats(&vm).resident_peak <= limit);
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

static void check_range(const uint64_t *p, uint64_t first, uint64_t nr)
{
	uint64_t i;

	for (i = 0; i < nr; i++)
		if (p[i * MEM_PAGE_SIZE / 8] != first + i + 1)
			fail_msg("frame %lu", (unsigned long)(first + i));
}

static void range_for_a_device_comes_in_few_reads(void **s)
{
	const uint64_t first = 61, nr = 512;
	unsigned int before;
	struct vm vm;
	void *p;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, first, nr);
	before = atomic_load(&reads);
	assert_int_equal(mem_get(vm.mem, first * MEM_PAGE_SIZE,
				 nr * MEM_PAGE_SIZE, &p),
			 0);
	assert_in_range(atomic_load(&reads) - before, 1, nr / 128);
	check_range(p, first, nr);
	assert_int_equal(stats(&vm).device_fills, nr);
	assert_int_equal(stats(&vm).swapped_in, nr);
	assert_int_equal(slots_used(&vm), 0);
	mem_put(vm.mem, first * MEM_PAGE_SIZE, nr * MEM_PAGE_SIZE);
	vm_end(&vm);
}

static void range_is_what_it_was_if_a_read_fails(void **s)
{
	const uint64_t first = 61, nr = 512;
	struct mem_stats st;
	uint64_t i, left = 0;
	struct vm vm;
	void *p;

	(void)s;
	vm_start(&vm, START());
	all_out(&vm, first, nr);
	i = atomic_load(&vm.mem->limit.charged);
	atomic_store(&fail_at, 2);
	/* Nobody can wait for better times: fatal. */
	assert_int_equal(mem_get(vm.mem, first * MEM_PAGE_SIZE,
				 nr * MEM_PAGE_SIZE, &p),
			 -EIO);
	assert_int_equal(atomic_load(&vm.fatal_calls), 1);
	st = stats(&vm);
	assert_int_equal(st.swapped_in, 128);
	assert_int_equal(st.preserved, nr - 128);
	assert_int_equal(atomic_load(&vm.mem->limit.charged), i + 128);
	for (i = first; i < first + nr; i++) {
		settle(&vm, i);
		left += vm.mem->frames[i].content == FRAME_PRESERVED;
		assert_int_equal(vm.mem->frames[i].pins, 0);
	}
	assert_int_equal(left, nr - 128);
	vm_end(&vm);
}

struct reader {
	struct vm *vm;
	pthread_t thread;
	uint64_t seed;
	_Atomic unsigned int *failures;
};

/* Ranges that overlap, as long as the others let them be. */
static void *read_ranges(void *arg)
{
	struct reader *r = arg;
	uint64_t first, nr, i;
	unsigned int n;
	void *p;

	for (n = 0; n < 200; n++) {
		first = rnd(&r->seed) % 1024;
		nr = rnd(&r->seed) % 300 + 1;
		if (mem_get(r->vm->mem, first * MEM_PAGE_SIZE,
			    nr * MEM_PAGE_SIZE, &p)) {
			atomic_fetch_add(r->failures, 1);
			continue;
		}
		for (i = 0; i < nr; i++)
			if (((uint64_t *)p)[i * MEM_PAGE_SIZE / 8] !=
			    first + i + 1)
				atomic_fetch_add(r->failures, 1);
		mem_put(r->vm->mem, first * MEM_PAGE_SIZE, nr * MEM_PAGE_SIZE);
	}
	return NULL;
}

static void overlapping_ranges_all_come(void **s)
{
	_Atomic unsigned int failures = 0;
	uint64_t seed = test_seed();
	struct reader r[3];
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, START(.limit_bytes = 1024 * MEM_PAGE_SIZE));
	for (i = 0; i < 1324; i++)
		put(&vm, i, i + 1);
	for (i = 0; i < 3; i++) {
		r[i] = (struct reader){ .vm = &vm,
					.seed = seed + i,
					.failures = &failures };
		pthread_create(&r[i].thread, NULL, read_ranges, &r[i]);
	}
	for (i = 0; i < 1324; i++)
		assert_int_equal(get(&vm, i), i + 1);
	for (i = 0; i < 3; i++)
		pthread_join(r[i].thread, NULL);
	assert_int_equal(atomic_load(&failures), 0);
	assert_true(stats(&vm).swapped_in > 300);
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_is_read_ahead_of_the_reader),
		cmocka_unit_test(stream_may_descend),
		cmocka_unit_test(what_nobody_uses_is_soon_not_read),
		cmocka_unit_test(touched_probe_costs_no_read),
		cmocka_unit_test(copy_is_not_used_when_the_frame_has_changed),
		cmocka_unit_test(older_copy_is_forgotten),
		cmocka_unit_test(one_window_is_read_around_what_is_there),
		cmocka_unit_test(hit_has_the_next_window_of_a_stream_read),
		cmocka_unit_test(window_grows_downwards_as_well),
		cmocka_unit_test(window_is_no_more_than_a_part_of_the_limit),
		cmocka_unit_test(readahead_keeps_the_limit),
		cmocka_unit_test(range_for_a_device_comes_in_few_reads),
		cmocka_unit_test(range_is_what_it_was_if_a_read_fails),
		cmocka_unit_test(overlapping_ranges_all_come),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
