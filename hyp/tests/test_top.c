// SPDX-License-Identifier: GPL-2.0-only
/* Rates, bars and lines of hyp top; of VMs and of a hypd that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/cli/bar.h"
#include "hyp/cli/cli.h"
#include "hyp/cli/top.h"
#include "hyp/tests/rundir.h"

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

/* The longest there is. */
#define WHY "entitlements exceed the host's limit"

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
				 .per_s = { 0.1, 99999.9, 1e7, 1e300 },
				 .has_budget = true,
				 .budget_mib = 12345678,
				 .pressure = 87654321,
				 .why = WHY };
	char head[LINE_MAX_LEN], text[LINE_MAX_LEN];
	unsigned int width, i, host;

	(void)state;
	for (width = 0; width <= 200; width++) {
		for (host = 0; host < 2; host++) {
			row_text(head, width, host, NULL);
			row_text(text, width, host, &row);
			assert_true(strlen(text) <= width);
			assert_int_equal(strlen(text), strlen(head));
			for (i = 0; text[i]; i++)
				assert_in_range(text[i], ' ', '~');
			assert_int_equal(!!strstr(text, "1000000/2000000"),
					 !!strstr(head, "MiB"));
			assert_int_equal(width >= (host ? 98 : 80),
					 !!strstr(head, "DISC/s"));
			assert_int_equal(host && width >= 62,
					 !!strstr(head, "PRESSURE"));
			assert_int_equal(host && width >= 62,
					 !!strstr(text, " 12345678 87654321"));
			assert_int_equal(host && width >= 116,
					 !!strstr(head, "WHY"));
			assert_int_equal(host && width >= ROW_WITH_HOST,
					 !!strstr(text, WHY));
		}
	}
	assert_non_null(strstr(text, "paused?by?user"));
}

static void what_is_not_known_is_a_dash(void **state)
{
	const struct row row = { .name = "a", .state = "dead" };
	char text[LINE_MAX_LEN];
	unsigned int dashes, i, host;

	(void)state;
	for (host = 0; host < 2; host++) {
		row_text(text, 200, host, &row);
		for (dashes = 0, i = 0; text[i]; i++) {
			dashes += text[i] == '-';
			assert_null(strchr("0123456789", text[i]));
		}
		assert_int_equal(dashes, host ? 8 : 5);
	}
}

#define VM                                                                     \
	ANSWER("{\"state\":\"running\",\"page_bytes\":4096,\"uptime_ms\":1,"   \
	       "\"limit_bytes\":8388608,\"counters\":{\"mem_resident\":512}}")

struct host_rig {
	struct dir *dir;
	char says[1500];
};

