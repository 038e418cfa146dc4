// SPDX-License-Identifier: GPL-2.0-only
/* Rates, bars and lines of hyp top. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/cli/bar.h"
#include "hyp/util.h"

static void rates_are_by_the_time_of_the_vm(void **state)
{
	const struct sample a = { true, 7, 1000, { 10, 0, 5, 100 } };
	const struct sample b = { true, 7, 3000, { 14, 0, 5, 3100 } };
	double r[RATE_NR];

	(void)state;
	assert_true(rates_between(&a, &b, r));
	assert_true(r[RATE_FAULTS] == 2 && r[RATE_IN] == 0 &&
		    r[RATE_OUT] == 0 && r[RATE_DISCARDS] == 1500);
}

static void what_is_no_rate_is_none(void **state)
{
	const struct sample a = { true, 7, 1000, { 10, 10, 10, 10 } };
	const struct sample bad[] = {
		{ false, 7, 2000, { 20, 20, 20, 20 } },
		{ true, 7, 1000, { 20, 20, 20, 20 } }, /* no time */
		{ true, 7, 999, { 20, 20, 20, 20 } },  /* time went back */
		{ true, 8, 2000, { 20, 20, 20, 20 } }, /* another process */
		{ true, 7, 2000, { 20, 20, 20, 9 } },  /* a counter did */
	};
	const struct sample none = { 0 };
	double r[RATE_NR] = { -1 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(rates_between(&a, &bad[i], r));
	assert_false(rates_between(&none, &a, r));
	assert_true(r[0] == -1);
}

static void bars_are_full_and_hide_nothing(void **state)
{
	static const uint64_t cases[][BAR_NR] = {
		{ 1 },
		{ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
		{ 1ull << 53, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
		{ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 65536 },
		{ 0, 3, 0, 5, 7, 0, 1000, 0, 0, 1001, 0, 2 },
		{ 9000, 2000, 3000, 100, 0, 20000, 15000, 0, 1, 16434, 1, 0 },
	};
	unsigned int cells[BAR_NR], width, sum, i, c;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		for (width = BAR_MIN; width <= 200; width++) {
			bar_fill(cases[c], width, cells);
			for (sum = 0, i = 0; i < BAR_NR; i++) {
				assert_int_equal(!cells[i], !cases[c][i]);
				sum += cells[i];
			}
			assert_int_equal(sum, width);
		}
	}
	bar_fill((const uint64_t[BAR_NR]){ 0 }, 80, cells);
	for (i = 0; i < BAR_NR; i++)
		assert_int_equal(cells[i], 0);
	bar_fill((const uint64_t[BAR_NR]){ 1, 0, 0, 3 }, 80, cells);
	assert_true(cells[0] == 20 && cells[3] == 60);
}

static void signs_differ(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 0; i < BAR_NR; i++)
		for (j = 0; j < i; j++)
			assert_true(bar_signs[i] != bar_signs[j]);
}

static void lines_fit_and_stand_below_their_heading(void **state)
{
	const struct row row = { .name = "a-name-of-which-there-is-too-much-"
					 "for-most-terminals-but-not-for-all",
				 .state = "paused\033by\nuser",
				 .has_figures = true,
				 .has_rates = true,
				 .resident_mib = 1e6,
				 .limit_mib = 2e6,
				 .has_limit = true,
				 .per_s = { 0.1, 99999.9, 1e7, 1e300 } };
	char head[LINE_MAX_LEN], text[LINE_MAX_LEN];
	unsigned int width, i;

	(void)state;
	for (width = 0; width <= 200; width++) {
		row_text(head, width, NULL);
		row_text(text, width, &row);
		assert_true(strlen(text) <= width);
		assert_int_equal(strlen(text), strlen(head));
		for (i = 0; text[i]; i++)
			assert_in_range(text[i], ' ', '~');
		assert_int_equal(!!strstr(text, "1000000/2000000"),
				 !!strstr(head, "MiB"));
		assert_int_equal(width >= 80, !!strstr(head, "DISC/s"));
	}
	assert_non_null(strstr(text, "paused?by?user"));
}

static void what_is_not_known_is_a_dash(void **state)
{
	const struct row row = { .name = "a", .state = "dead" };
	char text[LINE_MAX_LEN];
	unsigned int dashes = 0, i;

	(void)state;
	row_text(text, 80, &row);
	for (i = 0; text[i]; i++) {
		dashes += text[i] == '-';
		assert_null(strchr("0123456789", text[i]));
	}
	assert_int_equal(dashes, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_by_the_time_of_the_vm),
		cmocka_unit_test(what_is_no_rate_is_none),
		cmocka_unit_test(bars_are_full_and_hide_nothing),
		cmocka_unit_test(signs_differ),
		cmocka_unit_test(lines_fit_and_stand_below_their_heading),
		cmocka_unit_test(what_is_not_known_is_a_dash),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
