// SPDX-License-Identifier: GPL-2.0-only
/*
 * Discovery, preserved and unused pages, what the host refuses, and that the
 * slow path and the operations in place are the same.  Needs hyp run
 * --test-hooks --swap DIR.
 */
#include "guest-tests/lib/guest.h"

#define SALT	     0x777
#define NR_PAGES     32
#define RANDOM_STEPS 3000
#define SEED	     0x2545f4914f6cdd1dull

/* EAX of the slow path */
#define RET_COUNT(r) ((uint32_t)(r) >> 8)
#define RET_STATE(r) ((uint8_t)(r))

static uint8_t usage(const void *page)
{
	return essa_state(gfn_of(page)) & ESSA_USAGE_MASK;
}

static uint8_t content(const void *page)
{
	return essa_state(gfn_of(page)) & ESSA_CONTENT_MASK;
}

/* Reclaim may be looking at the frame at this moment: try again. */
static int32_t page_out(const void *page)
{
	unsigned int i;
	int32_t err;

	for (i = 0; i < 100; i++) {
		err = essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn_of(page), 1);
		if (!err)
			break;
	}
	return err;
}

static void test_discovery(unsigned long arg)
{
	const uint32_t want = ESSA_FEAT_UNUSED | ESSA_FEAT_VOLATILE;

	(void)arg;
	expect_eq(essa.version, ESSA_VERSION);
	expect_eq(essa.features & want, want);
	expect_eq(essa.port, ESSA_PORT);
	expect_eq(essa.vector, ESSA_VECTOR);
	expect_eq((uintptr_t)essa.table % PAGE_SIZE, 0);
	expect((uintptr_t)essa.table >= guest.ram_end, "table at %p in RAM",
	       (void *)(uintptr_t)essa.table);
	expect(essa.nr_frames >= guest.ram_end / PAGE_SIZE, "%lu entries",
	       essa.nr_frames);
	expect((uintptr_t)essa.info >= guest.ram_end, "info at %p in RAM",
	       (void *)essa.info);
	expect(essa.nr_info >= 1, "%u areas", essa.nr_info);
	expect(essa.info_stride >= sizeof(struct essa_vcpu_info), "stride %u",
	       essa.info_stride);
}

static void test_enable(unsigned long arg)
{
	(void)arg;
	expect(essa_cmd(ESSA_CMD_ENABLE, ESSA_VERSION + 1, ESSA_FEAT_UNUSED) <
		       0,
	       "unknown version accepted");
	expect(essa_cmd(ESSA_CMD_ENABLE, ESSA_VERSION, 1u << 17) < 0,
	       "unknown feature accepted");
	expect_eq(essa_enable(), 0);
}

static void test_boot_state(unsigned long arg)
{
	uint64_t *page = scratch_page(NR_PAGES + 7);

	(void)arg;
	expect_eq(essa_state(gfn_of(page)), ESSA_STABLE | ESSA_ZERO);
	expect(page_is_zero(page), "fresh memory not zero");
	expect_eq(essa_state(gfn_of(page)), ESSA_STABLE | ESSA_RESIDENT);
}

static void test_preserved(unsigned long arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < NR_PAGES; i++)
		page_fill(scratch_page(i), SALT);
	page_fill_code(scratch_page(NR_PAGES));
	for (i = 0; i <= NR_PAGES; i++) {
		expect_eq(page_out(scratch_page(i)), 0);
		expect_eq(essa_state(gfn_of(scratch_page(i))),
			  ESSA_STABLE | ESSA_PRESERVED);
	}
	for (i = 0; i < NR_PAGES; i++) {
		uint64_t *page = scratch_page(i);
		uint64_t value = ~page_word(page, SALT, i);

		/* Half of them come back for a write. */
		if (i % 2) {
			access_write(page + i, value);
			expect_eq(page[i], value);
			page[i] = ~value;
		}
		expect_eq(page_check(page, SALT), -1);
		expect_eq(content(page), ESSA_RESIDENT);
	}
	expect_eq(access_fetch(scratch_page(NR_PAGES)), CODE_RESULT);
	expect(page_is_code(scratch_page(NR_PAGES)), "code damaged");
}

