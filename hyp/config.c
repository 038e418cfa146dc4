// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hyp/conffile.h"
#include "hyp/ctl/path.h"

enum opt {
	OPT_NAME = 256,
	OPT_CONTROL,
	OPT_CONFIG,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_DISK,
	OPT_MEM,
	OPT_CPUS,
	OPT_LIMIT,
	OPT_SHARE,
	OPT_SWAP,
	OPT_SWAP_SIZE,
	OPT_CMDLINE,
	OPT_BALLOON,
	OPT_VIRTIO_CONSOLE,
	OPT_CHANNEL,
	OPT_NO_HINTS,
	OPT_STORM,
	OPT_PRESSURE,
	OPT_TEST_HOOKS,
	OPT_STATS,
	OPT_STATS_MS,
	OPT_SUMMARY,
	OPT_RECORD,
	OPT_TIMEOUT,
	OPT_NO_SANDBOX,
	OPT_HELP,
};

static const struct option options[] = {
	{ "name", required_argument, NULL, OPT_NAME },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "mem", required_argument, NULL, OPT_MEM },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "share", required_argument, NULL, OPT_SHARE },
	{ "swap", required_argument, NULL, OPT_SWAP },
	{ "swap-size", required_argument, NULL, OPT_SWAP_SIZE },
	{ "cmdline", required_argument, NULL, OPT_CMDLINE },
	{ "virtio-console", no_argument, NULL, OPT_VIRTIO_CONSOLE },
	{ "balloon", required_argument, NULL, OPT_BALLOON },
	{ "channel", required_argument, NULL, OPT_CHANNEL },
	{ "no-hints", no_argument, NULL, OPT_NO_HINTS },
	{ "storm", no_argument, NULL, OPT_STORM },
	{ "pressure", no_argument, NULL, OPT_PRESSURE },
	{ "test-hooks", no_argument, NULL, OPT_TEST_HOOKS },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ "stats-ms", required_argument, NULL, OPT_STATS_MS },
	{ "summary", required_argument, NULL, OPT_SUMMARY },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

