// SPDX-License-Identifier: GPL-2.0-only
/*
 * Touching a discarded page: what the discard fault reports, that the saved
 * RIP is the instruction that made the access, and that the access works when
 * it is tried again.  Needs hyp run --test-hooks.
 */
#include "guest-tests/lib/guest.h"

enum kind {
	READ,
	READ_ACROSS, /* begins in the page before */
	WRITE,
	FETCH,
	PUSH,
	COPY_FROM, /* rep movsb that runs into it */
	COPY_TO,
	USER = 0x100, /* at CPL3 */
};

#define SALT	   0x1234
#define TARGET	   1   /* scratch page that is discarded */
#define OTHER	   8   /* the other side of copies */
#define USER_STACK 20  /* ends where this page begins */
#define BEFORE	   100 /* bytes of a copy before the target */
#define COPY_LEN   300
#define WORD	   100 /* that is read or written */

/* What an access is and what its fault has to say. */
struct plan {
	const void *fn;
	uint64_t arg[3];
	uint64_t rip, rcx, rsi, rdi;
	uint64_t result;
};

static void refill_data(uint64_t gpa)
{
	page_fill((uint64_t *)(uintptr_t)gpa, SALT);
}

static void refill_code(uint64_t gpa)
{
	page_fill_code((uint64_t *)(uintptr_t)gpa);
}

static struct plan plan_copy(char *dst, char *src, char *fault_dst,
			     char *fault_src)
{
	return (struct plan){
		.fn = access_copy,
		.arg = { (uintptr_t)dst, (uintptr_t)src, COPY_LEN },
		.rip = (uintptr_t)access_copy_at,
		.rcx = COPY_LEN - BEFORE,
		.rsi = (uintptr_t)fault_src,
		.rdi = (uintptr_t)fault_dst,
		.result = 0,
	};
}

static struct plan plan_access(enum kind kind)
{
	uint64_t *target = scratch_page(TARGET);
	char *t = (char *)target;
	char *other = (char *)scratch_page(OTHER);
	struct plan p = { 0 };
	uint64_t half;

	switch (kind) {
	case READ:
		p.fn = access_read;
		p.arg[0] = (uintptr_t)(target + WORD);
		p.rip = (uintptr_t)access_read_at;
		p.result = target[WORD];
		break;
	case READ_ACROSS:
		p.fn = access_read;
		p.arg[0] = (uintptr_t)t - 4;
		p.rip = (uintptr_t)access_read_at;
		memcpy(&half, t - 4, sizeof(half));
		p.result = half;
		break;
	case WRITE:
		p.fn = access_write;
		p.arg[0] = (uintptr_t)(target + WORD);
		p.arg[1] = ~target[WORD];
		p.rip = (uintptr_t)access_write_at;
		break;
	case FETCH:
		p.fn = access_fetch;
		p.arg[0] = (uintptr_t)t + 160;
		p.rip = p.arg[0];
		p.result = CODE_RESULT;
		break;
	case PUSH:
		p.fn = access_push;
		p.arg[0] = (uintptr_t)(target + WORD + 1);
		p.arg[1] = ~target[WORD];
		p.rip = (uintptr_t)access_push_at;
		break;
	case COPY_FROM:
		p = plan_copy(other, t - BEFORE, other + BEFORE, t);
		break;
	case COPY_TO:
	default:
		p = plan_copy(t - BEFORE, other, t, other + BEFORE);
		break;
	}
	return p;
}

static void check_fault(const struct plan *p, enum kind kind, bool user)
{
	const struct discard *d = &discards[0];

	expect_eq(d->count, 1);
	expect_eq(d->latch, ESSA_LATCH_DISCARD);
	expect_eq(d->gpa / PAGE_SIZE, gfn_of(scratch_page(TARGET)));
	expect(d->access <= 3, "access %u", d->access);
	expect(essa_is_discarded(d->state), "state %x", d->state);
	expect_eq(d->regs.rip, p->rip);
	expect_eq(d->regs.cs, user ? USER_CS : KERNEL_CS);
	if (kind == PUSH)
		expect_eq(d->regs.rsp, p->arg[0]);
	if (kind == COPY_FROM || kind == COPY_TO) {
		expect_eq(d->regs.rcx, p->rcx);
		expect_eq(d->regs.rsi, p->rsi);
		expect_eq(d->regs.rdi, p->rdi);
	}
	expect_eq(essa_info()->latch, 0);
}

/* Page @page holds @want in @len bytes at @at and is untouched elsewhere. */
static void check_page(const uint64_t *page, unsigned int at, unsigned int len,
		       const void *want)
{
	const uint8_t *have = (const uint8_t *)page;
	unsigned int i;

	for (i = 0; i < PAGE_SIZE; i++) {
		uint64_t orig = page_word(page, SALT, i / 8);
		uint8_t byte = (uint8_t)(orig >> (i % 8 * 8));

		if (i >= at && i - at < len)
			byte = ((const uint8_t *)want)[i - at];
		expect(have[i] == byte, "byte %u is %x, not %x", i, have[i],
		       byte);
	}
}

