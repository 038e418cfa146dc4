// SPDX-License-Identifier: GPL-2.0-only
/* The text of hyp metrics, parsed back; of VMs and of a hypd that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/cli/cli.h"
#include "hyp/cli/peers.h"
#include "hyp/cli/prom.h"
#include "hyp/ctl/message.h"
#include "hyp/stats.h"
#include "hyp/tests/rundir.h"

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
	if (strchr(line, '{'))
		assert_int_equal(sscanf(line, "%79[a-z0-9_]{%199[^}]} ",
					s->name, s->labels),
				 2);
	else
		assert_int_equal(sscanf(line, "%79[a-z0-9_] ", s->name), 1);
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

/* @all: taken over */
static struct text *parse(char *all, size_t len)
{
	struct text *t = calloc(1, sizeof(*t));
	char *copy, *rest, *line;

	t->all = all;
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

static struct text *print(const struct prom_vm *vms, size_t nr)
{
	char *all = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&all, &len);

	prom_print(file, vms, nr);
	fclose(file);
	return parse(all, len);
}

static struct text *print_host(const cJSON *host)
{
	char *all = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&all, &len);

	prom_print_host(file, host);
	fclose(file);
	return parse(all, len);
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

/* What hypd says: one VM without a limit, and two of one socket. */
#define HOST                                                                   \
	"{\"policy\":\"share\",\"limit_bytes\":8589934592,"                    \
	"\"counted_bytes\":5,\"limit_met\":true,\"host_pressed\":false,"       \
	"\"vms\":[{\"name\":\"web\",\"path\":\"/a/web.sock\","                 \
	"\"counted_bytes\":11,\"budget_bytes\":12,\"guaranteed_bytes\":13,"    \
	"\"limit_bytes\":null,\"charged_bytes\":14,\"pressure\":15,"           \
	"\"idle\":true,\"governed\":true},{\"name\":\"web\","                  \
	"\"path\":\"/b/web.sock\",\"budget_bytes\":1,\"governed\":false},"     \
	"{\"name\":\"web\",\"path\":\"/b/web.sock\",\"budget_bytes\":22,"      \
	"\"limit_bytes\":21,\"idle\":false,\"governed\":true}]}"

static void what_hypd_says_is_there(void **state)
{
	static const struct {
		const char *name, *labels;
		double value;
	} all[] = {
		{ "hyp_host_up", "", 1 },
		{ "hyp_host_info", "policy=\"share\"", 1 },
		{ "hyp_host_limit_bytes", "", 8589934592 },
		{ "hyp_host_counted_bytes", "", 5 },
		{ "hyp_host_limit_met", "", 1 },
		{ "hyp_host_pressed", "", 0 },
		{ "hyp_host_vm_limit_bytes",
		  "vm=\"web\",socket=\"/a/web.sock\"", 0 },
		{ "hyp_host_vm_limit_bytes",
		  "vm=\"web\",socket=\"/b/web.sock\"", 21 },
		{ "hyp_host_vm_budget_bytes",
		  "vm=\"web\",socket=\"/a/web.sock\"", 12 },
		{ "hyp_host_vm_budget_bytes",
		  "vm=\"web\",socket=\"/b/web.sock\"", 22 },
		{ "hyp_host_vm_guaranteed_bytes",
		  "vm=\"web\",socket=\"/a/web.sock\"", 13 },
		{ "hyp_host_vm_counted_bytes",
		  "vm=\"web\",socket=\"/a/web.sock\"", 11 },
		{ "hyp_host_vm_charged_bytes",
		  "vm=\"web\",socket=\"/a/web.sock\"", 14 },
		{ "hyp_host_vm_pressure", "vm=\"web\",socket=\"/a/web.sock\"",
		  15 },
		{ "hyp_host_vm_idle", "vm=\"web\",socket=\"/a/web.sock\"", 1 },
		{ "hyp_host_vm_idle", "vm=\"web\",socket=\"/b/web.sock\"", 0 },
		{ "hyp_host_vm_governed", "vm=\"web\",socket=\"/a/web.sock\"",
		  1 },
		{ "hyp_host_vm_governed", "vm=\"web\",socket=\"/b/web.sock\"",
		  1 },
	};
	cJSON *host = cJSON_Parse(HOST);
	struct text *t;
	unsigned int i;

	(void)state;
	assert_non_null(host);
	t = print_host(host);
	for (i = 0; i < ARRAY_SIZE(all); i++)
		assert_true(value_of(t, all[i].name, all[i].labels) ==
			    all[i].value);
	/* And nothing twice. */
	assert_int_equal(t->nr, ARRAY_SIZE(all));
	drop(t);
	cJSON_Delete(host);
}

