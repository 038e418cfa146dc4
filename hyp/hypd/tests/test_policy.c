// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies and what they are made of, on plain figures: no socket, no clock.  A
 * small model of guests closes the loop: what is below a guest's working set makes
 * it read pages back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/hypd/divide.h"
#include "hyp/hypd/inflate.h"
#include "hyp/hypd/tests/dice.h"
#include "hyp/util.h"

#define MAX_VMS 24
#define SEEDS	2000u

static const struct policy *const policies[] = { &policy_share,
						 &policy_static };

struct world {
	struct policy_host host;
	struct policy_vm vms[MAX_VMS];
	size_t nr;
	const struct policy *policy;
	uint64_t next_ms;
	/* The model's: what a guest touches all the time. */
	uint64_t working[MAX_VMS];
};

static void begin(struct world *w, const struct policy *policy, uint64_t limit)
{
	*w = (struct world){ .policy = policy,
			     .host = { .now_ms = 1000000,
				       .limit_bytes = limit } };
}

static struct policy_vm *add(struct world *w, uint64_t mem,
			     uint64_t entitlement)
{
	struct policy_vm *vm = &w->vms[w->nr++];

	*vm = (struct policy_vm){
		.mem = mem,
		.limit = mem,
		.charged = mem / 2 / POLICY_PAGE * POLICY_PAGE,
		.floor = 16 * MIB,
		.ceiling = mem,
		.entitlement = entitlement,
		.weight = 100,
		.running = true,
		.memory = calloc(1, w->policy->memory_bytes + 1),
	};
	return vm;
}

static void end(struct world *w)
{
	while (w->nr)
		free(w->vms[--w->nr].memory);
}

static void decide(struct world *w)
{
	w->next_ms = w->policy->decide(&w->host, w->vms, w->nr);
}

/* All that goes is stable memory: it is written. */
static void shrink(struct world *w)
{
	size_t i;

	for (i = 0; i < w->nr; i++) {
		struct policy_vm *vm = &w->vms[i];

		if (vm->charged <= vm->limit)
			continue;
		vm->counters.swapped_out +=
			(vm->charged - vm->limit) / POLICY_PAGE;
		vm->charged = vm->limit;
	}
}

/* What the mechanism makes of it; the guests follow before the next look. */
static void obey(struct world *w)
{
	size_t i;

	for (i = 0; i < w->nr; i++) {
		struct policy_vm *vm = &w->vms[i];

		vm->limit = vm->budget;
		vm->balloon_target = vm->balloon_actual = vm->want_balloon;
	}
}

static void pass(struct world *w, uint64_t ms)
{
	shrink(w);
	w->host.now_ms += ms;
	decide(w);
	obey(w);
}

/* 200 ms in which every guest touches its working set, in no order. */
static void live(struct world *w)
{
	size_t i;

	for (i = 0; i < w->nr; i++) {
		struct policy_vm *vm = &w->vms[i];
		uint64_t want = w->working[i] < vm->mem ? w->working[i] :
							  vm->mem;

		if (want > vm->charged)
			vm->charged = want < vm->limit ? want : vm->limit;
		if (want > vm->limit) {
			vm->counters.fault_preserved += 200;
			vm->counters.swapped_out += 200;
		}
	}
	pass(w, 200);
}

static void live_for(struct world *w, unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < seconds * 5; i++)
		live(w);
}

static uint64_t sum_of(const struct world *w)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < w->nr; i++)
		sum += w->vms[i].budget;
	return sum;
}

static void assert_sound(const struct world *w)
{
	uint64_t floors = 0, most = w->host.limit_bytes;
	size_t i;

	for (i = 0; i < w->nr; i++) {
		const struct policy_vm *vm = &w->vms[i];

		assert_true(vm->budget >= vm->floor);
		assert_true(vm->budget <= vm->ceiling);
		assert_int_equal(vm->budget % POLICY_PAGE, 0);
		assert_true(vm->pressure >= 0 && vm->pressure < 1e9);
		assert_non_null(vm->reason);
		assert_true(vm->want_balloon <= vm->mem);
		if (vm->want_balloon > vm->balloon_target)
			assert_true(vm->mem - vm->want_balloon >= vm->budget);
		floors += vm->floor;
	}
	assert_true(sum_of(w) <= (floors > most ? floors : most));
	assert_true(w->next_ms > w->host.now_ms);
}

