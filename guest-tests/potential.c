// SPDX-License-Identifier: GPL-2.0-only
/*
 * Potentially Volatile pages: discarded while nobody has written to them, by
 * whatever way there is to write.  Needs hyp run --test-hooks --swap DIR.
 */
#include "guest-tests/lib/guest.h"

#define SALT	 0x9a9a
#define NR_PAGES 1200
#define WORD	 17
#define VALUE	 0x123456789abcdefull

#define MSR_KVM_SYSTEM_TIME 0x4b564d01

static void wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
		     : "memory");
}

static void refill_data(uint64_t gpa)
{
	page_fill((uint64_t *)(uintptr_t)gpa, SALT);
}

static void make_potential(const void *page)
{
	essa_op(gfn_of(page), ESSA_OP_SET_PENDING);
	expect_eq(essa_cmd(ESSA_CMD_ARM, gfn_of(page), 1), 0);
	essa_op(gfn_of(page), ESSA_OP_COMMIT_POTENTIAL);
	expect_eq(essa_state(gfn_of(page)), ESSA_POTENTIAL | ESSA_RESIDENT);
}

/*
 * The host may void a mark at any time, and does: a page fault that KVM resolves
 * in the background asks for a writable page, perhaps after the page was armed.
 * So a page that nobody writes to is discarded at last, not at once.
 */
#define TRIES 100

static void expect_unwritten(const void *page)
{
	unsigned int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (!page_discard(page))
			break;
		essa_op(gfn_of(page), ESSA_OP_SET_STABLE);
		make_potential(page);
	}
	expect(tries < TRIES, "an unwritten page was kept");
}

static void expect_kept(const void *page)
{
	/* R-POT-7: it stays what it is. */
	expect_eq(essa_state(gfn_of(page)), ESSA_POTENTIAL | ESSA_RESIDENT);
	expect(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn_of(page), 1) < 0,
	       "a written page was discarded");
	expect_eq(essa_state(gfn_of(page)), ESSA_POTENTIAL | ESSA_RESIDENT);
}

static uint64_t *fresh_page(void)
{
	uint64_t *page = scratch_page(0);

	discards[0] = (struct discard){ 0 };
	essa_op(gfn_of(page), ESSA_OP_SET_STABLE);
	page_fill(page, SALT);
	return page;
}

static void test_unwritten(unsigned long arg)
{
	uint64_t *page = fresh_page();

	(void)arg;
	make_potential(page);
	/* Reads and fetches are no writes. */
	expect_eq(page_check(page, SALT), -1);
	expect_unwritten(page);
	expect_eq(essa_state(gfn_of(page)), ESSA_POTENTIAL | ESSA_ZERO);
	discard_refill = refill_data;
	expect_eq(access_read(page + WORD), page_word(page, SALT, WORD));
	expect_eq(discards[0].count, 1);
	expect_eq(discards[0].gpa / PAGE_SIZE, gfn_of(page));
	expect_eq(essa_state(gfn_of(page)), ESSA_STABLE | ESSA_RESIDENT);
	/* A write to a discarded page as well; and that is no write. */
	make_potential(page);
	expect_unwritten(page);
	access_write(page + WORD, VALUE);
	expect_eq(discards[0].count, 2);
	expect_eq(page[WORD], VALUE);
	discard_refill = NULL;
}

static void test_not_armed(unsigned long arg)
{
	uint64_t *page = fresh_page();

	(void)arg;
	essa_op(gfn_of(page), ESSA_OP_SET_POTENTIAL);
	expect_kept(page);
	expect_eq(page_check(page, SALT), -1);
	/* Nor is it armed in this state, or what was written would count. */
	expect_eq(essa_cmd(ESSA_CMD_ARM, gfn_of(page), 1), 0);
	expect_kept(page);
}

static uint64_t stack[512] __attribute__((aligned(16)));

enum how { BEFORE_P, WRITE, USER, COPY, PUSH, STRING_INPUT, CLOCK };

static void write_by(enum how how, uint64_t *page)
{
	static const uint64_t value = VALUE;
	void *dst = page + WORD;
	uint64_t n = 2;

	switch (how) {
	case USER:
		user_call(access_write, (uintptr_t)dst, VALUE, 0,
			  stack + ARRAY_SIZE(stack));
		break;
	case COPY:
		access_copy(dst, &value, 8);
		break;
	case PUSH:
		access_push(page + WORD + 1, VALUE);
		break;
	case STRING_INPUT:
		/* KVM's emulator writes, for hyp. */
		asm volatile("rep insl"
			     : "+D"(dst), "+c"(n)
			     : "d"(essa.port)
			     : "memory");
		break;
	case CLOCK:
		/* KVM writes, for itself. */
		wrmsr(MSR_KVM_SYSTEM_TIME, (uintptr_t)page | 1);
		wrmsr(MSR_KVM_SYSTEM_TIME, 0);
		break;
	default:
		access_write(dst, VALUE);
	}
}

