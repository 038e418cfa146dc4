// SPDX-License-Identifier: GPL-2.0-only
/* Frames that were paged out: what comes back, and from where. */
#include "hyp/mem/tests/vm.h"

static void paged_out_page_comes_back(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 7, 0xabcdef);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), 0);
	assert_int_equal(state(&vm, 7), ESSA_STABLE | ESSA_PRESERVED);
	assert_int_equal(stats(&vm).preserved, 1);
	assert_int_equal(stats(&vm).swap_out_bytes, 4096);
	assert_int_equal(get(&vm, 7), 0xabcdef);
	assert_int_equal(state(&vm, 7), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(stats(&vm).preserved, 0);
	vm_end(&vm);
}

static void zero_page_is_not_written_to_swap(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 7, 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), 0);
	assert_int_equal(state(&vm, 7), ESSA_STABLE | ESSA_ZERO);
	assert_int_equal(stats(&vm).swap_out_bytes, 0);
	assert_int_equal(get(&vm, 7), 0);
	vm_end(&vm);
}

static void neighbours_in_swap_come_back_together(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	for (i = 14; i < 26; i++)
		put(&vm, i, i);
	for (i = 14; i < 26; i++)
		assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, i), 0);
	assert_int_equal(get(&vm, 20), 20);
	/* The aligned group of eight, one of it held back, and no more. */
	assert_int_equal(stats(&vm).fault_preserved, 1);
	assert_int_equal(stats(&vm).swapped_in, 7);
	assert_int_equal(stats(&vm).swap_in_bytes, 8 * MEM_PAGE_SIZE);
	assert_int_equal(state(&vm, 15), ESSA_STABLE | ESSA_PRESERVED);
	assert_int_equal(state(&vm, 24), ESSA_STABLE | ESSA_PRESERVED);
	for (i = 14; i < 26; i++)
		assert_int_equal(get(&vm, i), i);
	vm_end(&vm);
}

static void preserved_volatile_page_can_be_discarded(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 7, 1);
	put(&vm, 8, 1);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 8), 0);
	guest_op(vm.mem, vm.table, 7, ESSA_OP_SET_VOLATILE);
	guest_op(vm.mem, vm.table, 8, ESSA_OP_SET_UNUSED);
	assert_int_equal(state(&vm, 7), ESSA_VOLATILE | ESSA_PRESERVED);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 7), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 8), 0);
	assert_int_equal(try_get(&vm, 7), GUEST_DISCARDED);
	assert_int_equal(get(&vm, 8), 0);
	assert_int_equal(stats(&vm).preserved, 0);
	assert_int_equal(vm.mem->swap->nr_used, 0);
	vm_end(&vm);
}

static void swap_round_trip_under_a_small_limit(void **s)
{
	const uint64_t n = 2048, words = MEM_PAGE_SIZE / 8;
	uint64_t *shadow = calloc(n * words, 8);
	uint64_t seed = test_seed();
	struct mem_stats st;
	struct vm vm;
	uint64_t i, k;

	(void)s;
	assert_non_null(shadow);
	vm_start(&vm, CFG(.limit_bytes = 1 * MIB));
	for (i = 0; i < 30000; i++) {
		uint64_t at = rnd(&seed) % (n * words);
		uint64_t val;

		if (rnd(&seed) % 3) {
			val = rnd(&seed) % 4 ? rnd(&seed) : 0;
			assert_int_equal(
				guest_access(vm.mem,
					     (volatile uint64_t *)vm.ram + at,
					     &val, 1),
				GUEST_OK);
			shadow[at] = val;
		} else {
			assert_int_equal(
				guest_access(vm.mem,
					     (volatile uint64_t *)vm.ram + at,
					     &val, 0),
				GUEST_OK);
			assert_int_equal(val, shadow[at]);
		}
	}
	st = stats(&vm);
	assert_true(st.resident <= 256);
	assert_true(st.resident_peak <= 256);
	assert_true(st.swapped_out > 1000);
	for (i = 0; i < n; i++)
		for (k = 0; k < words; k++)
			if (((volatile uint64_t *)vm.ram)[i * words + k] !=
			    shadow[i * words + k])
				fail_msg("frame %lu word %lu differs",
					 (unsigned long)i, (unsigned long)k);
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
	free(shadow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paged_out_page_comes_back),
		cmocka_unit_test(zero_page_is_not_written_to_swap),
		cmocka_unit_test(neighbours_in_swap_come_back_together),
		cmocka_unit_test(preserved_volatile_page_can_be_discarded),
		cmocka_unit_test(swap_round_trip_under_a_small_limit),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
