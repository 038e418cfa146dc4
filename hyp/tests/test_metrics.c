// SPDX-License-Identifier: GPL-2.0-only
/* The text of hyp metrics, parsed back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/cli/prom.h"
#include "hyp/ctl/message.h"
#include "hyp/stats.h"

#define MAX_NAMES 200

struct sample {
	char name[80], labels[200];
	double value;
};

struct text {
	char *all;
	struct sample samples[2 * MAX_NAMES];
	char helped[MAX_NAMES][80], typed[MAX_NAMES][80];
	unsigned int nr, nr_helped, nr_typed;
};

/* Values that tell all counters apart. */
static void add(void *ctx, const char *name, uint64_t value)
{
	cJSON *counters = ctx;

	(void)value;
	ctl_add_u64(counters, name,
		    1000003ull *
			    (unsigned int)(cJSON_GetArraySize(counters) + 1));
}

static cJSON *make_stat(void)
{
	struct stats s = { .balloon.stats_valid = ~0u };
	cJSON *made = cJSON_CreateObject(), *read;
	char *text;

	cJSON_AddStringToObject(made, "state", "paused");
	ctl_add_u64(made, "page_bytes", 4096);
	stats_each(&s, add, cJSON_AddObjectToObject(made, "counters"));
	ctl_add_u64(cJSON_AddObjectToObject(
			    cJSON_AddObjectToObject(made, "frames"), "V"),
		    "p", 77);
	/* As it comes from the socket. */
	text = cJSON_PrintUnformatted(made);
	read = cJSON_Parse(text);
	assert_non_null(read);
	free(text);
	cJSON_Delete(made);
	return read;
}

/* "# HELP name text": each name once, before its samples. */
static void comment(struct text *t, const char *line)
{
	char word[8], name[80], rest[200];
	char(*all)[80] = t->helped;
	unsigned int *nr = &t->nr_helped, i;

	assert_int_equal(sscanf(line, "# %7s %79s %199[^\n]", word, name, rest),
			 3);
	if (!strcmp(word, "TYPE")) {
		all = t->typed;
		nr = &t->nr_typed;
		assert_true(
			!strcmp(rest, "counter") || !strcmp(rest, "gauge") ||
			!strcmp(rest, "histogram") || !strcmp(rest, "untyped"));
		assert_int_equal(!strcmp(rest, "counter"),
				 !strcmp(name + strlen(name) - 6, "_total"));
	} else {
		assert_string_equal(word, "HELP");
	}
	for (i = 0; i < *nr; i++)
		assert_string_not_equal(all[i], name);
	assert_true(*nr < MAX_NAMES);
	strcpy(all[(*nr)++], name);
}

static void sample(struct text *t, const char *line)
{
	struct sample *s = &t->samples[t->nr];
	const char *group;
	char *end;

	assert_true(t->nr++ < ARRAY_SIZE(t->samples));
	assert_int_equal(
		sscanf(line, "%79[a-z0-9_]{%199[^}]} ", s->name, s->labels), 2);
	s->value = strtod(strrchr(line, ' '), &end);
	assert_int_equal(*end, '\0');
	/* Of the group that is being printed: lines of a name are together. */
	group = t->helped[t->nr_helped - 1];
	assert_string_equal(t->typed[t->nr_typed - 1], group);
	if (!strncmp(s->name, group, strlen(group)) &&
	    (!strcmp(s->name + strlen(group), "_bucket") ||
	     !strcmp(s->name + strlen(group), "_sum") ||
	     !strcmp(s->name + strlen(group), "_count")))
		return;
	assert_string_equal(group, s->name);
}

static struct text *print(const struct prom_vm *vms, size_t nr)
{
	struct text *t = calloc(1, sizeof(*t));
	size_t len = 0;
	FILE *file = open_memstream(&t->all, &len);
	char *copy, *rest, *line;

	prom_print(file, vms, nr);
	fclose(file);
	assert_int_equal(t->all[len - 1], '\n');
	rest = copy = strdup(t->all);
	copy[len - 1] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (*line == '#')
			comment(t, line);
		else
			sample(t, line);
	}
	free(copy);
	return t;
}

static void drop(struct text *t)
{
	free(t->all);
	free(t);
}

static unsigned int count(const struct text *t, double value)
{
	unsigned int i, n = 0;

	for (i = 0; i < t->nr; i++)
		n += t->samples[i].value == value;
	return n;
}

static double value_of(const struct text *t, const char *name,
		       const char *labels)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++)
		if (!strcmp(t->samples[i].name, name) &&
		    !strcmp(t->samples[i].labels, labels))
			return t->samples[i].value;
	fail_msg("no %s{%s} in\n%s", name, labels, t->all);
	return 0;
}

static void each_counter_is_there_once(void **state)
{
	cJSON *stat = make_stat(), *item;
	const struct prom_vm vm = { "web", stat };
	struct text *t = print(&vm, 1);
	unsigned int n;

	(void)state;
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(stat, "counters"))
	{
		n = count(t, item->valuedouble) +
		    count(t, item->valuedouble * 4096) +
		    (strstr(item->string, "_ms") ?
			     count(t, item->valuedouble / 1000) :
			     0) +
		    (strstr(item->string, "_us") ?
			     count(t, item->valuedouble / 1000000) :
			     0);
		if (n != 1)
			fail_msg("%s: %u times", item->string, n);
	}
	assert_null(strstr(t->all, "hyp_other_"));
	/* And up, paused, one of the frames. */
	assert_int_equal(
		t->nr,
		cJSON_GetArraySize(cJSON_GetObjectItem(stat, "counters")) + 3);
	drop(t);
	cJSON_Delete(stat);
}

