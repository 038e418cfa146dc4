// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does what it should not: the host refuses or shrugs, and goes
 * on working for it.  Needs hyp run --test-hooks --swap DIR.
 */
#include "guest-tests/lib/guest.h"

#define SALT		0x4242
#define NR_PAGES	64
#define SCRIBBLE_ROUNDS 8
/* Mapped, behind RAM and before the state table. */
#define NO_MEMORY 0xcffff000ul

struct call {
	uint64_t cmd, gfn, nr;
};

static void refill_data(uint64_t gpa)
{
	page_fill((uint64_t *)(uintptr_t)gpa, SALT);
}

static void test_commands(unsigned long arg)
{
	static const uint64_t unknown[] = {
		7,
		8,
		9,
		0x0f,
		0x14,
		0x7f,
		0x82,
		0xff,
		0x100,
		0x100000001,
		0x8000000000000002,
		~0ull,
	};
	uint64_t *page = scratch_page(0);
	uint8_t before;
	unsigned int i;

	(void)arg;
	page_fill(page, SALT);
	before = essa_state(gfn_of(page));
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		expect(essa_cmd(unknown[i], gfn_of(page), 1) < 0, "command %lx",
		       unknown[i]);
		expect_eq(essa_state(gfn_of(page)), before);
	}
	expect_eq(page_check(page, SALT), -1);
}

static void test_ranges(unsigned long arg)
{
	static const uint8_t cmds[] = {
		ESSA_OP_GET,
		ESSA_OP_SET_UNUSED,
		ESSA_OP_SET_STABLE_RESIDENT,
		ESSA_CMD_WAIT,
		ESSA_CMD_ARM,
		ESSA_CMD_TEST_DISCARD,
		ESSA_CMD_TEST_PAGE_OUT,
	};
	const uint64_t end = essa.nr_frames;
	const struct call ranges[] = {
		{ 0, end, 1 },
		{ 0, end - 1, 2 },
		{ 0, ~0ull, 1 },
		{ 0, ~0ull, 2 },
		{ 0, ~0ull - 1, 4 },
		{ 0, 1ull << 52, 1 },
		{ 0, 1ull << 63, 1ull << 63 },
		{ 0, 0, ~0ull },
		{ 0, 1, ~0ull },
		{ 0, 0, ESSA_CMD_MAX_FRAMES + 1 },
		{ 0, end, ESSA_CMD_MAX_FRAMES },
	};
	unsigned int i, j;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		for (j = 0; j < ARRAY_SIZE(ranges); j++)
			expect(essa_cmd(cmds[i], ranges[j].gfn, ranges[j].nr) <
				       0,
			       "command %x, gfn %lx, nr %lx", cmds[i],
			       ranges[j].gfn, ranges[j].nr);
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		essa_cmd(cmds[i], gfn_of(scratch_page(0)), 0);
}

/* Other widths and string input at the port, and output to it. */
static void test_port(unsigned long arg)
{
	uint16_t port = (uint16_t)essa.port;
	uint32_t buf[4] = { 0 };
	void *dst = buf;
	uint64_t n = ARRAY_SIZE(buf);
	unsigned int i;

	(void)arg;
	inb(port);
	asm volatile("inw %w0, %%ax" : : "d"(port) : "eax", "memory");
	outb(port, 0x55);
	asm volatile("outl %1, %w0" : : "d"(port), "a"(~0u) : "memory");
	asm volatile("inl %w0, %%eax" : : "d"(port + 1) : "eax", "memory");
	asm volatile("rep insl" : "+D"(dst), "+c"(n) : "d"(port) : "memory");
	expect_eq(n, 0);
	for (i = 0; i < ARRAY_SIZE(buf); i++)
		expect((int32_t)buf[i] < 0, "item %u is %x", i, buf[i]);
	expect_eq(essa_cmd(ESSA_CMD_WAIT, gfn_of(scratch_page(0)), 1), 0);
}

static void scribble(struct rng *rng)
{
	uint64_t i;

	for (i = 0; i < essa.nr_frames; i++)
		essa.table[i] = (uint8_t)(rng_next(rng) >> 32);
}

/* What a guest asks of frames whose bytes are nonsense. */
static void use_scribbled(struct rng *rng)
{
	uint64_t gfn = gfn_of(scratch_page(0));
	unsigned int i;

	for (i = 0; i < 4 * NR_PAGES; i++) {
		uint64_t r = rng_next(rng);
		uint64_t *page = scratch_page(r % NR_PAGES);

		switch (r >> 32 & 7) {
		case 0:
			essa_cmd(ESSA_CMD_TEST_DISCARD, gfn_of(page), 1);
			break;
		case 1:
			essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn_of(page), 1);
			break;
		case 2:
			essa_cmd(ESSA_CMD_WAIT, gfn, NR_PAGES);
			break;
		case 3:
			essa_cmd(r >> 40 & 7, gfn_of(page), 1);
			break;
		case 4:
			access_write(page, r);
			break;
		case 5:
			/* Late, with host bits of the guest's own making. */
			essa.table[gfn_of(page)] = (uint8_t)(r >> 48);
			break;
		default:
			access_read(page);
		}
	}
}

