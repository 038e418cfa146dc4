// SPDX-License-Identifier: GPL-2.0-only
/* Histograms of waits: where a time is counted, and which accesses are. */
#include <sys/mman.h>

#include "hyp/mem/tests/vm.h"

static void times_are_counted_up_to_their_bound(void **s)
{
	unsigned int i;
	uint64_t bound;

	(void)s;
	assert_int_equal(mem_latency_bound(0), 1024);
	assert_int_equal(mem_latency_bound(1), 1280);
	assert_int_equal(mem_latency_bound(4), 2048);
	assert_int_equal(mem_latency_bound(MEM_LATENCY_BUCKETS - 2),
			 17179869184);
	assert_true(mem_latency_bound(MEM_LATENCY_BUCKETS - 1) == UINT64_MAX);
	assert_int_equal(latency_bucket(0), 0);
	for (i = 0; i < MEM_LATENCY_BUCKETS - 1; i++) {
		bound = mem_latency_bound(i);
		assert_int_equal(latency_bucket(bound), i);
		assert_int_equal(latency_bucket(bound + 1), i + 1);
		/* A quarter of what it is, or better. */
		if (i)
			assert_true(bound - mem_latency_bound(i - 1) <=
				    mem_latency_bound(i - 1) / 4);
	}
	assert_int_equal(latency_bucket(UINT64_MAX), MEM_LATENCY_BUCKETS - 1);
}

static void sums_and_quantiles_are_those_of_the_times(void **s)
{
	static struct latency l, few;
	struct mem_latency got;
	unsigned int i;

	(void)s;
	latency_read(&l, &got);
	assert_int_equal(mem_latency_quantile(&got, 500), 0);
	for (i = 0; i < 900; i++)
		latency_add(&l, 2000);
	for (i = 0; i < 90; i++)
		latency_add(&l, 60000);
	for (i = 0; i < 10; i++)
		latency_add(&l, 5000000);
	latency_read(&l, &got);
	assert_int_equal(got.count, 1000);
	assert_int_equal(got.sum_ns, 900 * 2000 + 90 * 60000 + 10 * 5000000ull);
	assert_int_equal(mem_latency_quantile(&got, 0), 2048);
	assert_int_equal(mem_latency_quantile(&got, 900), 2048);
	assert_int_equal(mem_latency_quantile(&got, 901), 65536);
	assert_int_equal(mem_latency_quantile(&got, 990), 65536);
	assert_int_equal(mem_latency_quantile(&got, 991), 5242880);
	assert_int_equal(mem_latency_quantile(&got, 1000), 5242880);
	/* Of three the second. */
	latency_add(&few, 2000);
	latency_add(&few, 60000);
	latency_add(&few, 60000);
	latency_read(&few, &got);
	assert_int_equal(mem_latency_quantile(&got, 500), 65536);
}

#define ADDERS 4
#define EACH   250000u

static void *add_times(void *arg)
{
	uint64_t i;

	for (i = 0; i < EACH; i++)
		latency_add(arg, i);
	return NULL;
}

static void none_is_lost_among_threads(void **s)
{
	static struct latency l;
	pthread_t thread[ADDERS];
	struct mem_latency got;
	uint64_t last = 0;
	unsigned int i;

	(void)s;
	for (i = 0; i < ADDERS; i++)
		pthread_create(&thread[i], NULL, add_times, &l);
	do {
		latency_read(&l, &got);
		assert_true(got.count >= last);
		last = got.count;
	} while (last < (uint64_t)ADDERS * EACH / 2);
	for (i = 0; i < ADDERS; i++)
		pthread_join(thread[i], NULL);
	latency_read(&l, &got);
	assert_int_equal(got.count, ADDERS * EACH);
	assert_int_equal(got.sum_ns,
			 ADDERS * ((uint64_t)EACH * (EACH - 1) / 2));
	/* 0 to 1,024 of each. */
	assert_int_equal(got.bucket[0], ADDERS * 1025);
	assert_int_equal(got.bucket[1], ADDERS * 256);
}

static uint64_t waits(struct vm *vm, enum mem_wait kind)
{
	struct mem_latency l;

	mem_get_latency(vm->mem, kind, &l);
	assert_true(!l.count == !l.sum_ns);
	return l.count;
}