static void check_content(const struct plan *p, enum kind kind)
{
	const uint64_t *target = scratch_page(TARGET);
	const uint8_t *other = (const uint8_t *)scratch_page(OTHER);

	switch (kind) {
	case FETCH:
		expect(page_is_code(target), "code damaged");
		break;
	case WRITE:
	case PUSH:
		check_page(target, WORD * 8, 8, &p->arg[1]);
		break;
	case COPY_FROM:
		check_page(target, 0, 0, NULL);
		check_page((const uint64_t *)other, 0, COPY_LEN,
			   (const char *)target - BEFORE);
		break;
	case COPY_TO:
		check_page(target, 0, COPY_LEN - BEFORE, other + BEFORE);
		check_page(target - PAGE_WORDS, PAGE_SIZE - BEFORE, BEFORE,
			   other);
		break;
	default:
		check_page(target, 0, 0, NULL);
	}
}

static void test_access(unsigned long arg)
{
	enum kind kind = arg & ~(unsigned long)USER;
	bool user = arg & USER;
	uint64_t *target = scratch_page(TARGET);
	void *stack = scratch_page(USER_STACK);
	uint64_t (*fn)(uint64_t, uint64_t, uint64_t);
	struct plan p;
	uint64_t ret;

	page_fill(target - PAGE_WORDS, SALT);
	page_fill(scratch_page(OTHER), SALT);
	/* The stack is touched now: no other fault during the access. */
	page_fill(scratch_page(USER_STACK - 1), SALT);
	if (kind == FETCH)
		page_fill_code(target);
	else
		page_fill(target, SALT);
	p = plan_access(kind);
	discard_refill = kind == FETCH ? refill_code : refill_data;
	discards[0] = (struct discard){ 0 };

	page_lose(target);
	expect(essa_is_discarded(essa_state(gfn_of(target))), "state %x",
	       essa_state(gfn_of(target)));

	fn = (void *)(uintptr_t)p.fn;
	if (user)
		ret = user_call(p.fn, p.arg[0], p.arg[1], p.arg[2], stack);
	else
		ret = fn(p.arg[0], p.arg[1], p.arg[2]);

	check_fault(&p, kind, user);
	/* Writes return nothing of interest. */
	if (kind != WRITE && kind != PUSH)
		expect_eq((uint32_t)ret, (uint32_t)p.result);
	check_content(&p, kind);
	expect_eq(essa_state(gfn_of(target)), ESSA_STABLE | ESSA_RESIDENT);
	discard_refill = NULL;
}

/* Whole words lost to a fault in each of the two pages a read spans. */
static void test_both_pages(unsigned long arg)
{
	uint64_t *target = scratch_page(TARGET);
	uint64_t half, ret;

	(void)arg;
	page_fill(target - PAGE_WORDS, SALT);
	page_fill(target, SALT);
	memcpy(&half, (char *)target - 4, sizeof(half));
	discard_refill = refill_data;
	discards[0] = (struct discard){ 0 };
	expect(page_volatile(target), "second page");
	expect(page_volatile(target - PAGE_WORDS), "first page");
	expect_eq(page_discard(target), 0);
	expect_eq(page_discard(target - PAGE_WORDS), 0);
	ret = access_read((char *)target - 4);
	expect_eq(discards[0].count, 2);
	expect_eq(discards[0].regs.rip, (uintptr_t)access_read_at);
	expect_eq(ret, half);
	discard_refill = NULL;
}

/* The host reports into an area that it must not trust. */
static void test_scribbled_info(unsigned long arg)
{
	volatile uint64_t *info = (volatile uint64_t *)essa_info();
	uint64_t *target = scratch_page(TARGET);
	unsigned int i;
	uint64_t ret;

	(void)arg;
	page_fill(target, SALT);
	discard_refill = refill_data;
	discards[0] = (struct discard){ 0 };
	page_lose(target);
	for (i = 0; i < sizeof(struct essa_vcpu_info) / 8; i++)
		info[i] = ~0ull;
	ret = access_read(target + WORD);
	expect_eq(discards[0].count, 1);
	expect_eq(discards[0].gpa / PAGE_SIZE, gfn_of(target));
	expect_eq(ret, page_word(target, SALT, WORD));
	essa_info()->latch = 0;
	discard_refill = NULL;
}

static const struct test tests[] = {
	{ "read at CPL0 faults and is retried", test_access, READ },
	{ "read at CPL3 faults and is retried", test_access, READ | USER },
	{ "read from the page before at CPL0", test_access, READ_ACROSS },
	{ "read from the page before at CPL3", test_access,
	  READ_ACROSS | USER },
	{ "write at CPL0 faults and is retried", test_access, WRITE },
	{ "write at CPL3 faults and is retried", test_access, WRITE | USER },
	{ "instruction fetch at CPL0", test_access, FETCH },
	{ "instruction fetch at CPL3", test_access, FETCH | USER },
	{ "push at CPL0", test_access, PUSH },
	{ "push at CPL3", test_access, PUSH | USER },
	{ "rep movsb, source, at CPL0", test_access, COPY_FROM },
	{ "rep movsb, source, at CPL3", test_access, COPY_FROM | USER },
	{ "rep movsb, destination, at CPL0", test_access, COPY_TO },
	{ "rep movsb, destination, at CPL3", test_access, COPY_TO | USER },
	{ "read across two discarded pages faults twice", test_both_pages, 0 },
	{ "fault over a scribbled information area", test_scribbled_info, 0 },
};

_Noreturn void guest_main(void)
{
	essa_need(true);
	if (essa_enable())
		bail_out("ESSA_CMD_ENABLE failed");
	test_run(tests, ARRAY_SIZE(tests));
}