static void test_written(unsigned long how)
{
	uint64_t *page = fresh_page();
	uint64_t was[PAGE_WORDS];
	bool changed = false;
	unsigned int i;

	if (how == BEFORE_P) {
		essa_op(gfn_of(page), ESSA_OP_SET_PENDING);
		expect_eq(essa_cmd(ESSA_CMD_ARM, gfn_of(page), 1), 0);
		write_by(how, page);
		essa_op(gfn_of(page), ESSA_OP_COMMIT_POTENTIAL);
	} else {
		make_potential(page);
		write_by((enum how)how, page);
	}
	memcpy(was, page, PAGE_SIZE);
	for (i = 0; i < PAGE_WORDS; i++)
		changed |= was[i] != page_word(page, SALT, i);
	expect(changed, "nothing was written");
	expect_kept(page);
	for (i = 0; i < PAGE_WORDS; i++)
		expect_eq(page[i], was[i]);
	/* Armed anew, what is there now may go. */
	essa_op(gfn_of(page), ESSA_OP_SET_STABLE);
	make_potential(page);
	expect_unwritten(page);
	page_stable_empty(page);
}

static void test_page_out(unsigned long arg)
{
	uint64_t *page = fresh_page();
	uint64_t gfn = gfn_of(page);

	(void)arg;
	make_potential(page);
	access_write(page + WORD, VALUE);
	expect_eq(essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn, 1), 0);
	expect_eq(essa_state(gfn), ESSA_POTENTIAL | ESSA_PRESERVED);
	expect(essa_cmd(ESSA_CMD_TEST_DISCARD, gfn, 1) < 0,
	       "a written page was discarded");
	expect_eq(access_read(page + WORD), VALUE);
	expect_kept(page);
}

static void test_range(unsigned long arg)
{
	uint64_t *first = scratch_page(0);
	unsigned int i;

	(void)arg;
	for (i = 0; i < NR_PAGES; i++) {
		essa_op(gfn_of(scratch_page(i)), ESSA_OP_SET_STABLE);
		page_fill(scratch_page(i), SALT);
	}
	expect_eq(essa_cmd(ESSA_CMD_ARM, gfn_of(first), NR_PAGES), 0);
	for (i = 0; i < NR_PAGES; i++)
		essa_op(gfn_of(scratch_page(i)), ESSA_OP_SET_POTENTIAL);
	for (i = 0; i < NR_PAGES; i += 5)
		access_write(scratch_page(i), VALUE);
	for (i = 0; i < NR_PAGES; i++) {
		if (i % 5)
			expect_unwritten(scratch_page(i));
		else
			expect_kept(scratch_page(i));
	}
	for (i = 0; i < NR_PAGES; i += 5)
		expect_eq(scratch_page(i)[0], VALUE);
	for (i = 0; i < NR_PAGES; i++)
		page_stable_empty(scratch_page(i));
}

static void test_not_in_use(unsigned long arg)
{
	uint64_t *page = fresh_page();

	(void)arg;
	make_potential(page);
	expect_eq(essa_cmd(ESSA_CMD_DISABLE, 0, 0), 0);
	expect_eq(essa_cmd(ESSA_CMD_ARM, gfn_of(page), 1), -38 /* ENOSYS */);
	expect_eq(essa_enable(), 0);
	/* Marks do not outlive it. */
	essa_op(gfn_of(page), ESSA_OP_SET_POTENTIAL);
	expect_kept(page);
	expect_eq(page_check(page, SALT), -1);
}

static const struct test tests[] = {
	{ "an unwritten page is discarded", test_unwritten, 0 },
	{ "a page that is not armed is kept", test_not_armed, 0 },
	{ "written before it is P: kept", test_written, BEFORE_P },
	{ "written at CPL0: kept", test_written, WRITE },
	{ "written at CPL3: kept", test_written, USER },
	{ "written by rep movsb: kept", test_written, COPY },
	{ "written by push: kept", test_written, PUSH },
	{ "written by KVM's emulator: kept", test_written, STRING_INPUT },
	{ "written by KVM's clock: kept", test_written, CLOCK },
	{ "written and paged out: kept", test_page_out, 0 },
	{ "ranges are armed in one call", test_range, 0 },
	{ "without the feature nothing is armed", test_not_in_use, 0 },
};

_Noreturn void guest_main(void)
{
	essa_need(true);
	if (!(essa.features & ESSA_FEAT_POTENTIAL))
		skip_all("Potentially Volatile is not offered");
	if (essa_enable())
		bail_out("ESSA_CMD_ENABLE failed");
	test_run(tests, ARRAY_SIZE(tests));
}
