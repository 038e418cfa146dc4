// SPDX-License-Identifier: GPL-2.0-only
/* hyp host: what hypd does, and what it is to do. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hyp/cli/ask.h"
#include "hyp/cli/cli.h"
#include "hyp/cli/show.h"
#include "hyp/config.h"
#include "hyp/ctl/message.h"
#include "hyp/ctl/path.h"

#define ANSWER_MS 10000

static const char usage[] =
	"usage: hyp host [--json] [limit SIZE | policy NAME]\n";

/* Return: the request's own fields, or NULL and @why is set. */
static cJSON *arguments(const char *command, const char *value, struct why *why)
{
	cJSON *out = cJSON_CreateObject();
	uint64_t bytes;

	if (!strcmp(command, "policy")) {
		cJSON_AddStringToObject(out, "policy", value);
		return out;
	}
	if (!strcmp(command, "host"))
		return out;
	if (!config_parse_size(value, &bytes)) {
		ctl_add_u64(out, "limit", bytes);
		return out;
	}
	why_set(why, 0, "limit: \"%s\" is not a size; write e.g. 8G", value);
	cJSON_Delete(out);
	return NULL;
}

static enum ask_code run(const char *command, const char *value, bool json,
			 struct why *why)
{
	uint64_t until_ms = now_ms() + ANSWER_MS;
	char dir[CTL_PATH_MAX], path[CTL_PATH_MAX];
	struct ask ask = { .fd = -1 };
	struct why cause = { "" };
	cJSON *args, *result = NULL;
	enum ask_code code;

	if (ctl_runtime_dir(dir, why) || ctl_path(path, dir, CTL_MANAGER, why))
		return ASK_USAGE;
	args = arguments(command, value, why);
	if (!args)
		return ASK_USAGE;
	code = ask_open(&ask, path, command, args, until_ms, &cause);
	if (code == ASK_OK)
		code = ask_answer(&ask, &result, until_ms, &cause);
	ask_close(&ask);
	if (code == ASK_NO_VM)
		why_set(why, 0, "no hypd is running at %s", path);
	else if (code != ASK_OK)
		why_set(why, 0, "hypd: %s", cause.text);
	else if (json)
		show_json(result);
	else
		show_host(result);
	cJSON_Delete(result);
	return code;
}

int cli_host(int argc, char **argv, struct why *why)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *command = "host", *value = NULL;
	bool json = false;
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h')
			return fputs(usage, stdout) < 0;
		if (opt != 'j') {
			why_set(why, 0,
				"host does not know %s; see hyp host --help",
				argv[optind - 1]);
			return ASK_USAGE;
		}
		json = true;
	}
	if (argc - optind == 2 && (!strcmp(argv[optind], "limit") ||
				   !strcmp(argv[optind], "policy"))) {
		command = argv[optind];
		value = argv[optind + 1];
	} else if (argc != optind) {
		why_set(why, 0, "%.*s", (int)strlen(usage) - 1, usage);
		return ASK_USAGE;
	}
	return run(command, value, json, why);
}