static void rubbish_of_hypd_does_no_harm(void **state)
{
	static const char *const texts[] = {
		"[]",
		"7",
		"{\"policy\":1,\"limit_bytes\":\"1\",\"vms\":\"x\"}",
		"{\"limit_met\":null,\"counted_bytes\":1e999,\"vms\":[1]}",
		"{\"vms\":{\"a\":[],\"b\":{\"pressure\":null}}}",
		"{\"vms\":[{\"name\":1,\"path\":2,\"idle\":\"x\"},{}]}",
	};
	cJSON *host;
	struct text *t;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		host = cJSON_Parse(texts[i]);
		assert_non_null(host);
		t = print_host(host);
		assert_int_equal(t->nr, 1);
		assert_true(value_of(t, "hyp_host_up", "") == 1);
		drop(t);
		cJSON_Delete(host);
	}
	host = cJSON_Parse("{\"policy\":\"a\\\"b\",\"vms\":[{\"name\":"
			   "\"c\\\"\\nd\",\"path\":\"\\\\\",\"idle\":true}]}");
	t = print_host(host);
	assert_true(value_of(t, "hyp_host_info", "policy=\"a\\\"b\"") == 1);
	assert_true(value_of(t, "hyp_host_vm_idle",
			     "vm=\"c\\\"\\nd\",socket=\"\\\\\"") == 1);
	drop(t);
	cJSON_Delete(host);
}

static const char vm_says[] = ANSWER("{\"state\":\"running\"}");
static const char hypd_says[] = ANSWER(HOST);

static int make_dir(void **state)
{
	struct dir *d = dir_make("/tmp/hyp-metrics-XXXXXX");

	dir_add(d, "web", vm_says);
	*state = d;
	return 0;
}

static int remove_dir(void **state)
{
	dir_remove(*state);
	return 0;
}

static struct fake *add_hypd(struct dir *d)
{
	return dir_add(d, CTL_MANAGER, hypd_says);
}

/* What hyp metrics writes. */
static struct text *run(void)
{
	char *argv[] = { (char *)"metrics", NULL };
	size_t len;
	char *all = output_of(cli_metrics, argv, &len);

	return parse(all, len);
}

static void hypd_is_asked_beside_vms(void **state)
{
	struct text *t;

	add_hypd(*state);
	dir_start(*state);
	t = run();
	assert_true(value_of(t, "hyp_up", "vm=\"web\"") == 1);
	assert_true(value_of(t, "hyp_host_up", "") == 1);
	assert_true(value_of(t, "hyp_host_limit_bytes", "") == 8589934592);
	assert_true(value_of(t, "hyp_host_vm_pressure",
			     "vm=\"web\",socket=\"/a/web.sock\"") == 15);
	/* It is no VM. */
	assert_null(strstr(t->all, "vm=\"hypd\""));
	drop(t);
}

static void without_hypd_there_is_nothing_of_it(void **state)
{
	struct text *t;

	dir_start(*state);
	t = run();
	assert_true(value_of(t, "hyp_up", "vm=\"web\"") == 1);
	assert_null(strstr(t->all, "hyp_host"));
	drop(t);
}

/* Nobody listens at its socket, which is known at once: no answer is due. */
static void of_a_dead_hypd_there_is_nothing(void **state)
{
	struct peers peers = { .with_manager = true };
	struct dir *d = *state;
	struct why why = { "" };
	struct text *t;

	add_hypd(d);
	dir_start(d);
	dir_stop(d);
	assert_int_equal(peers_find(&peers, &why), 0);
	assert_non_null(peers.manager);
	peers_ask(&peers, "stat");
	assert_false(peers_due(&peers));
	assert_int_equal(peers.manager->code, ASK_NO_VM);
	peers_fini(&peers);
	assert_null(peers.manager);
	t = run();
	assert_true(value_of(t, "hyp_up", "vm=\"web\"") == 0);
	assert_null(strstr(t->all, "hyp_host"));
	drop(t);
}

static void a_silent_hypd_hides_nothing(void **state)
{
	struct text *t;

	add_hypd(*state)->hangs = true;
	dir_start(*state);
	t = run();
	assert_true(value_of(t, "hyp_up", "vm=\"web\"") == 1);
	assert_true(value_of(t, "hyp_host_up", "") == 0);
	assert_null(strstr(t->all, "hyp_host_limit"));
	drop(t);
}

static void who_does_not_want_hypd_does_not_ask_it(void **state)
{
	struct peers peers = { NULL };
	struct why why = { "" };

	add_hypd(*state);
	dir_start(*state);
	assert_int_equal(peers_find(&peers, &why), 0);
	peers_ask(&peers, "info");
	peers_wait(&peers);
	assert_null(peers.manager);
	assert_string_equal(peers.first->name, "web");
	assert_null(peers.first->next);
	peers_fini(&peers);
	assert_int_equal(fakes->vms[1].calls, 0);
}

#define WITH_DIR(test)                                                         \
	cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_counter_is_there_once),
		cmocka_unit_test(units_are_those_of_the_names),
		cmocka_unit_test(names_are_escaped_and_the_silent_are_down),
		cmocka_unit_test(waits_are_cumulative_histograms),
		cmocka_unit_test(rubbish_does_no_harm),
		cmocka_unit_test(what_hypd_says_is_there),
		cmocka_unit_test(rubbish_of_hypd_does_no_harm),
		WITH_DIR(hypd_is_asked_beside_vms),
		WITH_DIR(without_hypd_there_is_nothing_of_it),
		WITH_DIR(of_a_dead_hypd_there_is_nothing),
		WITH_DIR(a_silent_hypd_hides_nothing),
		WITH_DIR(who_does_not_want_hypd_does_not_ask_it),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
