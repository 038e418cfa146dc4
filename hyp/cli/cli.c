// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hyp/cli/ask.h"
#include "hyp/cli/show.h"
#include "hyp/config.h"
#include "hyp/ctl/message.h"
#include "hyp/ctl/path.h"

/* A pause waits for a vCPU's exit, a discard for reclaim, a stop for disks. */
#define ANSWER_MS 30000
/* More than any guest has. */
#define ALL_BYTES (1ull << 50)

struct options {
	bool json, force, help;
	const char *vm, *value; /* NULL: not given */
};

struct command {
	const char *name;
	const char *usage;
	bool takes_value, takes_force;
	bool shows; /* without a value */
	void (*show)(const cJSON *result);
	/* Has options of its own, and does it all. */
	int (*main)(int argc, char **argv, struct why *why);
};

static const struct command commands[] = {
	{ .name = "list", .usage = "" },
	{ "info", "VM", .show = show_info },
	{ "stat", "VM", .show = show_stat },
	{ "limit", "VM SIZE|none", .takes_value = true, .show = show_limit },
	{ "share", "VM [min=SIZE,entitlement=SIZE,max=SIZE,weight=N]",
	  .takes_value = true, .shows = true, .show = show_share },
	{ "balloon", "VM [SIZE]", .takes_value = true, .shows = true,
	  .show = show_balloon },
	{ "pause", "VM", .show = show_state },
	{ "resume", "VM", .show = show_state },
	{ "discard", "VM SIZE|all", .takes_value = true, .show = show_discard },
	{ "stop", "VM [--force]", .takes_force = true },
	{ .name = "host", .main = cli_host },
	{ .name = "metrics", .main = cli_metrics },
	{ .name = "top", .main = cli_top },
};

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "force", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct command *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

bool cli_is_command(const char *name)
{
	return find(name);
}

static int parse(const struct command *cmd, int argc, char **argv,
		 struct options *o, struct why *why)
{
	bool takes_vm = cmd->usage[0];
	int opt;

	*o = (struct options){ 0 };
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", long_options, NULL)) !=
	       -1) {
		if (opt == 'j')
			o->json = true;
		else if (opt == 'h')
			o->help = true;
		else if (opt == 'f' && cmd->takes_force)
			o->force = true;
		else
			return why_set(why, 0,
				       "%s does not know %s; see hyp %s --help",
				       cmd->name, argv[optind - 1], cmd->name);
	}
	if (o->help)
		return 0;
	if (takes_vm && optind < argc)
		o->vm = argv[optind++];
	if (cmd->takes_value && optind < argc)
		o->value = argv[optind++];
	if (optind < argc)
		return why_set(why, 0, "unexpected argument \"%s\"",
			       argv[optind]);
	if (takes_vm && !o->vm)
		return why_set(why, 0, "%s: which VM? hyp list shows them",
			       cmd->name);
	if (cmd->takes_value && !cmd->shows && !o->value)
		return why_set(why, 0, "usage: hyp %s [--json] %s", cmd->name,
			       cmd->usage);
	return 0;
}

static int add_share(cJSON *out, const char *text, struct why *why)
{
	struct why cause = { "" };
	struct share_change c;

	if (share_parse(&c, text, &cause))
		return why_set(why, 0, "share: %s", cause.text);
	if (c.has_min)
		ctl_add_u64(out, "min", c.to.min_bytes);
	if (c.has_entitlement)
		ctl_add_u64(out, "entitlement", c.to.entitlement_bytes);
	if (c.has_max)
		ctl_add_u64(out, "max", c.to.max_bytes);
	if (c.has_weight)
		ctl_add_u64(out, "weight", c.to.weight);
	return 0;
}

static int add_size(cJSON *out, const char *command, const char *text,
		    struct why *why)
{
	const char *field = !strcmp(command, "limit")	? "limit" :
			    !strcmp(command, "balloon") ? "target" :
							  "bytes";
	uint64_t bytes;

	if (config_parse_size(text, &bytes))
		return why_set(why, 0,
			       "%s: \"%s\" is not a size; write e.g. 256M",
			       command, text);
	ctl_add_u64(out, field, bytes);
	return 0;
}

/* Return: the request's own fields, or NULL and @why is set. */
static cJSON *arguments(const struct command *cmd, const struct options *o,
			struct why *why)
{
	cJSON *out = cJSON_CreateObject();
	int err = 0;

	if (o->force)
		cJSON_AddTrueToObject(out, "force");
	if (!o->value)
		return out;
	if (!strcmp(cmd->name, "limit") && !strcmp(o->value, "none"))
		cJSON_AddStringToObject(out, "limit", "none");
	else if (!strcmp(cmd->name, "discard") && !strcmp(o->value, "all"))
		ctl_add_u64(out, "bytes", ALL_BYTES);
	else if (!strcmp(cmd->name, "share"))
		err = add_share(out, o->value, why);
	else
		err = add_size(out, cmd->name, o->value, why);
	if (!err)
		return out;
	cJSON_Delete(out);
	return NULL;
}

/* NAME or PATH; what has a slash is a path. */
static int find_vm(char path[CTL_PATH_MAX], const char *vm, struct why *why)
{
	char dir[CTL_PATH_MAX];

	if (strchr(vm, '/')) {
		if (snprintf(path, CTL_PATH_MAX, "%s", vm) < CTL_PATH_MAX)
			return 0;
		return why_set(why, 0, "%s is too long for a socket", vm);
	}
	if (!ctl_name_ok(vm))
		return why_set(why, 0, "\"%s\" is not a VM's name", vm);
	if (ctl_runtime_dir(dir, why))
		return -EINVAL;
	return ctl_path(path, dir, vm, why);
}

static enum ask_code run(const struct command *cmd, const struct options *o,
			 struct why *why)
{
	uint64_t until_ms = now_ms() + ANSWER_MS;
	struct ask ask = { .fd = -1 };
	char path[CTL_PATH_MAX];
	cJSON *args, *result = NULL;
	enum ask_code code;

	if (find_vm(path, o->vm, why))
		return ASK_USAGE;
	args = arguments(cmd, o, why);
	if (!args)
		return ASK_USAGE;
	code = ask_open(&ask, path, cmd->name, args, until_ms, why);
	if (code == ASK_OK)
		code = ask_answer(&ask, &result, until_ms, why);
	if (code == ASK_OK && cmd->takes_force)
		code = ask_wait_end(&ask, until_ms, why);
	ask_close(&ask);
	if (code == ASK_OK && o->json)
		show_json(result);
	else if (code == ASK_OK && cmd->show)
		cmd->show(result);
	cJSON_Delete(result);
	return code;
}

int cli_main(int argc, char **argv)
{
	const struct command *cmd = find(argv[0]);
	struct why why = { "" };
	int code = ASK_USAGE;
	struct options o;

	if (cmd->main) {
		code = cmd->main(argc, argv, &why);
		goto out;
	}
	if (parse(cmd, argc, argv, &o, &why))
		goto out;
	if (o.help)
		code = printf("usage: hyp %s [--json] %s\n", cmd->name,
			      cmd->usage) < 0;
	else if (!cmd->usage[0])
		code = cli_list(o.json);
	else
		code = run(cmd, &o, &why);
out:
	if (why.text[0])
		log_line("%s", why.text);
	if (fflush(stdout) && !code)
		code = ASK_REFUSED;
	return code;
}
