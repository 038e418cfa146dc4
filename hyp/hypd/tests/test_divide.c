// SPDX-License-Identifier: GPL-2.0-only
/* What policies and the ledger are made of: arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hyp/hypd/divide.h"
#include "hyp/hypd/ledger.h"
#include "hyp/hypd/strain.h"
#include "hyp/hypd/tests/dice.h"
#include "hyp/util.h"

#define MAX_VMS 24
#define SEEDS	2000u

static void random_parts(struct divide_part *parts, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		parts[i].low = dice(3) ? dice_bytes(0, GIB) : 0;
		parts[i].high = dice(8) ? dice_bytes(parts[i].low, 2 * GIB) :
					  parts[i].low;
		parts[i].weight = (unsigned int)(1 + dice(10000));
	}
}

static void filling_keeps_bounds_and_leaves_nothing(void **state)
{
	struct divide_part parts[MAX_VMS];
	uint64_t amount, sum, lows, highs;
	unsigned int s;
	size_t i, nr;

	(void)state;
	for (s = 1; s <= 5 * SEEDS; s++) {
		seed = s * 0x9e3779b97f4a7c15ull;
		nr = dice(MAX_VMS) + 1;
		random_parts(parts, nr);
		amount = dice_bytes(0, 30 * GIB);
		divide_fill(amount, parts, nr);
		for (i = 0, sum = lows = highs = 0; i < nr; i++) {
			assert_true(parts[i].got >= parts[i].low);
			assert_true(parts[i].got <= parts[i].high);
			sum += parts[i].got;
			lows += parts[i].low;
			highs += parts[i].high;
		}
		assert_true(sum <= (amount > lows ? amount : lows));
		if (amount >= lows)
			assert_true(sum + nr * POLICY_PAGE >=
				    (amount < highs ? amount : highs));
	}
}

static void more_weight_is_never_less_memory(void **state)
{
	struct divide_part parts[MAX_VMS];
	uint64_t amount, before;
	unsigned int s;
	size_t nr, i;

	(void)state;
	for (s = 1; s <= 5 * SEEDS; s++) {
		seed = s * 0x9e3779b97f4a7c15ull;
		nr = dice(MAX_VMS) + 1;
		random_parts(parts, nr);
		amount = dice_bytes(0, 30 * GIB);
		i = dice(nr);
		divide_fill(amount, parts, nr);
		before = parts[i].got;
		parts[i].weight += (unsigned int)dice(10000);
		divide_fill(amount, parts, nr);
		assert_true(parts[i].got + POLICY_PAGE >= before);
	}
}

static void pressure_rises_at_once_and_fades(void **state)
{
	struct policy_vm vm = { .mem = GIB, .limit = GIB, .running = true };
	struct strain s = { 0 };
	uint64_t now = 5000, end_ms;

	(void)state;
	strain_update(&s, &vm, now);
	vm.counters.fault_preserved = 40;
	strain_update(&s, &vm, now += 200);
	assert_false(s.strained);
	vm.counters.fault_preserved = 200;
	strain_update(&s, &vm, now += 200);
	assert_true(s.strained);
	end_ms = strain_ends_ms(&s);
	assert_in_range(end_ms, now + STRAIN_TAU_MS, now + 5 * STRAIN_TAU_MS);
	strain_update(&s, &vm, end_ms - 10);
	assert_true(s.strained);
	strain_update(&s, &vm, end_ms);
	assert_false(s.strained);
	assert_false(strain_is_idle(&s, end_ms));
	assert_true(strain_is_idle(&s, end_ms + STRAIN_IDLE_MS));
	/* Counters that begin anew are no faults. */
	vm.counters.fault_preserved = 3;
	strain_update(&s, &vm, end_ms + 1);
	assert_false(s.strained);
	/* Where waiting is measured it counts instead. */
	vm.counters.has_stall = true;
	strain_update(&s, &vm, end_ms + 2);
	vm.counters.fault_preserved += 100000;
	strain_update(&s, &vm, end_ms + 3);
	assert_false(s.strained);
	vm.counters.stall_us += 100000;
	strain_update(&s, &vm, end_ms + 4);
	assert_true(s.strained);
}

static void what_is_granted_never_exceeds_the_limit(void **state)
{
	struct ledger_vm vms[MAX_VMS];
	uint64_t limit, counted, after;
	unsigned int s;
	size_t i, nr;

	(void)state;
	for (s = 1; s <= 10 * SEEDS; s++) {
		seed = s * 0x9e3779b97f4a7c15ull;
		nr = dice(MAX_VMS + 1);
		limit = dice(10) ? dice_bytes(0, 8 * GIB) : 0;
		for (i = 0; i < nr; i++) {
			vms[i].limit = dice_bytes(0, GIB);
			vms[i].counted =
				dice(2) ? vms[i].limit :
					  dice_bytes(vms[i].limit, 2 * GIB);
			vms[i].want = dice_bytes(0, GIB);
			vms[i].guaranteed = dice_bytes(0, vms[i].want);
		}
		ledger_settle(limit, vms, nr);
		for (i = 0, counted = after = 0; i < nr; i++) {
			const struct ledger_vm *vm = &vms[i];

			counted += vm->counted;
			after += vm->grant > vm->counted ? vm->grant :
							   vm->counted;
			/* Down at once and all the way, up no further. */
			if (vm->want <= vm->limit)
				assert_int_equal(vm->grant, vm->want);
			else
				assert_in_range(vm->grant, vm->limit, vm->want);
		}
		assert_true(after <= (limit > counted ? limit : counted));
	}
}

static void
the_guaranteed_comes_first_and_the_rest_when_it_is_free(void **state)
{
	struct ledger_vm vms[3] = {
		/* being lowered, has not given anything yet */
		{ .counted = 100 * MIB, .limit = 50 * MIB, .want = 50 * MIB },
		{ .counted = 20 * MIB,
		  .limit = 20 * MIB,
		  .want = 90 * MIB,
		  .guaranteed = 20 * MIB },
		{ .counted = 20 * MIB,
		  .limit = 20 * MIB,
		  .want = 40 * MIB,
		  .guaranteed = 40 * MIB },
	};

	(void)state;
	ledger_settle(140 * MIB, vms, 3);
	assert_int_equal(vms[1].grant, 20 * MIB);
	assert_int_equal(vms[2].grant, 20 * MIB);
	vms[0].counted = 80 * MIB;
	ledger_settle(140 * MIB, vms, 3);
	assert_int_equal(vms[1].grant, 20 * MIB);
	assert_int_equal(vms[2].grant, 40 * MIB);
	vms[0].counted = 50 * MIB;
	vms[2].limit = vms[2].counted = 40 * MIB;
	ledger_settle(180 * MIB, vms, 3);
	assert_int_equal(vms[1].grant, 90 * MIB);
	/* Back to what it still has: that costs nobody anything. */
	vms[0].counted = 100 * MIB;
	vms[0].want = 100 * MIB;
	ledger_settle(0, vms, 3);
	assert_int_equal(vms[0].grant, 100 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filling_keeps_bounds_and_leaves_nothing),
		cmocka_unit_test(more_weight_is_never_less_memory),
		cmocka_unit_test(pressure_rises_at_once_and_fades),
		cmocka_unit_test(what_is_granted_never_exceeds_the_limit),
		cmocka_unit_test(
			the_guaranteed_comes_first_and_the_rest_when_it_is_free),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
