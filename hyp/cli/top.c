// SPDX-License-Identifier: GPL-2.0-only
/*
 * hyp top.  A VM is asked again each interval unless an answer is due; figures
 * stay on the screen if none comes, but with their age.
 */
#include "hyp/cli/top.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hyp/cli/cli.h"
#include "hyp/cli/show.h"
#include "hyp/ctl/message.h"

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static uint64_t whole(const cJSON *item)
{
	/* Also false for what is no number. */
	return cJSON_IsNumber(item) && item->valuedouble >= 0 &&
			       item->valuedouble < 9007199254740992.0 ?
		       (uint64_t)item->valuedouble :
		       0;
}

static void take_state(struct guest *g, const cJSON *stat)
{
	const char *text = cJSON_GetStringValue(get(stat, "state"));
	const cJSON *reason;
	size_t used;

	snprintf(g->state, sizeof(g->state), "%s", text ? text : "?");
	cJSON_ArrayForEach(reason, get(stat, "paused_by"))
	{
		used = strlen(g->state);
		if (cJSON_IsString(reason))
			snprintf(g->state + used, sizeof(g->state) - used,
				 " %s", reason->valuestring);
	}
}

static void take_figures(struct guest *g, const cJSON *stat, pid_t pid)
{
	static const char *const usages[] = { "S", "U", "V", "P" };
	static const char *const contents[] = { "r", "p", "z" };
	const cJSON *counters = get(stat, "counters");
	struct sample now = { true, pid, whole(get(stat, "uptime_ms")), { 0 } };
	unsigned int i;

	now.n[RATE_FAULTS] = whole(get(counters, "mem_fault_discard"));
	now.n[RATE_IN] = whole(get(counters, "mem_swapped_in"));
	now.n[RATE_OUT] = whole(get(counters, "mem_swapped_out"));
	now.n[RATE_DISCARDS] = whole(get(counters, "mem_discarded_unused")) +
			       whole(get(counters, "mem_discarded_volatile")) +
			       whole(get(counters, "mem_discarded_potential"));
	g->has_rates = rates_between(&g->last, &now, g->per_s);
	g->last = now;
	g->resident = whole(get(counters, "mem_resident")) *
		      whole(get(stat, "page_bytes"));
	g->limit = whole(get(stat, "limit_bytes"));
	for (i = 0; i < BAR_NR; i++)
		g->frames[i] =
			whole(get(get(get(stat, "frames"), usages[i / 3]),
				  contents[i % 3]));
	take_state(g, stat);
}

/* Of several at one socket, who listens there now. */
static const cJSON *find_vm(const cJSON *answer, const char *path, pid_t pid)
{
	const cJSON *vm, *found = NULL;
	const char *at;

	cJSON_ArrayForEach(vm, get(answer, "vms"))
	{
		at = cJSON_GetStringValue(get(vm, "path"));
		if (at && !strcmp(at, path) &&
		    (!found || whole(get(vm, "pid")) == (uint64_t)pid))
			found = vm;
	}
	return found;
}

static void take_budget(struct guest *g, const cJSON *vm)
{
	const char *why =
		cJSON_GetStringValue(get(get(vm, "last_change"), "reason"));

	g->has_budget = cJSON_IsNumber(get(vm, "budget_bytes"));
	g->budget = whole(get(vm, "budget_bytes"));
	g->pressure = (double)whole(get(vm, "pressure"));
	snprintf(g->why, sizeof(g->why), "%s", why ? why : "");
}

static void take_host(struct host *h, const cJSON *answer)
{
	const char *policy = cJSON_GetStringValue(get(answer, "policy"));

	snprintf(h->policy, sizeof(h->policy), "%s", policy ? policy : "?");
	h->limit = whole(get(answer, "limit_bytes"));
	h->counted = whole(get(answer, "counted_bytes"));
	h->limit_met = !cJSON_IsFalse(get(answer, "limit_met"));
	h->pressed = cJSON_IsTrue(get(answer, "host_pressed"));
}

static void take_manager(struct peers *peers)
{
	char dir[CTL_PATH_MAX], path[CTL_PATH_MAX];
	struct peer *m = peers->manager, *p;
	struct why why = { "" };
	struct host *h;

	if (!m || m->code == ASK_NOT_YET)
		return;
	if (!m->data)
		m->data = calloc(1, sizeof(*h));
	h = m->data;
	if (!h)
		return;
	h->code = m->code;
	if (!m->result)
		return;
	h->at_ms = m->end_ms;
	take_host(h, m->result);
	for (p = peers->first; p; p = p->next)
		if (p->data && !ctl_runtime_dir(dir, &why) &&
		    !ctl_path(path, dir, p->name, &why))
			take_budget(p->data, find_vm(m->result, path, p->pid));
	cJSON_Delete(m->result);
	m->result = NULL;
}

