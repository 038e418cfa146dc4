// SPDX-License-Identifier: GPL-2.0-only
/* Contents that tell which page they belong to, and a page's way of life. */
#include "guest-tests/lib/guest.h"

/* A fill that another CPU or the host is still busy with is over by then. */
#define ATTEMPTS 200

/* mov $CODE_RESULT, %eax; ret; and int3 up to 16 bytes */
static const uint64_t code[2] = {
	0xb8ull | (uint64_t)CODE_RESULT << 8 | 0xc3ull << 40 | 0xccccull << 48,
	0xccccccccccccccccull,
};

uint64_t page_word(const uint64_t *page, uint64_t salt, unsigned int i)
{
	uint64_t v = ((uintptr_t)page + i) * 0x9e3779b97f4a7c15ull + salt;

	v = (v ^ v >> 31) * 0xbf58476d1ce4e5b9ull;
	return v ^ v >> 29;
}

void page_fill(uint64_t *page, uint64_t salt)
{
	volatile uint64_t *p = page;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		p[i] = page_word(page, salt, i);
}

int page_check(const uint64_t *page, uint64_t salt)
{
	const volatile uint64_t *p = page;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		if (p[i] != page_word(page, salt, i))
			return (int)i;
	return -1;
}

bool page_is_zero(const uint64_t *page)
{
	const volatile uint64_t *p = page;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		if (p[i])
			return false;
	return true;
}

void page_fill_code(uint64_t *page)
{
	volatile uint64_t *p = page;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		p[i] = code[i % 2];
}

bool page_is_code(const uint64_t *page)
{
	const volatile uint64_t *p = page;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		if (p[i] != code[i % 2])
			return false;
	return true;
}

bool page_volatile(const void *page)
{
	unsigned int i;

	for (i = 0; i < ATTEMPTS; i++) {
		essa_op(gfn_of(page), ESSA_OP_SET_VOLATILE);
		if ((essa_state(gfn_of(page)) & ESSA_USAGE_MASK) ==
		    ESSA_VOLATILE)
			return true;
	}
	return false;
}

int32_t page_discard(const void *page)
{
	unsigned int i;
	int32_t err;

	for (i = 0; i < ATTEMPTS; i++) {
		err = essa_cmd(ESSA_CMD_TEST_DISCARD, gfn_of(page), 1);
		if (!err)
			return essa_cmd(ESSA_CMD_WAIT, gfn_of(page), 1);
	}
	return err;
}

void page_lose(const void *page)
{
	expect(page_volatile(page), "state %x", essa_state(gfn_of(page)));
	expect_eq(page_discard(page), 0);
}

void page_stable_empty(const void *page)
{
	essa_op(gfn_of(page), ESSA_OP_SET_UNUSED);
	essa_op(gfn_of(page), ESSA_OP_SET_STABLE);
}
