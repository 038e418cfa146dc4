// SPDX-License-Identifier: GPL-2.0-only
/* Claims about what reclaim takes when volatile frames keep coming back. */
#include "hyp/mem/tests/vm.h"

#define FRAMES 2048u /* 8 MiB */
#define COLD   768u  /* stable, set up once */
#define HOT    512u  /* volatile, behind them, in use all the time */
#define LIMIT  1024u /* less than both, more than what is in use */

static void volatile_frames_first_while_they_stay_away(void **s)
{
	struct balance b = { 0 };

	(void)s;
	assert_int_equal(balance_stable(&b, 100, FRAMES), 0);
	/* Swapping is no reason for more of it, nor are a few refaults. */
	balance_note(&b, FRAMES / 1024, 500, FRAMES);
	assert_int_equal(balance_stable(&b, 100, FRAMES), 0);
}

static void dearer_kind_is_spared(void **s)
{
	struct balance b = { 0 };
	uint64_t half, less, more;

	(void)s;
	balance_note(&b, 200, 192, FRAMES);
	half = balance_stable(&b, 1000, FRAMES);
	assert_in_range(half, 450, 550);
	balance_note(&b, 200, 292, FRAMES);
	less = balance_stable(&b, 1000, FRAMES);
	assert_true(less < half);
	balance_note(&b, 400, 292, FRAMES);
	more = balance_stable(&b, 1000, FRAMES);
	assert_true(more > less);
	assert_true(more < 1000);
}

static void costs_fade(void **s)
{
	struct balance b = { 0 };
	uint64_t i;

	(void)s;
	balance_note(&b, 1ull << 40, 0, FRAMES);
	assert_true(b.cost_volatile <= FRAMES / 4);
	assert_true(balance_stable(&b, 1000, FRAMES) > 900);
	for (i = 1; i <= 20; i++)
		balance_note(&b, 1ull << 40, i * FRAMES / 8, FRAMES);
	assert_int_equal(balance_stable(&b, 1000, FRAMES), 0);
}

/* As a guest does with its page cache.  Return: was it gone? */
static bool use(struct vm *vm, uint64_t gfn)
{
	if (try_get(vm, gfn) == GUEST_OK)
		return false;
	guest_op(vm->mem, vm->table, gfn, ESSA_OP_SET_UNUSED);
	guest_op(vm->mem, vm->table, gfn, ESSA_OP_SET_STABLE);
	put(vm, gfn, gfn + 1);
	guest_op(vm->mem, vm->table, gfn, ESSA_OP_SET_VOLATILE);
	return true;
}

static void cold_stable_frames_make_room_for_hot_volatile_ones(void **s)
{
	unsigned int round, gone = HOT;
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm,
		 CFG(.hinting = true, .limit_bytes = LIMIT * MEM_PAGE_SIZE));
	for (i = 0; i < COLD; i++)
		put(&vm, i, i + 1);
	for (i = COLD; i < COLD + HOT; i++) {
		put(&vm, i, i + 1);
		guest_op(vm.mem, vm.table, i, ESSA_OP_SET_VOLATILE);
	}
	for (round = 0; gone > HOT / 16; round++) {
		if (round == 1000)
			fail_msg(
				"%u of %u frames in use are discarded again and again",
				gone, HOT);
		for (gone = 0, i = COLD; i < COLD + HOT; i++)
			gone += use(&vm, i);
	}
	assert_true(stats(&vm).swapped_out >= COLD + HOT - LIMIT - HOT / 16);
	for (i = 0; i < COLD; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(volatile_frames_first_while_they_stay_away),
		cmocka_unit_test(dearer_kind_is_spared),
		cmocka_unit_test(costs_fade),
		cmocka_unit_test(
			cold_stable_frames_make_room_for_hot_volatile_ones),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