static void test_preserved_volatile(unsigned long arg)
{
	uint64_t *page = scratch_page(0);

	(void)arg;
	page_fill(page, SALT);
	expect_eq(page_out(page), 0);
	essa_op(gfn_of(page), ESSA_OP_SET_VOLATILE);
	expect_eq(essa_state(gfn_of(page)), ESSA_VOLATILE | ESSA_PRESERVED);
	essa_op(gfn_of(page), ESSA_OP_SET_STABLE_IF_KEPT);
	expect_eq(essa_state(gfn_of(page)), ESSA_STABLE | ESSA_PRESERVED);
	expect_eq(page_check(page, SALT), -1);

	/* And one that is thrown away after it was paged out. */
	expect_eq(page_out(page), 0);
	essa_op(gfn_of(page), ESSA_OP_SET_VOLATILE);
	expect_eq(page_discard(page), 0);
	expect(essa_is_discarded(essa_state(gfn_of(page))), "state %x",
	       essa_state(gfn_of(page)));
	page_stable_empty(page);
	expect(page_is_zero(page), "old content in a discarded page");
}

static void test_make_resident(unsigned long arg)
{
	uint64_t *page = scratch_page(0);
	int32_t ret;

	(void)arg;
	page_fill(page, SALT);
	expect_eq(page_out(page), 0);
	ret = essa_cmd(ESSA_OP_SET_STABLE_RESIDENT, gfn_of(page), 1);
	expect_eq(RET_COUNT(ret), 1);
	expect_eq(RET_STATE(ret), ESSA_STABLE | ESSA_PRESERVED);
	expect_eq(essa_state(gfn_of(page)), ESSA_STABLE | ESSA_RESIDENT);
	expect_eq(page_check(page, SALT), -1);
}

static void test_unused(unsigned long arg)
{
	unsigned int i;

	(void)arg;
	discards[0].count = 0;
	for (i = 0; i < NR_PAGES; i++) {
		page_fill(scratch_page(i), SALT);
		/* Also of pages whose content lies in the swap file. */
		if (i % 4 == 3)
			expect_eq(page_out(scratch_page(i)), 0);
		essa_op(gfn_of(scratch_page(i)), ESSA_OP_SET_UNUSED);
	}
	for (i = 0; i < NR_PAGES; i++) {
		expect_eq(page_discard(scratch_page(i)), 0);
		expect_eq(essa_state(gfn_of(scratch_page(i))),
			  ESSA_UNUSED | ESSA_ZERO);
	}
	for (i = 0; i < NR_PAGES; i++) {
		uint64_t *page = scratch_page(i);

		if (i % 2)
			essa_op(gfn_of(page), ESSA_OP_SET_STABLE);
		if (i % 3 == 0) {
			access_write(page + i, SALT);
			expect_eq(page[i], SALT);
			page[i] = 0;
		}
		expect(page_is_zero(page), "old data in page %u", i);
		essa_op(gfn_of(page), ESSA_OP_SET_STABLE);
		expect_eq(essa_state(gfn_of(page)),
			  ESSA_STABLE | ESSA_RESIDENT);
	}
	expect_eq(discards[0].count, 0);
}

static void test_refused(unsigned long arg)
{
	uint64_t *page = scratch_page(0);
	uint64_t gfn = gfn_of(page);

	(void)arg;
	page_fill(page, SALT);
	expect(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn, 1) < 0, "stable frame");
	expect_eq(essa_state(gfn), ESSA_STABLE | ESSA_RESIDENT);
	essa_op(gfn, ESSA_OP_SET_PENDING);
	expect(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn, 1) < 0, "pending frame");
	expect_eq(essa_state(gfn), ESSA_STABLE | ESSA_RESIDENT | ESSA_PENDING);
	expect_eq(page_check(page, SALT), -1);
	essa_op(gfn, ESSA_OP_COMMIT_VOLATILE);
	expect_eq(essa_state(gfn), ESSA_VOLATILE | ESSA_RESIDENT);
	expect_eq(page_discard(page), 0);
	page_stable_empty(page);
	page_fill(page, SALT);
	/* Someone took a reference: no longer pending, so no commit. */
	essa_op(gfn, ESSA_OP_SET_PENDING);
	essa_op(gfn, ESSA_OP_SET_STABLE);
	essa_op(gfn, ESSA_OP_COMMIT_VOLATILE);
	expect_eq(essa_state(gfn), ESSA_STABLE | ESSA_RESIDENT);
	expect(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn, 1) < 0, "not committed");
	expect_eq(page_check(page, SALT), -1);
}