static void random_vm(struct world *w)
{
	uint64_t mem = dice_bytes(16 * MIB, dice(8) ? GIB : 512 * GIB);
	struct policy_vm *vm = add(w, mem, mem);

	vm->floor = dice(8) ? dice_bytes(16 * MIB, mem) / 4 / POLICY_PAGE *
				      POLICY_PAGE :
			      mem;
	vm->ceiling = dice(3) ? mem : dice_bytes(vm->floor, mem);
	vm->entitlement = dice_bytes(vm->floor, vm->ceiling);
	vm->limit = dice(4) ? dice_bytes(16 * MIB, mem) : mem;
	vm->charged = dice_bytes(0, mem);
	vm->weight = (unsigned int)(1 + dice(dice(2) ? 10000 : 300));
	vm->has_balloon = dice(2);
}

/* What guests do, and what hostile ones say. */
static void shake(struct world *w)
{
	size_t i;

	for (i = 0; i < w->nr; i++) {
		struct policy_vm *vm = &w->vms[i];
		struct policy_counters *c = &vm->counters;

		if (dice(2)) {
			c->fault_preserved += dice(300);
			c->swapped_out += dice(300);
		}
		if (!dice(20))
			c->fault_discard = dice(2) ? 0 : 1ull << 53;
		if (!dice(20))
			c->has_stall = !c->has_stall;
		c->stall_us += dice(1000000);
		if (!dice(3))
			vm->charged = dice_bytes(0, vm->mem);
		vm->running = dice(10);
		/* Not all do what they are told. */
		if (dice(4))
			vm->limit = vm->budget;
		if (dice(2))
			vm->balloon_target = vm->want_balloon;
		vm->balloon_actual = dice_bytes(0, vm->mem);
	}
	w->host.pressed = !dice(5);
	if (!dice(5))
		w->host.limit_bytes = dice_bytes(0, 16 * GIB);
	w->host.now_ms += dice(2) ? dice(1000) : dice(100000);
}

static void whatever_comes_budgets_are_sound(void **state)
{
	struct world w;
	unsigned int p, s, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(policies); p++)
		for (s = 1; s <= SEEDS; s++) {
			seed = s * 0x9e3779b97f4a7c15ull;
			begin(&w, policies[p], dice_bytes(0, 8 * GIB));
			for (i = (unsigned int)dice(MAX_VMS + 1); i; i--)
				random_vm(&w);
			for (i = 0; i < 20; i++) {
				decide(&w);
				assert_sound(&w);
				shake(&w);
			}
			end(&w);
		}
}

/* Also through all layers of the policy: all alike but for the weight. */
static void shares_follow_weights(void **state)
{
	struct world w;
	size_t i;

	(void)state;
	begin(&w, &policy_share, GIB);
	for (i = 0; i < 4; i++) {
		add(&w, GIB, 64 * MIB)->weight = (unsigned int)(100 * (i + 1));
		w.working[i] = GIB;
	}
	live_for(&w, 60);
	assert_true(sum_of(&w) > GIB - 64 * MIB);
	for (i = 0; i < 4; i++) {
		uint64_t due = GIB / 10 * (i + 1);

		/* To the step below which nothing is changed. */
		assert_in_range(w.vms[i].budget, due - due / 20,
				due + due / 20);
	}
	end(&w);
}

static void constant_demand_makes_constant_budgets(void **state)
{
	uint64_t last[MAX_VMS];
	int way[MAX_VMS], turns;
	struct world w;
	unsigned int p, s, i, t;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(policies); p++)
		for (s = 1; s <= 40; s++) {
			seed = s * 0x9e3779b97f4a7c15ull;
			begin(&w, policies[p], dice_bytes(256 * MIB, 4 * GIB));
			for (i = (unsigned int)dice(8) + 2; i; i--)
				random_vm(&w);
			for (i = 0; i < w.nr; i++) {
				w.working[i] = dice(2) ? dice_bytes(0, GIB) : 0;
				w.vms[i].charged = 0;
			}
			live_for(&w, 300);
			for (i = 0; i < w.nr; i++) {
				last[i] = w.vms[i].budget;
				way[i] = 0;
			}
			for (t = 0, turns = 0; t < 5 * 300; t++) {
				live(&w);
				for (i = 0; i < w.nr; i++) {
					int64_t by = (int64_t)(w.vms[i].budget -
							       last[i]);

					last[i] = w.vms[i].budget;
					if (!by)
						continue;
					turns += way[i] &&
						 (by > 0) != (way[i] > 0);
					way[i] = by > 0 ? 1 : -1;
				}
			}
			/* What was learned is forgotten and learned again once. */
			assert_true(turns <= 2 * (int)w.nr);
			end(&w);
		}
}

