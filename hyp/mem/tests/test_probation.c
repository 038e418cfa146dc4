// SPDX-License-Identifier: GPL-2.0-only
/* Probation: who brings a frame back, and what becomes of the others. */
#include <sys/mman.h>

#include "hyp/mem/evict.h"
#include "hyp/mem/tests/vm.h"

#define FRAMES 2048u /* 8 MiB */

/* Reclaim's thread has nothing to do without a limit: play it. */
static void park(struct vm *vm, enum probation_kind kind, uint64_t first,
		 uint64_t end)
{
	struct mem *mem = vm->mem;
	uint64_t i;

	pthread_mutex_lock(&mem->pageout.lock);
	for (i = first; i < end; i++) {
		frame_lock(mem, i);
		assert_int_equal(mem->frames[i].busy, FRAME_IDLE);
		mem->frames[i].busy = FRAME_PARK;
		frame_unlock(mem, i);
		probation_park(mem, kind, &i, 1);
	}
	pthread_mutex_unlock(&mem->pageout.lock);
}

static void fill(struct vm *vm, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		put(vm, first, first + 1);
}

static bool is_there(const uint8_t *page)
{
	unsigned char here;

	assert_int_equal(mincore((void *)page, MEM_PAGE_SIZE, &here), 0);
	return here & 1;
}

static bool in_area(struct vm *vm, uint64_t gfn)
{
	return is_there(probation_hva(vm->mem, gfn));
}

static bool in_ram(struct vm *vm, uint64_t gfn)
{
	return is_there(vm->ram + gfn * MEM_PAGE_SIZE);
}

static uint64_t rescued(struct vm *vm)
{
	struct mem_stats st = stats(vm);

	return st.rescued_volatile + st.rescued_stable;
}

static void a_touch_rescues_without_io(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	fill(&vm, 0, 16);
	park(&vm, PROBATION_STABLE, 3, 8);
	assert_int_equal(stats(&vm).probation, 5);
	assert_int_equal(stats(&vm).parked, 5);
	assert_true(in_area(&vm, 5) && !in_ram(&vm, 5));
	/* To the guest it is as before. */
	assert_int_equal(state(&vm, 5), ESSA_STABLE | ESSA_RESIDENT);
	assert_true(stats(&vm).resident >= 16);
	assert_int_equal(get(&vm, 5), 6);
	assert_true(!in_area(&vm, 5) && in_ram(&vm, 5));
	put(&vm, 6, 66);
	assert_int_equal(get(&vm, 6), 66);
	assert_int_equal(rescued(&vm), 2);
	assert_int_equal(stats(&vm).probation, 3);
	assert_int_equal(stats(&vm).swapped_out, 0);
	vm_end(&vm);
}

static void a_pin_rescues_and_keeps(void **s)
{
	struct vm vm;
	void *hva;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	fill(&vm, 0, 16);
	park(&vm, PROBATION_STABLE, 3, 8);
	assert_int_equal(mem_get(vm.mem, 4 * MEM_PAGE_SIZE, 8192, &hva), 0);
	assert_int_equal(*(uint64_t *)hva, 5);
	assert_true(in_ram(&vm, 4) && in_ram(&vm, 5));
	assert_int_equal(stats(&vm).probation, 3);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 4), -EBUSY);
	mem_put(vm.mem, 4 * MEM_PAGE_SIZE, 8192);
	vm_end(&vm);
}