/* Two VMs, of which hypd knows one, former ones at its socket, and a stranger. */
static int make_rig(void **state)
{
	/* Shared, as what hypd says has the pid of who answers. */
	struct host_rig *rig = mmap(NULL, sizeof(*rig), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(rig != MAP_FAILED);
	rig->dir = dir_make("/tmp/hyp-top-XXXXXX");
	dir_add(rig->dir, "db", VM);
	dir_add(rig->dir, "web", VM);
	*state = rig;
	return 0;
}

static int remove_rig(void **state)
{
	struct host_rig *rig = *state;

	dir_remove(rig->dir);
	munmap(rig, sizeof(*rig));
	return 0;
}

static void start_with_hypd(struct host_rig *rig, bool closes)
{
	struct fake *f = dir_add(rig->dir, CTL_MANAGER, rig->says);

	f->closes = closes;
	dir_start(rig->dir);
	snprintf(rig->says, sizeof(rig->says),
		 ANSWER("{\"policy\":\"sha\\tre\",\"limit_bytes\":17179869184,"
			"\"counted_bytes\":1073741824,\"limit_met\":false,"
			"\"host_pressed\":true,\"vms\":["
			"{\"name\":\"web\",\"path\":\"/x/web.sock\","
			"\"budget_bytes\":1048576,\"pressure\":1},"
			"{\"name\":\"web\",\"path\":\"%s/web.sock\",\"pid\":1,"
			"\"budget_bytes\":2097152,\"pressure\":2},"
			"{\"name\":\"web\",\"path\":\"%s/web.sock\","
			"\"pid\":%d,\"budget_bytes\":324009984,"
			"\"pressure\":77,"
			"\"last_change\":{\"reason\":\"the reason\"}},"
			"{\"name\":\"web\",\"path\":\"%s/web.sock\",\"pid\":1,"
			"\"budget_bytes\":3145728,\"pressure\":3}]}"),
		 rig->dir->path, rig->dir->path, (int)rig->dir->pid,
		 rig->dir->path);
	f->says_len = strlen(rig->says);
}

static char *top(bool json)
{
	char *argv[] = { (char *)"top",
			 (char *)"--once",
			 (char *)"--interval",
			 (char *)"0.1",
			 json ? (char *)"--json" : NULL,
			 NULL };
	size_t len;

	return output_of(cli_top, argv, &len);
}

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static cJSON *top_json(void)
{
	char *text = top(true);
	cJSON *all = cJSON_Parse(text);

	assert_non_null(all);
	assert_int_equal(cJSON_GetArraySize(get(all, "vms")), 2);
	free(text);
	return all;
}

static const cJSON *vm_of(const cJSON *all, const char *name)
{
	const cJSON *vm;

	cJSON_ArrayForEach(vm, get(all, "vms"))
	{
		if (!strcmp(get(vm, "name")->valuestring, name))
			return vm;
	}
	fail();
	return NULL;
}

static void hypd_has_a_line_and_columns(void **state)
{
	struct host_rig *rig = *state;
	char *text, *line;

	start_with_hypd(rig, false);
	text = top(false);
	line = text;
	assert_string_equal(
		strsep(&line, "\n"),
		"host: 1024 of 16384 MiB counted, policy sha?re; the limit cannot be met; the host itself is short");
	assert_non_null(strstr(line, "WANT/MiB PRESSURE FAULTS/s"));
	assert_non_null(strstr(line, " WHY "));
	/* It is no VM. */
	assert_null(strstr(line, "hypd"));
	strsep(&line, "\n");
	assert_memory_equal(line, "db ", 3);
	assert_non_null(strstr(strsep(&line, "\n"), "2/8        -        - "));
	assert_memory_equal(line, "web ", 4);
	strtok(line, "\n");
	assert_non_null(strstr(line, "2/8      309       77 "));
	assert_non_null(strstr(line, " the reason "));
	free(text);
}

static void hypd_is_in_json(void **state)
{
	struct host_rig *rig = *state;
	const cJSON *host, *vm;
	cJSON *all;

	start_with_hypd(rig, false);
	all = top_json();
	host = get(all, "host");
	assert_true(cJSON_IsTrue(get(host, "answers")));
	assert_string_equal(get(host, "policy")->valuestring, "sha\tre");
	assert_true(get(host, "limit_bytes")->valuedouble == 17179869184.0);
	assert_true(get(host, "counted_bytes")->valuedouble == 1073741824.0);
	assert_true(cJSON_IsFalse(get(host, "limit_met")));
	assert_true(cJSON_IsTrue(get(host, "host_pressed")));
	vm = vm_of(all, "web");
	assert_true(get(vm, "budget_bytes")->valuedouble == 324009984.0);
	assert_true(get(vm, "pressure")->valuedouble == 77);
	assert_string_equal(get(vm, "reason")->valuestring, "the reason");
	vm = vm_of(all, "db");
	assert_true(cJSON_IsNull(get(vm, "budget_bytes")));
	assert_true(cJSON_IsNull(get(vm, "pressure")));
	cJSON_Delete(all);
}

static void see_nothing_of_hypd(void)
{
	cJSON *all = top_json();
	char *text = top(false);

	assert_true(cJSON_IsNull(get(all, "host")));
	assert_null(get(vm_of(all, "web"), "budget_bytes"));
	assert_null(get(vm_of(all, "web"), "pressure"));
	assert_memory_equal(text, "NAME ", 5);
	assert_null(strstr(text, "PRESSURE"));
	assert_null(strstr(text, "host:"));
	cJSON_Delete(all);
	free(text);
}

static void without_hypd_there_is_nothing_of_it(void **state)
{
	struct host_rig *rig = *state;

	dir_start(rig->dir);
	see_nothing_of_hypd();
}

static void of_a_dead_hypd_there_is_nothing(void **state)
{
	struct host_rig *rig = *state;

	start_with_hypd(rig, false);
	dir_stop(rig->dir);
	see_nothing_of_hypd();
}

static void a_hypd_without_an_answer_hides_nothing(void **state)
{
	struct host_rig *rig = *state;
	char *text, *line;
	cJSON *all;

	start_with_hypd(rig, true);
	text = top(false);
	line = text;
	assert_string_equal(strsep(&line, "\n"), "hypd: no answer");
	assert_non_null(strstr(line, "2/8        -        - "));
	free(text);
	all = top_json();
	assert_true(cJSON_IsFalse(get(get(all, "host"), "answers")));
	assert_null(get(get(all, "host"), "limit_bytes"));
	assert_true(get(vm_of(all, "web"), "resident_bytes")->valuedouble ==
		    2097152);
	cJSON_Delete(all);
}

static void what_hypd_said_has_its_age(void **state)
{
	struct host host = { .at_ms = now_ms(),
			     .policy = "static",
			     .limit = 8 * MIB,
			     .counted = 3 * MIB,
			     .limit_met = true };
	struct guest guest = { .at_ms = now_ms(),
			       .has_budget = true,
			       .budget = 4 * MIB };
	struct peer web = { .name = "web", .data = &guest };
	char text[LINE_MAX_LEN], vm[TOP_STATE];
	struct row row;

	(void)state;
	top_host_line(text, &host, 1000000);
	assert_string_equal(text, "host: 3 of 8 MiB counted, policy static");
	top_row(&row, vm, &web, &host, 1000000);
	assert_true(row.has_budget && row.budget_mib == 4);
	/* The next request has had no answer: what it wanted is not shown. */
	host.code = ASK_REFUSED;
	top_host_line(text, &host, 1000000);
	assert_non_null(strstr(text, "hypd: no answer "));
	assert_non_null(
		strstr(text, "s; host: 3 of 8 MiB counted, policy static"));
	top_row(&row, vm, &web, &host, 1000000);
	assert_false(row.has_budget);
	top_row(&row, vm, &web, NULL, 1000000);
	assert_false(row.has_budget);
}

#define WITH_RIG(test)                                                         \
	cmocka_unit_test_setup_teardown(test, make_rig, remove_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_by_the_time_of_the_vm),
		cmocka_unit_test(what_is_no_rate_is_none),
		cmocka_unit_test(bars_are_full_and_hide_nothing),
		cmocka_unit_test(signs_differ),
		cmocka_unit_test(lines_fit_and_stand_below_their_heading),
		cmocka_unit_test(what_is_not_known_is_a_dash),
		cmocka_unit_test(what_hypd_said_has_its_age),
		WITH_RIG(hypd_has_a_line_and_columns),
		WITH_RIG(hypd_is_in_json),
		WITH_RIG(without_hypd_there_is_nothing_of_it),
		WITH_RIG(of_a_dead_hypd_there_is_nothing),
		WITH_RIG(a_hypd_without_an_answer_hides_nothing),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
