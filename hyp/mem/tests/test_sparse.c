// SPDX-License-Identifier: GPL-2.0-only
/* A large guest that has touched little: what it costs beside that, in memory. */
#include <sys/mman.h>

#include "hyp/mem/sparse.h"
#include "hyp/mem/tests/vm.h"

#define GIB (1ull << 30)
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
	       when, (long long)own / 1024, (unsigned long long)(table / KIB),
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

/* Frames from @n on, of @wrap, go into probation. */
static void park(struct vm *vm, uint64_t n, uint64_t nr, uint64_t wrap)
{
	struct mem *mem = vm->mem;
	uint64_t i, end = n + nr;

	pthread_mutex_lock(&mem->pageout.lock);
	for (; n < end; n++) {
		i = n % wrap;
		frame_lock(mem, i);
		assert_int_equal(mem->frames[i].busy, FRAME_IDLE);
		mem->frames[i].busy = FRAME_PARK;
		frame_unlock(mem, i);
		probation_park(mem, PROBATION_STABLE, &i, 1);
	}
	pthread_mutex_unlock(&mem->pageout.lock);
}

/* They come out as they went in. */
static void take(struct vm *vm, uint64_t n, uint64_t nr, uint64_t wrap)
{
	uint64_t i, end = n + nr;

	for (; n < end; n++) {
		assert_true(__probation_next(vm->mem, PROBATION_STABLE, &i));
		if (n % 3 == 0) {
			frame_unlock(vm->mem, i);
			probation_unget(vm->mem, PROBATION_STABLE);
			assert_true(__probation_next(vm->mem, PROBATION_STABLE,
						     &i));
		}
		assert_int_equal(i, n % wrap);
		__probation_rescue(vm->mem, i);
		frame_unlock(vm->mem, i);
	}
}

static uint64_t ring_pages(struct vm *vm)
{
	struct probation_queue *q = &vm->mem->probation.queue[PROBATION_STABLE];
	const size_t len = q->size * sizeof(*q->frame);
	unsigned char *in_core = malloc(len / MEM_PAGE_SIZE);
	uint64_t n = 0;
	size_t i;

	assert_non_null(in_core);
	assert_int_equal(mincore(q->frame, len, in_core), 0);
	for (i = 0; i < len / MEM_PAGE_SIZE; i++)
		n += in_core[i] & 1;
	free(in_core);
	return n;
}

static void fill(struct vm *vm, uint64_t nr)
{
	uint64_t i;

	for (i = 0; i < nr; i++)
		put(vm, i, i + 1);
}

static void few_frames_do_not_fill_a_large_ring(void **s)
{
	struct vm vm;
	uint64_t n;

	(void)s;
	vm_start(&vm, CFG(.size_bytes = SIZE, NO_SWAP));
	fill(&vm, 200);
	for (n = 0; n < 20 * 1000; n += 200) {
		park(&vm, n, 200, 200);
		take(&vm, n, 200, 200);
	}
	assert_in_range(ring_pages(&vm), 1, 2);
	vm_end(&vm);
}

/* Of two pages: one never has to go while the other is full. */
static void a_small_ring_loses_nothing(void **s)
{
	enum { RING = 2048, FRAMES = 4 * RING, USED = RING + 512 };
	uint64_t seed = test_seed();
	uint64_t in = 0, out = 0;
	unsigned int round;
	uint64_t nr;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.size_bytes = FRAMES * MEM_PAGE_SIZE, NO_SWAP));
	assert_int_equal(vm.mem->probation.queue[PROBATION_STABLE].size, RING);
	fill(&vm, USED);
	for (round = 0; round < 60; round++) {
		nr = rnd(&seed) % RING;
		if (nr > probation_room(vm.mem, PROBATION_STABLE))
			nr = probation_room(vm.mem, PROBATION_STABLE);
		park(&vm, in, nr, USED);
		in += nr;
		nr = rnd(&seed) % RING;
		if (nr > in - out)
			nr = in - out;
		take(&vm, out, nr, USED);
		out += nr;
	}
	assert_true(in > 4 * RING);
	vm_end(&vm);
}

/* The kernel says whether there is memory, and no sanitizer asks. */
static bool is_mapped(const uint8_t *p)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	n = write(fds[1], p, 1);
	assert_true(n == 1 || errno == EFAULT);
	close(fds[0]);
	close(fds[1]);
	return n == 1;
}

static void who_goes_behind_the_end_is_caught(void **s)
{
	static const size_t sizes[] = { 1, 8, 64, 72, 4096, 4104, 8192, 65530 };
	unsigned int i;
	size_t k;

	(void)s;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t end = (sizes[i] + 63) / 64 * 64;
		uint8_t *p = sparse_alloc(sizes[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 64, 0);
		for (k = 0; k < sizes[i]; k++)
			assert_int_equal(p[k]++, 0);
		assert_true(is_mapped(p + end - 1));
		assert_false(is_mapped(p + end));
		sparse_free(p, sizes[i]);
		assert_false(is_mapped(p));
		assert_false(is_mapped(p + end - 1));
	}
	sparse_free(NULL, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_not_touched_costs_nothing),
		cmocka_unit_test(what_looks_at_all_of_it_leaves_no_trace),
		cmocka_unit_test(few_frames_do_not_fill_a_large_ring),
		cmocka_unit_test(a_small_ring_loses_nothing),
		cmocka_unit_test(who_goes_behind_the_end_is_caught),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