static void test_if_kept(unsigned long arg)
{
	uint64_t *page = scratch_page(0);
	uint64_t gfn = gfn_of(page);
	uint8_t discarded = ESSA_VOLATILE | ESSA_ZERO;
	int32_t ret;

	(void)arg;
	page_fill(page, SALT);
	expect(page_volatile(page), "state %x", essa_state(gfn));
	essa_op(gfn, ESSA_OP_SET_STABLE_IF_KEPT);
	expect_eq(essa_state(gfn), ESSA_STABLE | ESSA_RESIDENT);
	expect_eq(page_check(page, SALT), -1);

	page_lose(page);
	expect_eq(essa_op(gfn, ESSA_OP_SET_STABLE_IF_KEPT), discarded);
	expect_eq(essa_state(gfn), discarded);
	ret = essa_cmd(ESSA_OP_SET_STABLE_IF_KEPT, gfn, 1);
	expect_eq(RET_COUNT(ret), 1);
	expect_eq(RET_STATE(ret), discarded);
	expect_eq(essa_state(gfn), discarded);
	page_stable_empty(page);
	expect(page_is_zero(page), "old content in a discarded page");
}

static void test_batch(unsigned long arg)
{
	uint64_t gfn = gfn_of(scratch_page(0));
	unsigned int i;
	int32_t ret;

	(void)arg;
	for (i = 0; i < NR_PAGES; i++)
		page_fill(scratch_page(i), SALT);
	ret = essa_cmd(ESSA_OP_SET_VOLATILE, gfn, NR_PAGES);
	expect_eq(RET_COUNT(ret), NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		expect_eq(usage(scratch_page(i)), ESSA_VOLATILE);
	/* The last one reads differently, and only its state is returned. */
	essa_op(gfn + NR_PAGES - 1, ESSA_OP_SET_UNUSED);
	ret = essa_cmd(ESSA_OP_GET, gfn, NR_PAGES);
	expect_eq(RET_COUNT(ret), NR_PAGES);
	expect_eq(RET_STATE(ret), ESSA_UNUSED | ESSA_RESIDENT);
	expect_eq(page_discard(scratch_page(5)), 0);
	/* Refused at page 5: that one is counted, none behind it is done. */
	ret = essa_cmd(ESSA_OP_SET_STABLE_IF_KEPT, gfn, NR_PAGES);
	expect_eq(RET_COUNT(ret), 6);
	expect_eq(RET_STATE(ret), ESSA_VOLATILE | ESSA_ZERO);
	expect_eq(usage(scratch_page(4)), ESSA_STABLE);
	expect_eq(usage(scratch_page(6)), ESSA_VOLATILE);
	page_stable_empty(scratch_page(5));
	page_fill(scratch_page(5), SALT);
	ret = essa_cmd(ESSA_OP_SET_STABLE, gfn, NR_PAGES);
	expect_eq(RET_COUNT(ret), NR_PAGES);
	for (i = 0; i < NR_PAGES - 1; i++)
		expect_eq(page_check(scratch_page(i), SALT), -1);
}

/* One random step on twins: @a in place, @b through the slow path. */
static void twin_step(struct rng *rng, uint64_t *a, uint64_t *b)
{
	static const uint8_t ops[] = {
		ESSA_OP_GET,	      ESSA_OP_SET_STABLE,
		ESSA_OP_SET_UNUSED,   ESSA_OP_SET_VOLATILE,
		ESSA_OP_SET_VOLATILE, ESSA_OP_SET_STABLE_IF_KEPT,
	};
	unsigned int what = (unsigned int)(rng_next(rng) % 10);
	unsigned int op;
	uint8_t old;
	int32_t ret;

	switch (what) {
	case 0:
		expect_eq(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn_of(a), 1),
			  essa_cmd(ESSA_CMD_TEST_DISCARD, gfn_of(b), 1));
		essa_cmd(ESSA_CMD_WAIT, gfn_of(a), 1);
		essa_cmd(ESSA_CMD_WAIT, gfn_of(b), 1);
		break;
	case 1:
		expect_eq(essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn_of(a), 1),
			  essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn_of(b), 1));
		break;
	case 2:
		expect_eq(access_read(a), access_read(b));
		break;
	case 3:
		op = (unsigned int)rng_next(rng);
		access_write(a, op);
		access_write(b, op);
		break;
	default:
		op = ops[rng_next(rng) % ARRAY_SIZE(ops)];
		old = essa_op(gfn_of(a), op);
		ret = essa_cmd(op, gfn_of(b), 1);
		expect(RET_COUNT(ret) == 1 && RET_STATE(ret) == old,
		       "op %u on %x returned %x", op, old, ret);
		expect(essa_state(gfn_of(a)) == essa_state(gfn_of(b)),
		       "op %u on %x: in place %x, slow path %x", op, old,
		       essa_state(gfn_of(a)), essa_state(gfn_of(b)));
	}
}