void top_take(struct peers *peers)
{
	struct peer *p;
	struct guest *g;

	for (p = peers->first; p; p = p->next) {
		if (!p->data)
			p->data = calloc(1, sizeof(*g));
		g = p->data;
		if (!g || p->code == ASK_NOT_YET)
			continue;
		g->code = p->code;
		if (!p->result)
			continue;
		take_figures(g, p->result, p->pid);
		g->at_ms = p->end_ms;
		cJSON_Delete(p->result);
		p->result = NULL;
	}
	take_manager(peers);
}

static bool is_old(enum ask_code code, uint64_t at_ms, uint64_t interval_ms)
{
	return code != ASK_OK || !at_ms ||
	       now_ms() - at_ms > interval_ms + PEER_MS;
}

bool top_is_old(const struct guest *g, uint64_t interval_ms)
{
	return is_old(g->code, g->at_ms, interval_ms);
}

const struct host *top_host(const struct peers *peers)
{
	const struct host *h = peers->manager ? peers->manager->data : NULL;

	return h && h->code != ASK_NO_VM ? h : NULL;
}

void top_host_line(char text[LINE_MAX_LEN], const struct host *host,
		   uint64_t interval_ms)
{
	char age[48] = "";
	char *c;

	if (is_old(host->code, host->at_ms, interval_ms))
		snprintf(age, sizeof(age),
			 host->at_ms ? "hypd: no answer %.0fs; " :
				       "hypd: no answer",
			 (double)(now_ms() - host->at_ms) / 1000);
	if (host->at_ms)
		snprintf(text, LINE_MAX_LEN,
			 "%shost: %.0f of %.0f MiB counted, policy %s%s%s", age,
			 (double)host->counted / (double)MIB,
			 (double)host->limit / (double)MIB, host->policy,
			 host->limit_met ? "" : "; the limit cannot be met",
			 host->pressed ? "; the host itself is short" : "");
	else
		snprintf(text, LINE_MAX_LEN, "%s", age);
	for (c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void top_row(struct row *row, char state[TOP_STATE], const struct peer *p,
	     const struct host *host, uint64_t interval_ms)
{
	const struct guest *g = p->data;
	const char *what = g->code == ASK_NO_VM	 ? "dead" :
			   !g->at_ms && !g->code ? "asked" :
						   "no answer";

	*row = (struct row){ .name = p->name, .state = state };
	row->has_figures = g->at_ms;
	row->resident_mib = (double)g->resident / (double)MIB;
	row->has_limit = g->limit;
	row->limit_mib = (double)g->limit / (double)MIB;
	row->has_budget = host && g->has_budget &&
			  !is_old(host->code, host->at_ms, interval_ms);
	row->budget_mib = (double)g->budget / (double)MIB;
	row->pressure = g->pressure;
	row->why = *g->why ? g->why : NULL;
	if (!top_is_old(g, interval_ms)) {
		snprintf(state, TOP_STATE, "%s", g->state);
		row->has_rates = g->has_rates;
		memcpy(row->per_s, g->per_s, sizeof(row->per_s));
	} else if (g->at_ms) {
		snprintf(state, TOP_STATE, "%s %.0fs", what,
			 (double)(now_ms() - g->at_ms) / 1000);
	} else {
		snprintf(state, TOP_STATE, "%s", what);
	}
}

void top_bar(char text[LINE_MAX_LEN], const struct guest *g, unsigned int width)
{
	unsigned int cells[BAR_NR], i;

	bar_fill(g->frames, width, cells);
	for (i = 0; i < BAR_NR; i++) {
		memset(text, bar_signs[i], cells[i]);
		text += cells[i];
	}
	*text = '\0';
}

static void add_budget(cJSON *out, const struct guest *g, const struct row *row)
{
	if (!row->has_budget) {
		cJSON_AddNullToObject(out, "budget_bytes");
		cJSON_AddNullToObject(out, "pressure");
		cJSON_AddNullToObject(out, "reason");
		return;
	}
	ctl_add_u64(out, "budget_bytes", g->budget);
	cJSON_AddNumberToObject(out, "pressure", row->pressure);
	if (row->why)
		cJSON_AddStringToObject(out, "reason", row->why);
	else
		cJSON_AddNullToObject(out, "reason");
}

static cJSON *json_of(const struct peer *p, const struct host *host,
		      uint64_t interval_ms)
{
	static const char *const names[RATE_NR] = { "discard_faults_per_s",
						    "page_ins_per_s",
						    "page_outs_per_s",
						    "discards_per_s" };
	const struct guest *g = p->data;
	cJSON *out = cJSON_CreateObject();
	char state[TOP_STATE];
	struct row row;
	unsigned int i;

	top_row(&row, state, p, host, interval_ms);
	cJSON_AddStringToObject(out, "name", p->name);
	cJSON_AddStringToObject(out, "state", state);
	if (host)
		add_budget(out, g, &row);
	if (!row.has_figures)
		return out;
	ctl_add_u64(out, "age_ms", now_ms() - g->at_ms);
	ctl_add_u64(out, "resident_bytes", g->resident);
	if (g->limit)
		ctl_add_u64(out, "limit_bytes", g->limit);
	else
		cJSON_AddNullToObject(out, "limit_bytes");
	for (i = 0; i < RATE_NR; i++) {
		if (row.has_rates)
			cJSON_AddNumberToObject(out, names[i], row.per_s[i]);
		else
			cJSON_AddNullToObject(out, names[i]);
	}
	return out;
}

static void add_host(cJSON *all, const struct host *h, uint64_t interval_ms)
{
	cJSON *out;

	if (!h) {
		cJSON_AddNullToObject(all, "host");
		return;
	}
	out = cJSON_AddObjectToObject(all, "host");
	cJSON_AddBoolToObject(out, "answers",
			      !is_old(h->code, h->at_ms, interval_ms));
	if (!h->at_ms)
		return;
	ctl_add_u64(out, "age_ms", now_ms() - h->at_ms);
	cJSON_AddStringToObject(out, "policy", h->policy);
	ctl_add_u64(out, "limit_bytes", h->limit);
	ctl_add_u64(out, "counted_bytes", h->counted);
	cJSON_AddBoolToObject(out, "limit_met", h->limit_met);
	cJSON_AddBoolToObject(out, "host_pressed", h->pressed);
}

static void print_json(const struct peers *peers, uint64_t interval_ms)
{
	cJSON *all = cJSON_CreateObject(), *vms;
	const struct host *host = top_host(peers);
	const struct peer *p;

	add_host(all, host, interval_ms);
	vms = cJSON_AddArrayToObject(all, "vms");
	for (p = peers->first; p; p = p->next)
		if (p->data)
			cJSON_AddItemToArray(vms,
					     json_of(p, host, interval_ms));
	show_json(all);
	cJSON_Delete(all);
}

#define TEXT_WIDTH 80u
#define BAR_WIDTH  (TEXT_WIDTH - 2)

/* hypd's columns are many: as far as the terminal has room for them. */
static unsigned int text_width(bool with_host)
{
	struct winsize size;

	if (!with_host)
		return TEXT_WIDTH;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col &&
	    size.ws_col < ROW_WITH_HOST)
		return size.ws_col;
	return ROW_WITH_HOST;
}

static void print_text(const struct peers *peers, uint64_t interval_ms)
{
	char text[LINE_MAX_LEN], state[TOP_STATE];
	const struct host *host = top_host(peers);
	unsigned int width = text_width(host);
	const struct peer *p;
	struct row row;

	if (host) {
		top_host_line(text, host, interval_ms);
		printf("%.*s\n", (int)width, text);
	}
	row_text(text, width, host, NULL);
	puts(text);
	for (p = peers->first; p; p = p->next) {
		if (!p->data)
			continue;
		top_row(&row, state, p, host, interval_ms);
		row_text(text, width, host, &row);
		puts(text);
		top_bar(text, p->data, BAR_WIDTH);
		if (*text)
			printf("  %s\n", text);
	}
	puts(bar_legend);
}

/* Two answers, so that there are rates. */
static int once(uint64_t interval_ms, bool json, struct why *why)
{
	struct peers peers = { .with_manager = true };
	uint64_t until_ms = 0;
	unsigned int i;
	int err;

	for (i = 0; i < 2; i++) {
		while (now_ms() < until_ms)
			peers_step(&peers, NULL, 0, until_ms);
		err = peers_find(&peers, why);
		if (err)
			return err;
		until_ms = now_ms() + interval_ms;
		peers_ask(&peers, "stat");
		peers_wait(&peers);
		top_take(&peers);
	}
	if (json)
		print_json(&peers, interval_ms);
	else
		print_text(&peers, interval_ms);
	peers_fini(&peers);
	return 0;
}

/* @before and @after: what is said around the word. */
static int usage(struct why *why, const char *before, const char *arg,
		 const char *after)
{
	why_set(why, 0, "%s%s%s", before, arg, after);
	return ASK_USAGE;
}

int cli_top(int argc, char **argv, struct why *why)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false, only_once = false;
	double seconds = 1;
	char *end;
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h')
			return printf("usage: hyp top [--interval SECONDS] [--once] [--json]\n") <
			       0;
		if (opt == 'o') {
			only_once = true;
		} else if (opt == 'j') {
			json = true;
		} else if (opt == 'i') {
			seconds = strtod(optarg, &end);
			if (end == optarg || *end ||
			    !(seconds >= 0.1 && seconds <= 3600))
				return usage(
					why, "top: \"", optarg,
					"\" is not a number of seconds from 0.1 to 3600");
		} else {
			return usage(why,
				     opt == ':' ? "top: " :
						  "top does not know ",
				     argv[optind - 1],
				     opt == ':' ? " needs a value" :
						  "; see hyp top --help");
		}
	}
	if (optind < argc)
		return usage(why, "unexpected argument \"", argv[optind], "\"");
	if (json && !only_once)
		return usage(why, "top: ", "--json", " goes with --once");
	if (only_once)
		return once((uint64_t)(seconds * 1000), json, why) ? ASK_USAGE :
								     ASK_OK;
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return usage(why, "top: this is no terminal; use ", "--once",
			     "");
	return top_live((uint64_t)(seconds * 1000), why) ? ASK_USAGE : ASK_OK;
}
