// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every scanner finds what essa_host_discard() would allow, and nothing else:
 * each byte at each place among others of one kind, random tables, all ranges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <essa/random.h>
#include <essa/scan.h>
#include <essa/step.h>

#define BLOCKS 9u
#define BYTES  (BLOCKS * ESSA_SCAN_BLOCK)

static uint8_t states[BYTES] __attribute__((aligned(ESSA_SCAN_BLOCK)));
static struct essa_scanner scanners[ESSA_MAX_SCANNERS];
static unsigned int nr_scanners;

/* From the transition function, but for the content that does not exist. */
static bool wanted(uint8_t byte, uint8_t usage)
{
	if ((byte & ESSA_USAGE_MASK) != usage ||
	    (byte & ESSA_CONTENT_MASK) == ESSA_CONTENT_MASK)
		return false;
	return essa_host_discard(byte, 0) != ESSA_REFUSED;
}

static uint64_t expected(uint64_t first, uint64_t end,
			 struct essa_nominees *found)
{
	uint64_t i;
	unsigned int n;

	*found = (struct essa_nominees){ 0 };
	for (i = first; i < end; i += ESSA_SCAN_BLOCK) {
		for (n = 0; n < ESSA_SCAN_BLOCK; n++) {
			uint8_t byte = states[i + n];

			found->unused |= (uint64_t)wanted(byte, ESSA_UNUSED)
					 << n;
			found->volatiles |=
				(uint64_t)wanted(byte, ESSA_VOLATILE) << n;
		}
		if (found->unused || found->volatiles)
			break;
	}
	return i;
}

static void compare(uint64_t first, uint64_t end)
{
	struct essa_nominees want, got;
	uint64_t at = expected(first, end, &want);
	unsigned int k;

	for (k = 0; k < nr_scanners; k++) {
		memset(&got, 0xff, sizeof(got));
		if (scanners[k].scan(states, first, end, &got) != at ||
		    got.unused != want.unused ||
		    got.volatiles != want.volatiles)
			fail_msg("%s differs in [%llu, %llu)", scanners[k].name,
				 (unsigned long long)first,
				 (unsigned long long)end);
	}
}

static void every_byte_at_every_place(void **s)
{
	/* Stable, not to be had, and to be had. */
	static const uint8_t others[] = { 0x00, 0x03, 0x16, 0x22, 0x01, 0x0a };
	unsigned int byte, at, k;

	(void)s;
	for (k = 0; k < sizeof(others); k++)
		for (byte = 0; byte < 256; byte++)
			for (at = 0; at < ESSA_SCAN_BLOCK; at++) {
				memset(states, others[k], ESSA_SCAN_BLOCK);
				states[at] = (uint8_t)byte;
				compare(0, ESSA_SCAN_BLOCK);
			}
}

static void random_tables_all_ranges(void **s)
{
	struct rng rng = { 1 };
	unsigned int round, i, first, end;

	(void)s;
	for (round = 0; round < 3000; round++) {
		/* From all random to nearly empty. */
		unsigned int one_in = 1u << round % 10;

		for (i = 0; i < BYTES; i++)
			states[i] = rng_next(&rng) % one_in ?
					    ESSA_STABLE :
					    (uint8_t)(rng_next(&rng) >> 56);
		for (first = 0; first <= BLOCKS; first++)
			for (end = first; end <= BLOCKS; end++)
				compare(first * ESSA_SCAN_BLOCK,
					end * ESSA_SCAN_BLOCK);
	}
}

static void the_best_is_the_last(void **s)
{
	unsigned int k;

	(void)s;
	for (k = 0; k < nr_scanners; k++)
		printf("# %s\n", scanners[k].name);
	assert_ptr_equal(essa_best_scanner(), scanners[nr_scanners - 1].scan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_at_every_place),
		cmocka_unit_test(random_tables_all_ranges),
		cmocka_unit_test(the_best_is_the_last),
	};

	nr_scanners = essa_scanners(scanners);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