static void test_slow_path(unsigned long arg)
{
	uint64_t *a = scratch_page(NR_PAGES + 2);
	uint64_t *b = scratch_page(NR_PAGES + 4);
	struct rng rng = { SEED };
	uint32_t seen = 0;
	unsigned int i;

	(void)arg;
	page_fill(a, SALT);
	memcpy(b, a, PAGE_SIZE);
	discard_refill = refill_nothing;
	print("# seed %lx, %u steps\n", rng.s, RANDOM_STEPS);
	for (i = 0; i < RANDOM_STEPS; i++) {
		twin_step(&rng, a, b);
		expect_eq(essa_state(gfn_of(a)), essa_state(gfn_of(b)));
		seen |= 1u << essa_state(gfn_of(a));
	}
	/* S, U and V with r, p and z were all there, or this proves little. */
	expect_eq(seen & 0x070707, 0x070707);
	essa_op(gfn_of(a), ESSA_OP_SET_STABLE);
	essa_op(gfn_of(b), ESSA_OP_SET_STABLE);
	for (i = 0; i < PAGE_WORDS; i++)
		expect_eq(a[i], b[i]);
	discard_refill = NULL;
}

static void test_disable(unsigned long arg)
{
	uint64_t *page = scratch_page(0);
	uint64_t gfn = gfn_of(page);

	(void)arg;
	page_fill(page, SALT);
	expect(page_volatile(page), "state %x", essa_state(gfn));
	expect_eq(essa_cmd(ESSA_CMD_DISABLE, 0, 0), 0);
	expect_eq(essa_state(gfn), ESSA_STABLE | ESSA_RESIDENT);
	/* A table that says Volatile means nothing now. */
	essa_op(gfn, ESSA_OP_SET_VOLATILE);
	expect(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn, 1) < 0, "while disabled");
	expect_eq(page_check(page, SALT), -1);
	essa_op(gfn, ESSA_OP_SET_STABLE);
	expect_eq(essa_enable(), 0);
}

static const struct test tests[] = {
	{ "discovery says where everything is", test_discovery, 0 },
	{ "unknown versions and features are refused", test_enable, 0 },
	{ "fresh memory is stable and zero", test_boot_state, 0 },
	{ "preserved pages come back byte for byte", test_preserved, 0 },
	{ "preserved pages may be volatile", test_preserved_volatile, 0 },
	{ "set stable and resident", test_make_resident, 0 },
	{ "unused pages taken read as zeros", test_unused, 0 },
	{ "stable and pending pages are not discarded", test_refused, 0 },
	{ "stable if kept leaves a discarded page so", test_if_kept, 0 },
	{ "batches stop behind a refusal", test_batch, 0 },
	{ "slow path equals in place, random steps", test_slow_path, 0 },
	{ "disable makes all stable", test_disable, 0 },
};

_Noreturn void guest_main(void)
{
	essa_need(true);
	test_run(tests, ARRAY_SIZE(tests));
}