/* The guest needs no leave to change the state of what is parked. */
static void a_discard_finds_the_page_where_it_is(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	fill(&vm, 0, 16);
	park(&vm, PROBATION_STABLE, 3, 8);
	guest_op(vm.mem, vm.table, 4, ESSA_OP_SET_VOLATILE);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_UNUSED);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 4), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 5), 0);
	assert_false(in_area(&vm, 4) || in_area(&vm, 5));
	assert_int_equal(stats(&vm).probation, 3);
	assert_int_equal(try_get(&vm, 4), GUEST_DISCARDED);
	assert_int_equal(stats(&vm).refault_discarded[0], 1);
	assert_int_equal(get(&vm, 5), 0);
	/* A slot was none of theirs. */
	assert_int_equal(slots_used(&vm), 0);
	/* Used again, and parked again, they are what was written last. */
	guest_op(vm.mem, vm.table, 4, ESSA_OP_SET_UNUSED);
	guest_op(vm.mem, vm.table, 4, ESSA_OP_SET_STABLE);
	put(&vm, 4, 44);
	park(&vm, PROBATION_STABLE, 4, 5);
	assert_int_equal(get(&vm, 4), 44);
	vm_end(&vm);
}

static void what_is_given_up_goes_from_probation_too(void **s)
{
	uint64_t before;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	fill(&vm, 0, 16);
	park(&vm, PROBATION_STABLE, 3, 8);
	before = stats(&vm).resident;
	assert_int_equal(mem_give_up(vm.mem, 2, 4), 0);
	assert_int_equal(stats(&vm).resident, before - 4);
	assert_int_equal(stats(&vm).probation, 2);
	assert_false(in_area(&vm, 3) || in_area(&vm, 4) || in_area(&vm, 5));
	assert_false(in_ram(&vm, 2));
	assert_int_equal(get(&vm, 4), 0);
	assert_int_equal(get(&vm, 6), 7);
	vm_end(&vm);
}

static void what_is_parked_cannot_be_armed(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .potential = true));
	if (!(mem_features(vm.mem) & ESSA_FEAT_POTENTIAL)) {
		vm_end(&vm);
		skip();
	}
	fill(&vm, 0, 16);
	park(&vm, PROBATION_STABLE, 3, 8);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ARM, 2, 4, false), 0);
	assert_int_equal(stats(&vm).armed, 1);
	/* So it is no clean one, and nothing that is written gets lost. */
	put(&vm, 4, 44);
	guest_op(vm.mem, vm.table, 4, ESSA_OP_SET_POTENTIAL);
	assert_true(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 4) < 0);
	assert_int_equal(get(&vm, 4), 44);
	vm_end(&vm);
}

static void what_lies_longest_goes_first(void **s)
{
	struct mem_stats st;
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	mem_stop(vm.mem); /* this thread is reclaim */
	atomic_store(&vm.mem->stopping, false);
	for (i = 0; i < 64; i++) {
		void *hva;

		assert_int_equal(mem_get(vm.mem, i * MEM_PAGE_SIZE, 8, &hva),
				 0);
		*(uint64_t *)hva = i + 1;
		mem_put(vm.mem, i * MEM_PAGE_SIZE, 8);
	}
	park(&vm, PROBATION_STABLE, 32, 48);
	park(&vm, PROBATION_STABLE, 0, 16);
	/* Wanted in time, and back again: at the end of the queue. */
	assert_int_equal(mem_read(vm.mem, 33 * MEM_PAGE_SIZE, &i, 8), 0);
	assert_int_equal(i, 34);
	park(&vm, PROBATION_STABLE, 33, 34);
	/* The guest has no use for these: gone without a write. */
	guest_op(vm.mem, vm.table, 34, ESSA_OP_SET_UNUSED);
	guest_op(vm.mem, vm.table, 35, ESSA_OP_SET_VOLATILE);
	vm.mem->reclaim.batch.nr_freed = 0;
	assert_int_equal(evict_parked(vm.mem, PROBATION_STABLE, 15), 13);
	assert_int_equal(vm.mem->reclaim.batch.nr_freed, 2);
	st = stats(&vm);
	assert_int_equal(st.swapped_out, 13);
	assert_int_equal(st.discarded_unused, 1);
	assert_int_equal(st.discarded_volatile, 1);
	assert_int_equal(st.probation, 17);
	for (i = 32; i < 48; i++)
		assert_int_equal(in_area(&vm, i), i == 33);
	assert_true(in_area(&vm, 0) && in_area(&vm, 15));
	/* What the guest took back from volatile is not written: it is wanted. */
	for (i = 48; i < 56; i++)
		guest_op(vm.mem, vm.table, i, ESSA_OP_SET_VOLATILE);
	park(&vm, PROBATION_VOLATILE, 48, 56);
	guest_op(vm.mem, vm.table, 50, ESSA_OP_SET_STABLE_IF_KEPT);
	vm.mem->reclaim.batch.nr_freed = 0;
	assert_int_equal(evict_parked(vm.mem, PROBATION_VOLATILE, 8), 0);
	assert_int_equal(vm.mem->reclaim.batch.nr_freed, 7);
	assert_int_equal(stats(&vm).rescued_volatile, 1);
	assert_true(in_ram(&vm, 50) && !in_area(&vm, 50));
	mem_destroy(vm.mem);
}

