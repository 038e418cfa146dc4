// SPDX-License-Identifier: GPL-2.0-only
/* Claims about guest memory, one by one; races are in test_stress.c. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/tests/guest.h"

struct vm {
	struct mem *mem;
	uint8_t *table;
	uint8_t *ram;
	uint64_t nr_frames;
	_Atomic int fatal_calls;
	_Atomic int fatal_err;
	const char *_Atomic fatal_what;
};

static void on_fatal(void *ctx, int err, const char *what)
{
	struct vm *vm = ctx;

	atomic_store(&vm->fatal_err, err);
	atomic_store(&vm->fatal_what, what);
	atomic_fetch_add(&vm->fatal_calls, 1);
}

static void vm_start(struct vm *vm, struct mem_config cfg)
{
	const struct mem_region *r;
	const char *why = "?";
	size_t len;
	int err;

	/* Each time: cmocka installs handlers of its own around a test. */
	guest_init();
	memset(vm, 0, sizeof(*vm));
	cfg.fatal = on_fatal;
	cfg.fatal_ctx = vm;
	err = mem_create(&vm->mem, &cfg, &why);
	if (err)
		fail_msg("mem_create: %s (%s)", why, strerror(-err));
	assert_int_equal(mem_start(vm->mem), 0);
	vm->table = mem_table(vm->mem, &len, &vm->nr_frames);
	mem_regions(vm->mem, &r);
	vm->ram = r[0].hva;
	if (cfg.hinting)
		assert_int_equal(mem_hypercall(vm->mem, ESSA_CMD_ENABLE,
					       ESSA_VERSION,
					       ESSA_FEAT_UNUSED |
						       ESSA_FEAT_VOLATILE,
					       false), 0);
}

static void vm_end(struct vm *vm)
{
	mem_stop(vm->mem);
	mem_destroy(vm->mem);
}

static volatile uint64_t *word(struct vm *vm, uint64_t gfn)
{
	return (volatile uint64_t *)(vm->ram + gfn * MEM_PAGE_SIZE);
}

static void put(struct vm *vm, uint64_t gfn, uint64_t val)
{
	assert_int_equal(guest_access(vm->mem, word(vm, gfn), &val, 1),
			 GUEST_OK);
}

static uint64_t get(struct vm *vm, uint64_t gfn)
{
	uint64_t val;

	assert_int_equal(guest_access(vm->mem, word(vm, gfn), &val, 0),
			 GUEST_OK);
	return val;
}

static enum guest_access try_get(struct vm *vm, uint64_t gfn)
{
	uint64_t val;

	return guest_access(vm->mem, word(vm, gfn), &val, 0);
}

static uint8_t state(struct vm *vm, uint64_t gfn)
{
	return __atomic_load_n(&vm->table[gfn], __ATOMIC_SEQ_CST);
}

static int32_t test_cmd(struct vm *vm, uint64_t cmd, uint64_t gfn)
{
	return mem_hypercall(vm->mem, cmd, gfn, 1, true);
}

static struct mem_stats stats(struct vm *vm)
{
	struct mem_stats s;

	mem_get_stats(vm->mem, &s);
	return s;
}

#define CFG(...) ((struct mem_config){ .size_bytes = 8 * MIB, \
	.swap_dir = swap_dir(), .swap_bytes = 32 * MIB, __VA_ARGS__ })

static void untouched_ram_reads_zero_and_becomes_resident(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	assert_int_equal(state(&vm, 100), ESSA_STABLE | ESSA_ZERO);
	assert_int_equal(get(&vm, 100), 0);
	assert_int_equal(state(&vm, 100), ESSA_STABLE | ESSA_RESIDENT);
	assert_true(stats(&vm).resident >= 1);
	vm_end(&vm);
}

static void touched_discarded_page_is_a_discard_fault(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 5, 0x1234);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 5), 0);
	assert_int_equal(state(&vm, 5), ESSA_VOLATILE | ESSA_ZERO);
	assert_int_equal(try_get(&vm, 5), GUEST_DISCARDED);
	assert_int_equal(try_get(&vm, 5), GUEST_DISCARDED);
	/* Reused, it reads as zeros: neither a fault nor old data. */
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_UNUSED);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_STABLE);
	assert_int_equal(get(&vm, 5), 0);
	assert_int_equal(state(&vm, 5), ESSA_STABLE | ESSA_RESIDENT);
	put(&vm, 5, 77);
	assert_int_equal(get(&vm, 5), 77);
	vm_end(&vm);
}

static void discarded_unused_page_reads_zero(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 9, 0x5ec2e7);
	guest_op(vm.mem, vm.table, 9, ESSA_OP_SET_UNUSED);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 9), 0);
	assert_int_equal(state(&vm, 9), ESSA_UNUSED | ESSA_ZERO);
	assert_int_equal(get(&vm, 9), 0);
	assert_int_equal(state(&vm, 9), ESSA_UNUSED | ESSA_RESIDENT);
	vm_end(&vm);
}

static void stable_and_pending_pages_are_not_discarded(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 3, 3);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_PENDING);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_STABLE);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	assert_int_equal(get(&vm, 3), 3);
	vm_end(&vm);
}

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
	for (i = 0; i < 60000; i++) {
		uint64_t at = rnd(&seed) % (n * words);
		uint64_t val;

		if (rnd(&seed) % 3) {
			val = rnd(&seed) % 4 ? rnd(&seed) : 0;
			assert_int_equal(guest_access(vm.mem,
				(volatile uint64_t *)vm.ram + at, &val, 1),
				GUEST_OK);
			shadow[at] = val;
		} else {
			assert_int_equal(guest_access(vm.mem,
				(volatile uint64_t *)vm.ram + at, &val, 0),
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
		cmocka_unit_test(untouched_ram_reads_zero_and_becomes_resident),
		cmocka_unit_test(touched_discarded_page_is_a_discard_fault),
		cmocka_unit_test(discarded_unused_page_reads_zero),
		cmocka_unit_test(stable_and_pending_pages_are_not_discarded),
		cmocka_unit_test(paged_out_page_comes_back),
		cmocka_unit_test(zero_page_is_not_written_to_swap),
		cmocka_unit_test(preserved_volatile_page_can_be_discarded),
		cmocka_unit_test(swap_round_trip_under_a_small_limit),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
