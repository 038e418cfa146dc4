// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hyp/conffile.h"
#include "hyp/config.h"

/* clang-format off */
const char *settings_help(void)
{
	return
"usage: hypd --limit SIZE [options]\n"
"\n"
"Divides a limit of host memory among the virtual machines that hyp runs: finds\n"
"them by their control sockets, sees how they fare, and sets their limits and,\n"
"for the long term, their balloons.  It may end at any time: they go on as they\n"
"are, and it goes on from there when it is started again.\n"
"\n"
"  --limit SIZE      most memory for all of them together\n"
"  --policy NAME     \"share\" (default): memory follows need, from the entitlement\n"
"                    on by weight; \"static\": entitlements and nothing else\n"
"  --dir DIR         look for sockets in DIR, too; up to 15 times\n"
"  --config FILE     read limit, policy and shares of machines from FILE, again\n"
"                    with SIGHUP; the command line wins:\n"
"                      limit 8G\n"
"                      policy share\n"
"                      vm NAME min=64M,entitlement=128M,max=1G,weight=200\n"
"  --no-sandbox      no seccomp filter; for debuggers and sanitizers\n"
"  --version         print it\n"
"  --help            this text\n"
"\n"
"SIZE takes K, M or G.  hyp host shows what it does, hyp host limit SIZE changes\n"
"the limit; hypd(1) explains it.  SIGINT and SIGTERM end it.\n";
}
/* clang-format on */

enum opt {
	OPT_LIMIT = 256,
	OPT_POLICY,
	OPT_DIR,
	OPT_CONFIG,
	OPT_NO_SANDBOX,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option options[] = {
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int parse_limit(struct settings *s, const char *text, struct why *why)
{
	uint64_t bytes = 0;

	if (config_parse_size(text, &bytes) || bytes > SETTINGS_MAX_LIMIT)
		return why_set(why, 0,
			       "limit: \"%s\" is not a size; write e.g. 8G",
			       text);
	if (bytes < POLICY_PAGE || bytes % POLICY_PAGE)
		return why_set(why, 0, "limit: %s is not a multiple of 4K",
			       text);
	s->limit_bytes = bytes;
	return 0;
}

static int parse_policy(struct settings *s, const char *text, struct why *why)
{
	s->policy = policy_find(text);
	if (s->policy)
		return 0;
	return why_set(why, 0, "policy: \"%s\" is unknown; there are %s", text,
		       policy_names());
}

const struct share_change *settings_find(const struct settings *s,
					 const char *name)
{
	unsigned int i;

	for (i = 0; i < s->nr_vms; i++)
		if (!strcmp(s->vms[i].name, name))
			return &s->vms[i].share;
	return NULL;
}

/* "NAME min=..,.."; changes it. */
static int parse_vm(struct settings *s, char *text, struct why *why)
{
	struct settings_vm vm = { .name = "" }, *vms;
	char *share = text + strcspn(text, " \t");
	struct why cause = { "" };
	struct share share_all;

	if (*share)
		*share++ = '\0';
	share += strspn(share, " \t");
	if (!ctl_name_ok(text))
		return why_set(why, 0, "vm: \"%s\" is not a VM's name", text);
	if (settings_find(s, text))
		return why_set(why, 0, "vm: %s is there twice", text);
	if (share_parse(&vm.share, share, &cause))
		return why_set(why, 0, "vm %s: %s", text, cause.text);
	share_set(&share_all, &vm.share, SETTINGS_MAX_LIMIT);
	if (share_check(&share_all, SETTINGS_MAX_LIMIT, &cause))
		return why_set(why, 0, "vm %s: %s", text, cause.text);
	strcpy(vm.name, text);
	vms = reallocarray(s->vms, s->nr_vms + 1, sizeof(*vms));
	if (!vms)
		return why_set(why, -ENOMEM, "vm %s", text);
	vms[s->nr_vms++] = vm;
	s->vms = vms;
	return 0;
}

static int parse_line(void *ctx, char *key, char *value, struct why *why)
{
	if (!strcmp(key, "limit"))
		return parse_limit(ctx, value, why);
	if (!strcmp(key, "policy"))
		return parse_policy(ctx, value, why);
	if (!strcmp(key, "vm"))
		return parse_vm(ctx, value, why);
	return why_set(why, 0,
		       "unknown key \"%s\"; limit, policy and vm are known",
		       key);
}

static int read_file(struct settings *s, struct why *why)
{
	char *text;
	int err = conffile_read(&text, s->config, parse_line, s, why);

	free(text);
	return err;
}

static int parse_opt(struct settings *s, int opt, struct why *why)
{
	switch (opt) {
	case OPT_LIMIT:
		return parse_limit(s, optarg, why);
	case OPT_POLICY:
		return parse_policy(s, optarg, why);
	case OPT_DIR:
		if (s->nr_dirs == ARRAY_SIZE(s->dirs))
			return why_set(why, 0, "more than %zu --dir",
				       ARRAY_SIZE(s->dirs));
		s->dirs[s->nr_dirs++] = optarg;
		return 0;
	case OPT_CONFIG:
		if (s->config)
			return why_set(why, 0, "--config: one file only");
		s->config = optarg;
		return 0;
	case OPT_NO_SANDBOX:
		s->sandbox = false;
		return 0;
	case OPT_VERSION:
		s->version = true;
		return 0;
	default:
		s->help = true;
		return 0;
	}
}

/* The command line wins: what it did not set is the file's. */
static int add_file(struct settings *s, struct why *why)
{
	struct settings file = { .config = s->config };
	int err = s->config ? read_file(&file, why) : 0;

	if (!s->limit_bytes)
		s->limit_bytes = file.limit_bytes;
	if (!s->policy)
		s->policy = file.policy;
	s->vms = file.vms;
	s->nr_vms = file.nr_vms;
	return err;
}

int settings_parse(struct settings *s, int argc, char **argv, struct why *why)
{
	int opt, err = 0;

	*s = (struct settings){ .sandbox = true };
	optind = 0;
	opterr = 0;
	while (!err && !s->help && !s->version &&
	       (opt = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		if (opt == ':')
			return why_set(why, 0,
				       "%s needs a value; see hypd --help",
				       argv[optind - 1]);
		if (opt == '?')
			return why_set(why, 0,
				       "unknown option \"%s\"; see hypd --help",
				       argv[optind - 1]);
		err = parse_opt(s, opt, why);
	}
	if (err || s->help || s->version)
		return err;
	s->limit_said = s->limit_bytes;
	s->policy_said = s->policy;
	if (optind < argc)
		return why_set(why, 0,
			       "unexpected argument \"%s\"; see hypd --help",
			       argv[optind]);
	err = add_file(s, why);
	if (!err && !s->limit_bytes)
		return why_set(
			why, 0,
			"--limit is missing: how much memory may all VMs have together? See hypd --help");
	if (!s->policy)
		s->policy = &policy_share;
	return err;
}

int settings_reload(struct settings *s, const struct settings *old,
		    struct why *why)
{
	int err;

	*s = *old;
	s->vms = NULL;
	s->nr_vms = 0;
	err = s->config ? read_file(s, why) : 0;
	if (s->limit_said)
		s->limit_bytes = old->limit_bytes;
	if (s->policy_said)
		s->policy = old->policy;
	if (err)
		settings_fini(s);
	return err;
}

void settings_fini(struct settings *s)
{
	free(s->vms);
	s->vms = NULL;
	s->nr_vms = 0;
}