static void what_is_used_stays_when_memory_is_short(void **s)
{
	const uint64_t hot = 64, limit = 512;
	uint64_t i, round, before;
	struct mem_stats st;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.limit_bytes = limit * MEM_PAGE_SIZE));
	/*
	 * A long sweep with a few pages in use all along.  Each step waits for
	 * reclaim, so that speed has no say in it.
	 */
	for (i = hot; i < FRAMES; i += 8) {
		fill(&vm, i, i + 8);
		WAIT_UNTIL(!limit_excess(vm.mem));
		for (round = 0; round < hot; round++)
			put(&vm, round, round + i);
	}
	st = stats(&vm);
	before = st.swapped_in;
	printf("# swapped out %lu in %lu, parked %lu rescued %lu, rounds %lu urgent %lu waits %lu\n",
	       st.swapped_out, st.swapped_in, st.parked, st.rescued_stable,
	       st.reclaim_rounds, st.reclaim_urgent, st.limit_waits);
	assert_true(st.swapped_out > FRAMES / 2);
	assert_true(st.rescued_stable > 0);
	/* Pages in use are rescued, not read: but for when all of it begins. */
	assert_true(before < 2 * hot);
	assert_true(st.probation <= limit / 4);
	/* The sweep came from the zero side, in steps below the gap. */
	assert_int_equal(st.limit_waits, 0);
	assert_int_equal(st.reclaim_urgent, 0);
	assert_true(st.reclaim_rounds > 0);
	for (i = hot; i < FRAMES; i++)
		assert_int_equal(get(&vm, i), i + 1);
	st = stats(&vm);
	assert_true(st.refault_swapped[0] > 0);
	/* No more has ever gone. */
	assert_int_equal(st.refault_swapped[2] + st.refault_swapped[3], 0);
	vm_end(&vm);
}

static void without_pressure_nothing_is_parked(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.limit_bytes = 8 * MIB, .hinting = true));
	for (i = 0; i < FRAMES / 2; i++)
		put(&vm, i, i + 1);
	assert_int_equal(stats(&vm).reclaim_rounds, 0);
	assert_int_equal(stats(&vm).parked, 0);
	assert_int_equal(mem_set_limit(vm.mem, 2 * MIB), 0);
	WAIT_UNTIL(stats(&vm).resident <= 512);
	/* Raised again, what is parked stays and is found. */
	assert_int_equal(mem_set_limit(vm.mem, 0), 0);
	for (i = 0; i < FRAMES / 2; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_int_equal(stats(&vm).probation, 0);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_touch_rescues_without_io),
		cmocka_unit_test(a_pin_rescues_and_keeps),
		cmocka_unit_test(a_discard_finds_the_page_where_it_is),
		cmocka_unit_test(what_is_given_up_goes_from_probation_too),
		cmocka_unit_test(what_is_parked_cannot_be_armed),
		cmocka_unit_test(what_lies_longest_goes_first),
		cmocka_unit_test(what_is_used_stays_when_memory_is_short),
		cmocka_unit_test(without_pressure_nothing_is_parked),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