static void small_changes_are_not_made(void **state)
{
	uint64_t a, b;
	struct world w;
	unsigned int t;

	(void)state;
	begin(&w, &policy_share, 256 * MIB);
	add(&w, 256 * MIB, 64 * MIB);
	add(&w, 256 * MIB, 64 * MIB);
	w.working[0] = w.working[1] = 256 * MIB;
	live_for(&w, 60);
	a = w.vms[0].budget;
	b = w.vms[1].budget;
	for (t = 0; t < 100; t++) {
		w.host.limit_bytes = 256 * MIB + (t % 2 ? 0 : 512 * KIB);
		live(&w);
		assert_int_equal(w.vms[0].budget, a);
		assert_int_equal(w.vms[1].budget, b);
	}
	/* What is worth it is. */
	w.host.limit_bytes = 300 * MIB;
	live(&w);
	assert_int_equal(w.vms[0].budget, 150 * MIB);
	end(&w);
}

static void memory_moves_from_idle_to_busy_slowly(void **state)
{
	uint64_t before, start_ms;
	struct world w;

	(void)state;
	begin(&w, &policy_share, 512 * MIB);
	add(&w, 512 * MIB, 128 * MIB)->limit = 300 * MIB;
	add(&w, 512 * MIB, 128 * MIB)->limit = 212 * MIB;
	w.vms[0].charged = 300 * MIB;
	w.vms[1].charged = 64 * MIB;
	/* Nobody needs anything: nothing is taken, and nobody looks again. */
	pass(&w, 20000);
	pass(&w, 20000);
	assert_int_equal(w.vms[0].budget, 300 * MIB);
	assert_int_equal(w.next_ms, POLICY_NEVER);
	/* What is above its share goes at once, then it is idle and taxed. */
	w.working[1] = 500 * MIB;
	live_for(&w, 2);
	assert_in_range(w.vms[0].budget, 240 * MIB, 258 * MIB);
	start_ms = w.host.now_ms;
	while (w.vms[0].budget > 20 * MIB) {
		before = w.vms[0].budget;
		live(&w);
		/* 1/64 a second, and a step of what is worth telling. */
		assert_true(before - w.vms[0].budget <=
			    512 * MIB / 64 / 5 + divide_step(before));
		assert_true(w.host.now_ms - start_ms < 90000);
	}
	assert_true(w.vms[1].budget > 480 * MIB);
	assert_true(w.vms[0].idle);
	end(&w);
}

static void who_wakes_up_has_its_entitlement_at_once(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &policy_share, 512 * MIB);
	/* By weight it would get much less. */
	add(&w, 512 * MIB, 200 * MIB)->weight = 10;
	add(&w, 512 * MIB, 128 * MIB);
	w.working[1] = 512 * MIB;
	live_for(&w, 120);
	assert_true(w.vms[0].budget < 32 * MIB);
	w.working[0] = 400 * MIB;
	live(&w);
	assert_true(w.vms[0].budget >= 200 * MIB);
	assert_true(w.vms[0].guaranteed >= 200 * MIB);
	assert_false(w.vms[0].idle);
	end(&w);
}

static void the_tax_does_not_come_back_for_what_was_wanted(void **state)
{
	unsigned int t, faults = 0;
	struct world w;

	(void)state;
	begin(&w, &policy_share, 512 * MIB);
	add(&w, 512 * MIB, 64 * MIB)->charged = 200 * MIB;
	add(&w, 512 * MIB, 64 * MIB);
	/* It uses 100 MiB and never says so while it has them. */
	w.working[0] = 100 * MIB;
	w.working[1] = 512 * MIB;
	live_for(&w, 120);
	/* Of ten minutes it suffers a few seconds. */
	for (t = 0; t < 5 * 600; t++) {
		live(&w);
		faults += w.vms[0].limit < w.working[0];
	}
	assert_true(faults < 5 * 30);
	assert_true(w.vms[0].budget < 200 * MIB);
	end(&w);
}

