// SPDX-License-Identifier: GPL-2.0-only
/* What the counters say is what the kernel says. */
#include "hyp/mem/tests/vm.h"

#define SIZE   (128 * MIB)
#define FRAMES (SIZE / MEM_PAGE_SIZE)
#define LIMIT  (FRAMES / 2)

/* The kernel may show both as one mapping. */
static bool is_in(uintptr_t low, uintptr_t high, const void *addr,
		  uint64_t bytes)
{
	const uintptr_t first = (uintptr_t)addr;

	return low < first + bytes && high > first;
}

/*
 * Resident frames, of /proc/self/smaps.  What is in probation, or on its
 * way out of RAM, is in the area.
 */
static uint64_t rss_of(struct vm *vm)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long low, high, kib;
	bool ours = false;
	uint64_t sum = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			ours = is_in(low, high, vm->ram, SIZE) ||
			       is_in(low, high, vm->mem->probation.area, SIZE);
		else if (ours && sscanf(line, "Rss: %lu kB", &kib) == 1)
			sum += kib / 4;
	}
	fclose(f);
	return sum;
}

struct load {
	struct vm *vm;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic uint64_t accesses;
};

static void *touch_all_over(void *arg)
{
	struct load *l = arg;
	uint64_t seed = test_seed();
	uint64_t val, i;

	/* None is zero from here on: what is goes without being paged out. */
	for (i = 0; i < FRAMES; i++) {
		val = i + 1;
		guest_access(l->vm->mem, word(l->vm, i), &val, true);
	}
	while (!atomic_load(&l->stop)) {
		val = rnd(&seed) | 1;
		guest_access(l->vm->mem, word(l->vm, rnd(&seed) % FRAMES), &val,
			     rnd(&seed) % 2);
		atomic_fetch_add(&l->accesses, 1);
	}
	return NULL;
}

static void check_sum(struct vm *vm)
{
	struct mem_stats st = stats(vm);
	uint64_t sum[3] = { 0, 0, 0 };
	struct mem_dist d;
	unsigned int u, c;

	assert_int_equal(st.resident + st.preserved + st.zero, FRAMES);
	mem_get_dist(vm->mem, &d);
	for (u = 0; u < 4; u++)
		for (c = 0; c < 3; c++)
			sum[c] += d.n[u][c];
	assert_int_equal(sum[ESSA_RESIDENT >> ESSA_CONTENT_SHIFT], st.resident);
	assert_int_equal(sum[ESSA_PRESERVED >> ESSA_CONTENT_SHIFT],
			 st.preserved);
	assert_int_equal(sum[ESSA_ZERO >> ESSA_CONTENT_SHIFT], st.zero);
}

static void settle_all(struct vm *vm)
{
	uint64_t i;

	for (i = 0; i < FRAMES; i++)
		settle(vm, i);
}

/*
 * Pages that have come, gone, or moved between RAM and the area of probation, where
 * smaps may see one twice, or not at all.
 */
static uint64_t nr_moved(struct vm *vm)
{
	struct mem_stats st = stats(vm);

	return st.swapped_in + st.swapped_out + st.parked +
	       st.rescued_volatile + st.rescued_stable;
}

static void resident_frames_are_what_the_kernel_counts(void **s)
{
	uint64_t before, moved, seen, slack, last = 0;
	struct load l;
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm,
		 CFG(.size_bytes = SIZE, .limit_bytes = LIMIT * MEM_PAGE_SIZE,
		     .swap_dir = swap_dir(), .swap_bytes = SIZE));
	l = (struct load){ .vm = &vm };
	pthread_create(&l.thread, NULL, touch_all_over, &l);
	WAIT_UNTIL(stats(&vm).swapped_out > 2 * PAGEOUT_BATCH);
	/* The more happens while the kernel counts, the less that says. */
	for (i = 0; i < 10; i += moved <= LIMIT / 10) {
		WAIT_UNTIL(atomic_load(&l.accesses) > last + 100);
		last = atomic_load(&l.accesses);
		moved = nr_moved(&vm);
		before = stats(&vm).resident;
		seen = rss_of(&vm);
		moved = nr_moved(&vm) - moved;
		slack = LIMIT / 100 + moved;
		assert_in_range(seen, before > slack ? before - slack : 0,
				before + slack);
	}
	atomic_store(&l.stop, true);
	pthread_join(l.thread, NULL);
	assert_int_equal(mem_set_limit(vm.mem, SIZE / 8), 0);
	WAIT_UNTIL(stats(&vm).resident <= FRAMES / 8);
	/* No round of reclaim is under way. */
	WAIT_UNTIL(!limit_excess(vm.mem));
	pthread_mutex_lock(&vm.mem->pageout.lock);
	settle_all(&vm);
	assert_int_equal(rss_of(&vm), stats(&vm).resident);
	check_sum(&vm);
	pthread_mutex_unlock(&vm.mem->pageout.lock);
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

static void each_frame_is_counted_once_whatever_becomes_of_it(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.size_bytes = SIZE, .hinting = true,
			  .swap_dir = swap_dir(), .swap_bytes = SIZE));
	check_sum(&vm);
	assert_int_equal(stats(&vm).zero, FRAMES);
	for (i = 0; i < 64; i++)
		put(&vm, i, i % 8);
	settle_all(&vm);
	check_sum(&vm);
	for (i = 0; i < 48; i++)
		assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, i), 0);
	check_sum(&vm);
	assert_int_equal(stats(&vm).preserved, 42);
	for (i = 30; i < 60; i++) {
		guest_op(vm.mem, vm.table, i, ESSA_OP_SET_UNUSED);
		test_cmd(&vm, ESSA_CMD_TEST_DISCARD, i);
	}
	check_sum(&vm);
	for (i = 0; i < 64; i++)
		get(&vm, i);
	settle_all(&vm);
	check_sum(&vm);
	assert_int_equal(stats(&vm).preserved, 0);
	assert_int_equal(rss_of(&vm), stats(&vm).resident);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_frame_is_counted_once_whatever_becomes_of_it),
		cmocka_unit_test(resident_frames_are_what_the_kernel_counts),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
