// SPDX-License-Identifier: GPL-2.0-only
/* A large guest that has touched little: what it costs beside that, in memory. */
#include "hyp/mem/tests/vm.h"

#define GIB	(1ull << 30)
/* TSan's shadow of what is only read is four times as large. */
#ifdef __SANITIZE_THREAD__
#define SIZE (16 * GIB)
#else
#define SIZE (64 * GIB)
#endif
#define TOUCHED 100u
/* What does not depend on the size, sanitizers too; a page of each table a touch. */
#define OWN_MAX (8 * MIB)

/*
 * Sanitizers have their shadow below that, and all else is above: position-
 * independent programs, their heap, what is mapped.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOW_END 0x500000000000ull
#else
#define SHADOW_END 1ull
#endif

/* Bytes that this process has resident, of /proc/self/smaps. */
static uint64_t rss(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long low, high, kib;
	uint64_t sum = 0;
	char line[512];
	bool counts = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			counts = low >= SHADOW_END;
		else if (counts && sscanf(line, "Rss: %lu kB", &kib) == 1)
			sum += kib * KIB;
	}
	fclose(f);
	return sum;
}

/* More than @before, beside the state table and what the guest has. */
static void check_cost(struct vm *vm, uint64_t before, const char *when)
{
	uint64_t guest = stats(vm).resident * MEM_PAGE_SIZE;
	uint64_t table = vm->mem->nr_frames; /* the hole has nothing */
	int64_t own = (int64_t)(rss() - before - table - guest);

	printf("# %s: %lld KiB, beside %llu of the state table and %llu of the guest's\n",
	       when, (long long)own / 1024,
	       (unsigned long long)(table / KIB),
	       (unsigned long long)(guest / KIB));
	if (own > (int64_t)OWN_MAX)
		fail_msg("%s: more than %llu KiB", when, OWN_MAX / KIB);
}

static void touch(struct vm *vm)
{
	uint64_t i;

	for (i = 0; i < TOUCHED; i++)
		put(vm, i * (vm->mem->nr_frames / TOUCHED), i + 1);
}

static const char *tmpfs(void)
{
	return access("/dev/shm", W_OK) ? swap_dir() : "/dev/shm";
}

static void memory_that_is_not_touched_costs_nothing(void **s)
{
	uint64_t before = rss();
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.size_bytes = SIZE, .hinting = true,
			  .swap_dir = tmpfs(), .swap_bytes = SIZE));
	check_cost(&vm, before, "started, with hinting");
	touch(&vm);
	check_cost(&vm, before, "touched");
	vm_end(&vm);
}

static void on_done(void *ctx, uint64_t nr_frames)
{
	(void)nr_frames;
	atomic_store((_Atomic bool *)ctx, true);
}

static void what_looks_at_all_of_it_leaves_no_trace(void **s)
{
	uint64_t before = rss();
	_Atomic bool done = false;
	struct mem_dist dist;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.size_bytes = SIZE, .hinting = true,
			  .swap_dir = tmpfs(), .swap_bytes = SIZE));
	touch(&vm);
	mem_get_dist(vm.mem, &dist);
	assert_int_equal(dist.n[ESSA_STABLE][2], stats(&vm).zero);
	assert_int_equal(dist.n[ESSA_STABLE][0], stats(&vm).resident);
	check_cost(&vm, before, "states counted");
	/* The last generation: it makes room for others. */
	vm.mem->reclaim.generation = RECLAIM_AGES - 1;
	assert_int_equal(mem_discard(vm.mem, 1, on_done, &done), 0);
	WAIT_UNTIL(atomic_load(&done));
	check_cost(&vm, before, "scanned, and ages merged");
	assert_int_equal(mem_set_limit(vm.mem, 256 * MEM_PAGE_SIZE), 0);
	WAIT_UNTIL(!limit_excess(vm.mem));
	check_cost(&vm, before, "paged out");
	assert_int_equal(test_cmd(&vm, ESSA_CMD_DISABLE, 0), 0);
	check_cost(&vm, before, "reset");
	assert_int_equal(mem_give_up(vm.mem, MEM_HOLE_END / MEM_PAGE_SIZE,
				     (SIZE - MEM_HOLE_START) / MEM_PAGE_SIZE),
			 0);
	check_cost(&vm, before, "given up");
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_not_touched_costs_nothing),
		cmocka_unit_test(what_looks_at_all_of_it_leaves_no_trace),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