static void where_the_host_suffers_spare_memory_is_given_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &policy_share, GIB);
	add(&w, 512 * MIB, 128 * MIB)->charged = 100 * MIB;
	pass(&w, 20000);
	pass(&w, 20000);
	assert_int_equal(w.vms[0].budget, 512 * MIB);
	w.host.pressed = true;
	pass(&w, 1000);
	assert_in_range(w.vms[0].budget, 64 * MIB, 110 * MIB);
	w.host.pressed = false;
	pass(&w, 1000);
	assert_int_equal(w.vms[0].budget, 512 * MIB);
	/* Of who is active, too, but not what it needs to go on. */
	w.vms[0].charged = 150 * MIB;
	w.host.pressed = true;
	pass(&w, 1000);
	assert_false(w.vms[0].idle);
	assert_in_range(w.vms[0].budget, 151 * MIB, 200 * MIB);
	end(&w);
}

static void static_gives_entitlements(void **state)
{
	struct world w;

	(void)state;
	begin(&w, &policy_static, 512 * MIB);
	add(&w, 512 * MIB, 128 * MIB);
	add(&w, 512 * MIB, 64 * MIB);
	w.working[1] = 512 * MIB;
	live_for(&w, 10);
	assert_int_equal(w.vms[0].budget, 128 * MIB);
	assert_int_equal(w.vms[1].budget, 64 * MIB);
	assert_int_equal(w.next_ms, POLICY_NEVER);
	w.host.limit_bytes = 96 * MIB;
	live(&w);
	assert_int_equal(w.vms[0].budget, 48 * MIB);
	assert_int_equal(w.vms[1].budget, 48 * MIB);
	end(&w);
}

static void policies_are_found_by_name(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		assert_ptr_equal(policy_find(policies[i]->name), policies[i]);
		assert_non_null(strstr(policy_names(), policies[i]->name));
	}
	assert_null(policy_find("none"));
}

static void balloons_are_slow_and_never_below_the_budget(void **state)
{
	uint64_t last = 0, changed_ms = 0, start_ms;
	struct policy_vm *vm;
	struct world w;
	unsigned int t;

	(void)state;
	begin(&w, &policy_share, 640 * MIB);
	vm = add(&w, 512 * MIB, 64 * MIB);
	vm->has_balloon = true;
	add(&w, 512 * MIB, 64 * MIB);
	w.working[1] = 512 * MIB;
	start_ms = w.host.now_ms;
	for (t = 0; t < 5 * 300; t++) {
		live(&w);
		assert_true(vm->mem - vm->want_balloon >= vm->budget);
		if (vm->want_balloon == last)
			continue;
		assert_true(vm->want_balloon > last);
		assert_true(w.host.now_ms - start_ms >= INFLATE_AFTER_MS);
		assert_true(w.host.now_ms - changed_ms >= INFLATE_EVERY_MS);
		last = vm->want_balloon;
		changed_ms = w.host.now_ms;
	}
	assert_true(last > 200 * MIB);
	/* Then there is nothing left to do, and no balloon calls for it. */
	w.working[1] = 0;
	live_for(&w, 120);
	/* Its pressure is answered by its balloon at once, before all of it is there. */
	w.working[0] = 512 * MIB;
	last = vm->want_balloon;
	live(&w);
	assert_true(vm->want_balloon < last);
	live_for(&w, 60);
	assert_true(vm->want_balloon < 128 * MIB);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_comes_budgets_are_sound),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(constant_demand_makes_constant_budgets),
		cmocka_unit_test(small_changes_are_not_made),
		cmocka_unit_test(memory_moves_from_idle_to_busy_slowly),
		cmocka_unit_test(who_wakes_up_has_its_entitlement_at_once),
		cmocka_unit_test(
			the_tax_does_not_come_back_for_what_was_wanted),
		cmocka_unit_test(
			where_the_host_suffers_spare_memory_is_given_back),
		cmocka_unit_test(static_gives_entitlements),
		cmocka_unit_test(policies_are_found_by_name),
		cmocka_unit_test(balloons_are_slow_and_never_below_the_budget),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