static void each_access_that_waits_is_counted_by_kind(void **s)
{
	uint64_t seen[MEM_NR_WAITS], sum = 0;
	struct mem_latency l;
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .potential = true));
	put(&vm, 7, 1);
	put(&vm, 100, 1);
	assert_int_equal(waits(&vm, MEM_WAIT_ZERO), 2);
	/* There already: none of hyp's business. */
	put(&vm, 7, 2);
	put(&vm, 8, 2);
	assert_int_equal(waits(&vm, MEM_WAIT_ZERO), 2);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), 0);
	assert_int_equal(get(&vm, 7), 2);
	assert_int_equal(waits(&vm, MEM_WAIT_PAGE_IN), 1);
	guest_op(vm.mem, vm.table, 7, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 7), 0);
	assert_int_equal(try_get(&vm, 7), GUEST_DISCARDED);
	assert_int_equal(waits(&vm, MEM_WAIT_DISCARD), 1);
	/* The marker is stale: zeros, through a SIGBUS. */
	guest_op(vm.mem, vm.table, 7, ESSA_OP_SET_STABLE);
	assert_int_equal(get(&vm, 7), 0);
	assert_int_equal(waits(&vm, MEM_WAIT_ZERO), 3);
	/* What devices wait for is not the guest's. */
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 100), 0);
	assert_int_equal(mem_read(vm.mem, 100 * MEM_PAGE_SIZE, &sum, 8), 0);
	assert_int_equal(sum, 1);
	assert_int_equal(waits(&vm, MEM_WAIT_PAGE_IN), 1);
	if (mem_features(vm.mem) & ESSA_FEAT_POTENTIAL) {
		assert_int_equal(
			mem_hypercall(vm.mem, ESSA_CMD_ARM, 100, 1, false), 0);
		put(&vm, 100, 3);
		WAIT_UNTIL(waits(&vm, MEM_WAIT_WRITE) == 1);
	}
	for (i = 0, sum = 0; i < MEM_NR_WAITS; i++) {
		mem_get_latency(vm.mem, i, &l);
		seen[i] = l.count;
		sum += l.sum_ns;
	}
	assert_int_equal(seen[MEM_WAIT_ZERO], 3);
	assert_int_equal(seen[MEM_WAIT_DISCARD], 1);
	assert_int_equal(stats(&vm).stall_us, sum / 1000);
	vm_end(&vm);
}

static void *touch(void *arg)
{
	struct vm *vm = arg;
	uint64_t val;

	guest_access(vm->mem, word(vm, 7), &val, 0);
	return NULL;
}

static bool is_waited_for(struct vm *vm, uint64_t gfn)
{
	bool waited;

	frame_lock(vm->mem, gfn);
	waited = vm->mem->frames[gfn].waited;
	frame_unlock(vm->mem, gfn);
	return waited;
}

static void waiting_for_another_counts_from_its_own_begin(void **s)
{
	struct discard_batch b = { .nr = 0 };
	struct mem_latency l;
	pthread_t thread;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 7, 1);
	guest_op(vm.mem, vm.table, 7, ESSA_OP_SET_UNUSED);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 7), 0);
	put(&vm, 7, 1);
	guest_op(vm.mem, vm.table, 7, ESSA_OP_SET_UNUSED);
	frame_lock(vm.mem, 7);
	assert_int_equal(__discard_commit(vm.mem, &b, 7), 0);
	frame_unlock(vm.mem, 7);
	/* Its page is gone, and nobody has said that it is. */
	assert_int_equal(
		madvise((void *)word(&vm, 7), MEM_PAGE_SIZE, MADV_DONTNEED), 0);
	pthread_create(&thread, NULL, touch, &vm);
	WAIT_UNTIL(is_waited_for(&vm, 7));
	assert_int_equal(waits(&vm, MEM_WAIT_OTHER), 0);
	sleep_ms(30);
	discard_flush(vm.mem, &b);
	pthread_join(thread, NULL);
	settle(&vm, 7);
	/* Woken, it comes again, for zeros. */
	mem_get_latency(vm.mem, MEM_WAIT_OTHER, &l);
	assert_int_equal(l.count, 1);
	assert_true(l.sum_ns >= 29000000);
	assert_int_equal(waits(&vm, MEM_WAIT_ZERO), 3);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_counted_up_to_their_bound),
		cmocka_unit_test(sums_and_quantiles_are_those_of_the_times),
		cmocka_unit_test(none_is_lost_among_threads),
		cmocka_unit_test(each_access_that_waits_is_counted_by_kind),
		cmocka_unit_test(waiting_for_another_counts_from_its_own_begin),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