static void units_are_those_of_the_names(void **state)
{
	cJSON *stat = cJSON_Parse(
		"{\"state\":\"running\",\"page_bytes\":4096,\"counters\":{"
		"\"mem_resident\":3,\"paused_ms\":1500,\"mem_limit\":0,"
		"\"mem_discarded_volatile\":9007199254740991}}");
	const struct prom_vm vm = { "a", stat };
	struct text *t = print(&vm, 1);

	(void)state;
	assert_true(value_of(t, "hyp_resident_bytes", "vm=\"a\"") == 12288);
	assert_true(value_of(t, "hyp_paused_seconds_total", "vm=\"a\"") == 1.5);
	assert_true(value_of(t, "hyp_limit_bytes", "vm=\"a\"") == 0);
	assert_true(value_of(t, "hyp_discarded_volatile_pages_total",
			     "vm=\"a\"") == 9007199254740991.0);
	assert_true(value_of(t, "hyp_paused", "vm=\"a\"") == 0);
	drop(t);
	cJSON_Delete(stat);
}

static void names_are_escaped_and_the_silent_are_down(void **state)
{
	cJSON *stat = make_stat();
	const struct prom_vm vms[] = {
		{ "a\"b\\c\nd", stat },
		{ "mute", NULL },
		{ "z", stat },
	};
	struct text *t = print(vms, 3);

	(void)state;
	assert_true(value_of(t, "hyp_up", "vm=\"a\\\"b\\\\c\\nd\"") == 1);
	assert_true(value_of(t, "hyp_up", "vm=\"mute\"") == 0);
	assert_true(value_of(t, "hyp_paused", "vm=\"z\"") == 1);
	assert_true(
		value_of(t, "hyp_pages",
			 "vm=\"z\",usage=\"volatile\",content=\"preserved\"") ==
		77);
	assert_ptr_equal(strstr(strstr(t->all, "mute") + 1, "mute"), NULL);
	drop(t);
	cJSON_Delete(stat);
	t = print(vms, 0);
	assert_int_equal(t->nr, 0);
	drop(t);
}

static void waits_are_cumulative_histograms(void **state)
{
	cJSON *stat = cJSON_Parse(
		"{\"waits\":{\"page_in\":{\"count\":11,\"sum_ns\":1500000000,"
		"\"buckets\":[[1024,1],[1280,2],[2048,3],[2560,4],[null,1]]},"
		"\"zero\":{\"count\":0,\"sum_ns\":0,\"buckets\":[]}}}");
	const struct prom_vm vm = { "a", stat };
	struct text *t = print(&vm, 1);
	const char *name = "hyp_wait_seconds_bucket";
	unsigned int i, n = 0;

	(void)state;
	assert_true(value_of(t, name,
			     "vm=\"a\",kind=\"page_in\",le=\"1.024e-06\"") ==
		    1);
	assert_true(value_of(t, name,
			     "vm=\"a\",kind=\"page_in\",le=\"2.048e-06\"") ==
		    6);
	assert_true(value_of(t, name,
			     "vm=\"a\",kind=\"page_in\",le=\"4.096e-06\"") ==
		    10);
	assert_true(value_of(t, name,
			     "vm=\"a\",kind=\"page_in\",le=\"17.17986918\"") ==
		    10);
	assert_true(value_of(t, name,
			     "vm=\"a\",kind=\"page_in\",le=\"+Inf\"") == 11);
	assert_true(value_of(t, "hyp_wait_seconds_count",
			     "vm=\"a\",kind=\"page_in\"") == 11);
	assert_true(value_of(t, "hyp_wait_seconds_sum",
			     "vm=\"a\",kind=\"page_in\"") == 1.5);
	assert_true(value_of(t, name, "vm=\"a\",kind=\"zero\",le=\"+Inf\"") ==
		    0);
	for (i = 0; i < t->nr; i++)
		n += !strcmp(t->samples[i].name, name);
	/* The same bounds for all. */
	assert_int_equal(n, 2 * 26);
	drop(t);
	cJSON_Delete(stat);
}

static void rubbish_does_no_harm(void **state)
{
	cJSON *a = cJSON_Parse(
		"{\"counters\":{\"new\":1,\"new\":2,\"x} 1\\n\":3,\"\":4,"
		"\"mem_resident\":\"5\",\"scans\":1e999}}");
	cJSON *b = cJSON_Parse("{\"counters\":{\"new\":6,\"up\":7}}");
	cJSON *c = cJSON_Parse(
		"{\"counters\":[8],\"frames\":9,\"state\":1,\"waits\":{"
		"\"zero\":4,\"x\\n\":{\"count\":1,\"sum_ns\":1},\"write\":"
		"{\"count\":\"1\",\"sum_ns\":1},\"other\":{\"count\":1}}}");
	const struct prom_vm vms[] = { { "a", a }, { "b", b }, { "c", c } };
	struct text *t = print(vms, 3);

	(void)state;
	assert_true(value_of(t, "hyp_other_new", "vm=\"a\"") == 1);
	assert_true(value_of(t, "hyp_other_new", "vm=\"b\"") == 6);
	assert_true(value_of(t, "hyp_other_up", "vm=\"b\"") == 7);
	assert_int_equal(t->nr, 6); /* these and three times hyp_up */
	drop(t);
	cJSON_Delete(a);
	cJSON_Delete(b);
	cJSON_Delete(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_counter_is_there_once),
		cmocka_unit_test(units_are_those_of_the_names),
		cmocka_unit_test(names_are_escaped_and_the_silent_are_down),
		cmocka_unit_test(waits_are_cumulative_histograms),
		cmocka_unit_test(rubbish_does_no_harm),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