static void check_still_works(uint64_t *page)
{
	unsigned int before = discards[0].count;

	page_stable_empty(page);
	page_fill(page, SALT);
	expect_eq(page_check(page, SALT), -1);
	page_lose(page);
	expect_eq(page_check(page, SALT), -1);
	expect_eq(discards[0].count, before + 1);
	expect_eq(essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn_of(page), 1), 0);
	expect_eq(page_check(page, SALT), -1);
}

static void test_table(unsigned long arg)
{
	struct rng rng = { 0x9e3779b97f4a7c15ull };
	unsigned int round;
	uint64_t i;

	(void)arg;
	discard_refill = refill_data;
	for (round = 0; round < SCRIBBLE_ROUNDS; round++) {
		scribble(&rng);
		use_scribbled(&rng);
		for (i = 0; i < essa.nr_frames; i++)
			essa.table[i] = ESSA_STABLE;
		for (i = 0; i < NR_PAGES; i++)
			access_write(scratch_page(i), i);
	}
	expect_eq(essa_cmd(ESSA_CMD_DISABLE, 0, 0), 0);
	expect_eq(essa_enable(), 0);
	for (i = 0; i < NR_PAGES; i++)
		check_still_works(scratch_page(i));
	discard_refill = NULL;
}

/* All of memory, whatever is in it, this program and its tables included. */
static void arm_all(void)
{
	expect_eq(essa_cmd(ESSA_CMD_ARM, 0, guest.ram_end / PAGE_SIZE), 0);
}

static void test_arm(unsigned long arg)
{
	struct rng rng = { 0xa5a5a5a5a5a5a5ull };
	unsigned int i, round;

	(void)arg;
	if (!(essa.features & ESSA_FEAT_POTENTIAL)) {
		test_skip("Potentially Volatile is not offered");
		return;
	}
	discard_refill = refill_data;
	for (i = NR_PAGES; i < 2 * NR_PAGES; i++)
		page_fill(scratch_page(i), SALT);
	for (round = 0; round < SCRIBBLE_ROUNDS; round++) {
		arm_all();
		for (i = 0; i < NR_PAGES; i++)
			essa.table[gfn_of(scratch_page(i))] =
				(uint8_t)(rng_next(&rng) >> 32);
		arm_all();
		use_scribbled(&rng);
		for (i = 0; i < NR_PAGES; i++)
			access_write(scratch_page(i), i);
	}
	for (i = NR_PAGES; i < 2 * NR_PAGES; i++)
		expect_eq(page_check(scratch_page(i), SALT), -1);
	for (i = 0; i < NR_PAGES; i++)
		essa.table[gfn_of(scratch_page(i))] = ESSA_STABLE;
	expect_eq(essa_cmd(ESSA_CMD_DISABLE, 0, 0), 0);
	expect_eq(essa_enable(), 0);
	for (i = 0; i < NR_PAGES; i++)
		check_still_works(scratch_page(i));
	discard_refill = NULL;
}

/* Frames nobody scribbled on are not touched by what happens to others. */
static void test_neighbours(unsigned long arg)
{
	struct rng rng = { 0x123456789abcdefull };
	unsigned int i, round;

	(void)arg;
	discard_refill = refill_data;
	for (i = NR_PAGES; i < 2 * NR_PAGES; i++)
		page_fill(scratch_page(i), SALT);
	for (round = 0; round < SCRIBBLE_ROUNDS; round++) {
		for (i = 0; i < NR_PAGES; i++)
			essa.table[gfn_of(scratch_page(i))] =
				(uint8_t)(rng_next(&rng) >> 32);
		use_scribbled(&rng);
	}
	for (i = NR_PAGES; i < 2 * NR_PAGES; i++)
		expect_eq(page_check(scratch_page(i), SALT), -1);
	for (i = 0; i < NR_PAGES; i++)
		essa.table[gfn_of(scratch_page(i))] = ESSA_STABLE;
	discard_refill = NULL;
}

static unsigned int invalid;

static void return_from(struct trap *t)
{
	invalid++;
	expect_eq(t->rip, NO_MEMORY);
	t->rip = *(uint64_t *)t->rsp;
	t->rsp += sizeof(uint64_t);
}

/* As where there is no hypervisor that reads instructions of its guest. */
static void test_jump(unsigned long arg)
{
	void *nowhere = (void *)NO_MEMORY;
	char *stack = (char *)scratch_page(0);
	unsigned int i;

	(void)arg;
	trap_invalid = return_from;
	invalid = 0;
	for (i = 1; i <= 2; i++) {
		((void (*)(void))nowhere)();
		expect_eq(invalid, 2 * i - 1);
		user_call(nowhere, 0, 0, 0, stack + PAGE_SIZE);
		expect_eq(invalid, 2 * i);
	}
	trap_invalid = NULL;
}

static const struct test tests[] = {
	{ "unknown commands are refused", test_commands, 0 },
	{ "ranges outside memory are refused", test_ranges, 0 },
	{ "other uses of the port do no harm", test_port, 0 },
	{ "neighbours of scribbled frames keep their content", test_neighbours,
	  0 },
	{ "arming all memory again and again does no harm", test_arm, 0 },
	{ "to execute what is no memory is an invalid instruction", test_jump,
	  0 },
	{ "a scribbled table is lived through", test_table, 0 },
};

_Noreturn void guest_main(void)
{
	essa_need(true);
	if (essa_enable())
		bail_out("ESSA_CMD_ENABLE failed");
	test_run(tests, ARRAY_SIZE(tests));
}
