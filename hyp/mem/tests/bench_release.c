// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a discard costs per page, beside a bare madvise() loop over the same
 * runs in the same order, in one process.  Not a test: prints, never fails.
 */
#include <sys/mman.h>

#include "hyp/mem/discard.h"
#include "hyp/mem/tests/vm.h"

#define BYTES  (256 * MIB)
#define RUN    64u
#define RUNS   (BYTES / MEM_PAGE_SIZE / RUN)
#define ROUNDS 7u

static uint32_t order[RUNS];

static void shuffle(uint64_t *seed)
{
	uint32_t i, j, t;

	for (i = 0; i < RUNS; i++)
		order[i] = i;
	for (i = RUNS - 1; i; i--) {
		j = (uint32_t)(rnd(seed) % (i + 1));
		t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
}

static void touch(uint8_t *ram)
{
	uint64_t i;

	for (i = 0; i < BYTES; i += MEM_PAGE_SIZE)
		*(volatile uint8_t *)(ram + i) = 1;
}

static uint64_t bare(uint8_t *ram)
{
	uint64_t start;
	uint32_t i;

	touch(ram);
	start = now_ns();
	for (i = 0; i < RUNS; i++)
		madvise(ram + (size_t)order[i] * RUN * MEM_PAGE_SIZE,
			RUN * MEM_PAGE_SIZE, MADV_DONTNEED);
	return now_ns() - start;
}

static uint64_t discards(struct vm *vm, unsigned int op)
{
	static struct discard_batch b;
	uint64_t i, k, start;

	for (i = 0; i < BYTES / MEM_PAGE_SIZE; i++) {
		guest_op(vm->mem, vm->table, i, ESSA_OP_SET_STABLE);
		put(vm, i, 1);
		guest_op(vm->mem, vm->table, i, op);
	}
	start = now_ns();
	for (i = 0; i < RUNS; i++)
		for (k = 0; k < RUN; k++)
			discard_commit(vm->mem, &b, order[i] * RUN + k);
	discard_flush(vm->mem, &b);
	return now_ns() - start;
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double median(uint64_t *t)
{
	qsort(t, ROUNDS, sizeof(t[0]), cmp_u64);
	return (double)t[ROUNDS / 2] / (BYTES / MEM_PAGE_SIZE);
}

static void report(void **s)
{
	uint64_t t[3][ROUNDS];
	uint64_t seed = 1;
	double m[3];
	struct vm vm;
	unsigned int r;
	uint8_t *ram;

	(void)s;
	ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	madvise(ram, BYTES, MADV_NOHUGEPAGE);
	vm_start(&vm, CFG(.size_bytes = BYTES, NO_SWAP, .hinting = true));
	for (r = 0; r < ROUNDS; r++) {
		shuffle(&seed);
		t[0][r] = bare(ram);
		t[1][r] = discards(&vm, ESSA_OP_SET_VOLATILE);
		t[2][r] = discards(&vm, ESSA_OP_SET_UNUSED);
	}
	for (r = 0; r < 3; r++)
		m[r] = median(t[r]);
	printf("# runs of %u frames, random order, median of %u: ns/page\n"
	       "# bare madvise %.0f; volatile %.0f (x %.2f); unused %.0f (x %.2f); process_madvise: %s\n",
	       RUN, ROUNDS, m[0], m[1], m[1] / m[0], m[2], m[2] / m[0],
	       vm.mem->has_process_madvise ? "yes" : "no");
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(report) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