int config_parse_size(const char *text, uint64_t *bytes)
{
	unsigned long long n;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	switch (*end) {
	case 'G':
	case 'g':
		shift += 10;
		/* fallthrough */
	case 'M':
	case 'm':
		shift += 10;
		/* fallthrough */
	case 'K':
	case 'k':
		shift += 10;
		end++;
	}
	if (*end)
		return -EINVAL;
	if (n > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = n << shift;
	return 0;
}

static int parse_size_opt(const char *name, uint64_t *bytes, struct why *why)
{
	if (config_parse_size(optarg, bytes))
		return why_set(why, 0,
			       "--%s: \"%s\" is not a size; write e.g. 256M",
			       name, optarg);
	if (*bytes % 4096)
		return why_set(why, 0, "--%s: %s is not a multiple of 4K", name,
			       optarg);
	return 0;
}

static int parse_number_opt(const char *name, uint64_t min, uint64_t max,
			    uint64_t *out, struct why *why)
{
	uint64_t n;

	if (config_parse_size(optarg, &n) ||
	    !isdigit((unsigned char)optarg[strlen(optarg) - 1]) || n < min ||
	    n > max)
		return why_set(why, 0,
			       "--%s: \"%s\" is not a number from %llu to %llu",
			       name, optarg, (unsigned long long)min,
			       (unsigned long long)max);
	*out = n;
	return 0;
}

static int parse_disk_opt(struct config *cfg, struct why *why)
{
	struct config_disk *disk = &cfg->disks[cfg->nr_disks];
	char *comma;

	if (cfg->nr_disks == CONFIG_MAX_DISKS)
		return why_set(why, 0, "more than %u disks", CONFIG_MAX_DISKS);
	disk->path = strdup(optarg);
	if (!disk->path)
		return why_set(why, -ENOMEM, "--disk");
	cfg->nr_disks++;
	/* From the end: a file may have commas in its name. */
	while ((comma = strrchr(disk->path, ',')) &&
	       (!strcmp(comma, ",ro") || !strncmp(comma, ",serial=", 8))) {
		*comma = '\0';
		if (!strcmp(comma + 1, "ro"))
			disk->read_only = true;
		else
			disk->serial = comma + 8;
	}
	if (comma)
		return why_set(
			why, 0,
			"--disk: unknown option \"%s\"; \"ro\" and \"serial=TEXT\" are known",
			comma + 1);
	if (disk->serial && strlen(disk->serial) > CONFIG_MAX_SERIAL)
		return why_set(
			why, 0,
			"--disk: serial \"%s\" is longer than %u characters",
			disk->serial, CONFIG_MAX_SERIAL);
	return 0;
}

static int parse_share_opt(struct config *cfg, struct why *why)
{
	struct why cause = { "" };

	if (!share_parse(&cfg->share_said, optarg, &cause))
		return 0;
	return why_set(why, 0, "--share: %s", cause.text);
}

static int parse_channel_opt(struct config *cfg, struct why *why)
{
	struct config_channel *channel = &cfg->channels[cfg->nr_channels];
	unsigned int i;
	char *equals;

	if (cfg->nr_channels == CONFIG_MAX_CHANNELS)
		return why_set(why, 0, "more than %u channels",
			       CONFIG_MAX_CHANNELS);
	channel->name = strdup(optarg);
	if (!channel->name)
		return why_set(why, -ENOMEM, "--channel");
	cfg->nr_channels++;
	equals = strchr(channel->name, '=');
	if (!equals || !equals[1])
		return why_set(why, 0,
			       "--channel: \"%s\" is not NAME=PATH of a socket",
			       optarg);
	*equals = '\0';
	channel->path = equals + 1;
	if (!ctl_name_ok(channel->name))
		return why_set(
			why, 0,
			"--channel: \"%s\" is no name; use up to %d letters, digits, \"-\", \"_\" and \".\", a letter or digit first",
			channel->name, CTL_NAME_MAX);
	for (i = 0; i < cfg->nr_channels - 1; i++)
		if (!strcmp(cfg->channels[i].name, channel->name))
			return why_set(why, 0,
				       "--channel: there are two named \"%s\"",
				       channel->name);
	return 0;
}

static int parse_opt(struct config *cfg, int opt, struct why *why)
{
	uint64_t n = 0;
	int err;

	switch (opt) {
	case OPT_NAME:
		cfg->name = optarg;
		return 0;
	case OPT_CONTROL:
		cfg->serve = strcmp(optarg, "none") != 0;
		cfg->control = cfg->serve ? optarg : NULL;
		if (!*optarg)
			return why_set(why, 0, "--control: no path");
		return 0;
	case OPT_CONFIG:
		return 0; /* has been read */
	case OPT_KERNEL:
		cfg->kernel = optarg;
		return 0;
	case OPT_INITRD:
		cfg->initrd = optarg;
		return 0;
	case OPT_DISK:
		return parse_disk_opt(cfg, why);
	case OPT_MEM:
		return parse_size_opt("mem", &cfg->mem_bytes, why);
	case OPT_CPUS:
		err = parse_number_opt("cpus", 1, CONFIG_MAX_CPUS, &n, why);
		cfg->cpus = (unsigned int)n;
		return err;
	case OPT_LIMIT:
		err = parse_size_opt("limit", &cfg->limit_bytes, why);
		if (!err && !cfg->limit_bytes)
			return why_set(why, 0, "--limit: 0 is too small");
		return err;
	case OPT_SHARE:
		return parse_share_opt(cfg, why);
	case OPT_SWAP:
		cfg->swap_dir = optarg;
		return 0;
	case OPT_SWAP_SIZE:
		return parse_size_opt("swap-size", &cfg->swap_bytes, why);
	case OPT_CMDLINE:
		cfg->cmdline = optarg;
		return 0;
	case OPT_VIRTIO_CONSOLE:
		cfg->virtio_console = true;
		return 0;
	case OPT_CHANNEL:
		return parse_channel_opt(cfg, why);
	case OPT_BALLOON:
		cfg->balloon = true;
		return parse_size_opt("balloon", &cfg->balloon_bytes, why);
	case OPT_NO_HINTS:
		cfg->hints = false;
		return 0;
	case OPT_STORM:
		cfg->storm = true;
		return 0;
	case OPT_PRESSURE:
		cfg->pressure = true;
		return 0;
	case OPT_TEST_HOOKS:
		cfg->test_hooks = true;
		return 0;
	case OPT_STATS:
		cfg->stats_path = optarg;
		return 0;
	case OPT_STATS_MS:
		return parse_number_opt("stats-ms", 1, 3600000, &cfg->stats_ms,
					why);
	case OPT_SUMMARY:
		cfg->summary_path = optarg;
		return 0;
	case OPT_RECORD:
		cfg->record_path = optarg;
		return 0;
	case OPT_TIMEOUT:
		return parse_number_opt("timeout", 1, 1000000, &cfg->timeout_s,
					why);
	case OPT_NO_SANDBOX:
		cfg->sandbox = false;
		return 0;
	default:
		return -EINVAL;
	}
}

static void free_disks(struct config *cfg)
{
	while (cfg->nr_disks)
		free(cfg->disks[--cfg->nr_disks].path);
}

static void free_channels(struct config *cfg)
{
	while (cfg->nr_channels)
		free(cfg->channels[--cfg->nr_channels].name);
}

/* glibc: for another parse in one process. */
static void start_over(void)
{
	optind = 0;
	opterr = 0;
}

/* Of conffile_read(). */
static int parse_line(void *ctx, char *key, char *value, struct why *why)
{
	const struct option *o = options;

	while (o->name && strcmp(o->name, key))
		o++;
	if (!o->name || o->val == OPT_CONFIG || o->val == OPT_HELP)
		return why_set(why, 0, "unknown key \"%s\"", key);
	if (o->has_arg == no_argument && *value)
		return why_set(why, 0, "%s takes no value", key);
	if (o->has_arg == required_argument && !*value)
		return why_set(why, 0, "%s needs a value", key);
	optarg = value;
	return parse_opt(ctx, o->val, why);
}

static int parse_file(struct config *cfg, const char *path, struct why *why)
{
	if (cfg->file_text)
		return why_set(why, 0, "--config: one file only");
	return conffile_read(&cfg->file_text, path, parse_line, cfg, why);
}

/* The file comes first, wherever it is named: what follows it wins. */
static int find_file(struct config *cfg, int argc, char **argv, struct why *why)
{
	int opt, err = 0;

	start_over();
	while (!err &&
	       (opt = getopt_long(argc, argv, "+:h", options, NULL)) != -1)
		if (opt == OPT_CONFIG)
			err = parse_file(cfg, optarg, why);
	return err;
}

int config_parse(struct config *cfg, int argc, char **argv,
		 enum config_action *action, struct why *why)
{
	unsigned int from_file, channels_from_file;
	int opt, err;

	*cfg = (struct config){
		.serve = true,
		.cmdline = "",
		.cpus = 1,
		.mem_bytes = 256 * MIB,
		.hints = true,
		.sandbox = true,
		.stats_ms = 100,
	};
	snprintf(cfg->default_name, sizeof(cfg->default_name), "hyp-%d",
		 (int)getpid());
	cfg->name = cfg->default_name;
	*action = CONFIG_RUN;
	if (argc < 2)
		return why_set(why, 0, "no command; see hyp --help");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		*action = CONFIG_HELP;
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		*action = CONFIG_VERSION;
		return 0;
	}
	if (argv[1][0] == '-')
		return why_set(why, 0,
			       "options follow a command: hyp run %s ...",
			       argv[1]);
	if (strcmp(argv[1], "run"))
		return why_set(why, 0, "unknown command \"%s\"; see hyp --help",
			       argv[1]);
	argc--;
	argv++;
	err = find_file(cfg, argc, argv, why);
	if (err)
		return err;
	from_file = cfg->nr_disks;
	channels_from_file = cfg->nr_channels;
	start_over();
	for (;;) {
		opt = getopt_long(argc, argv, "+:h", options, NULL);
		if (opt == -1)
			break;
		/* The command line wins. */
		if (opt == OPT_DISK && from_file) {
			free_disks(cfg);
			from_file = 0;
		}
		if (opt == OPT_CHANNEL && channels_from_file) {
			free_channels(cfg);
			channels_from_file = 0;
		}
		if (opt == 'h' || opt == OPT_HELP) {
			*action = CONFIG_HELP;
			return 0;
		}
		if (opt == ':')
			return why_set(why, 0,
				       "%s needs a value; see hyp --help",
				       argv[optind - 1]);
		if (opt == '?')
			return why_set(why, 0,
				       "unknown option \"%s\"; see hyp --help",
				       argv[optind - 1]);
		err = parse_opt(cfg, opt, why);
		if (err)
			return err;
	}
	if (optind < argc)
		return why_set(why, 0,
			       "unexpected argument \"%s\"; see hyp --help",
			       argv[optind]);
	return config_check(cfg, why);
}

void config_fini(struct config *cfg)
{
	free_disks(cfg);
	free_channels(cfg);
	free(cfg->file_text);
	cfg->file_text = NULL;
}
