// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/sim/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "essa-emu/trace/synth.h"
#include "hyp/config.h"

enum opt {
	OPT_SYNTH = 256,
	OPT_SEED,
	OPT_ROUNDS,
	OPT_GUESTS,
	OPT_THREADS,
	OPT_LOOPS,
	OPT_LIMIT,
	OPT_LIMIT_PERCENT,
	OPT_STAGGER,
	OPT_SWAP,
	OPT_HINTS,
	OPT_STORM,
	OPT_JSON,
	OPT_TSV,
	OPT_HELP,
};

static const struct option options[] = {
	{ "synth", required_argument, NULL, OPT_SYNTH },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "guests", required_argument, NULL, OPT_GUESTS },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "loops", required_argument, NULL, OPT_LOOPS },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "limit-percent", required_argument, NULL, OPT_LIMIT_PERCENT },
	{ "stagger-ms", required_argument, NULL, OPT_STAGGER },
	{ "swap", required_argument, NULL, OPT_SWAP },
	{ "hints", required_argument, NULL, OPT_HINTS },
	{ "storm", no_argument, NULL, OPT_STORM },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "tsv", required_argument, NULL, OPT_TSV },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* clang-format off */
const char *sim_options_help(void)
{
	return
"usage: hyp-sim [options] TRACE\n"
"       hyp-sim [options] --synth SIZE\n"
"\n"
"Replays a trace of page states in many guests without processors, each with\n"
"memory, state table, reclaim and swap file of hyp, and says what that cost.\n"
"Checks the content of every page it uses.  No KVM; needs userfaultfd.\n"
"\n"
"  --synth SIZE       no file: anonymous memory of a guest of SIZE that grows,\n"
"                     shrinks and is touched\n"
"  --seed N           of --synth (default 1)\n"
"  --rounds N         changes of size in --synth (default 40)\n"
"  --guests N         how many (default 8, at most 4096)\n"
"  --threads N        that drive them (default: processors)\n"
"  --loops N          times that each guest boots and replays (default 1)\n"
"  --limit SIZE       resident limit of each guest\n"
"  --limit-percent N  the same, in percent of the guest's memory (default 50;\n"
"                     100: no limit)\n"
"  --stagger-ms N     time of the trace between the boots of two guests\n"
"                     (default: so that they are spread over all of it)\n"
"  --swap DIR         directory for the swap files, which have no name there\n"
"                     (default $TMPDIR or /tmp)\n"
"  --hints on|off|both  page hinting (default both, one after the other)\n"
"  --storm            with hints, discard every volatile page as soon as it is\n"
"                     seen: for tests\n"
"  --json             one JSON object instead of the table\n"
"  --tsv FILE         append the figures to FILE: trace, side, counter, total,\n"
"                     median, p10 and p90 of the guests\n"
"  --help             this text\n"
"\n"
"SIZE takes K, M or G.  Host I/O is what goes to and comes from the swap file,\n"
"and every discarded page that its guest reads again.\n"
"\n"
"Exit code: 0; 1 if content was lost, stale or foreign; 2 if it could not run.\n";
}
/* clang-format on */

static int number(const char *name, uint64_t min, uint64_t max, uint64_t *out,
		  struct why *why)
{
	uint64_t n;

	if (config_parse_size(optarg, &n) || n < min || n > max)
		return why_set(why, 0,
			       "--%s: \"%s\" is not a number from %llu to %llu",
			       name, optarg, (unsigned long long)min,
			       (unsigned long long)max);
	*out = n;
	return 0;
}

static int size(const char *name, uint64_t *out, struct why *why)
{
	if (config_parse_size(optarg, out) || !*out || *out % MEM_PAGE_SIZE)
		return why_set(
			why, 0,
			"--%s: \"%s\" is not a size in pages of 4K; write e.g. 64M",
			name, optarg);
	return 0;
}

static int small_number(const char *name, uint64_t min, uint64_t max,
			unsigned int *out, struct why *why)
{
	uint64_t n = 0;
	int err = number(name, min, max, &n, why);

	*out = (unsigned int)n;
	return err;
}

static int parse_hints(struct sim_config *cfg, struct why *why)
{
	bool both = !strcmp(optarg, "both");

	cfg->hints = both || !strcmp(optarg, "on");
	cfg->no_hints = both || !strcmp(optarg, "off");
	if (!cfg->hints && !cfg->no_hints)
		return why_set(why, 0, "--hints: on, off or both, not \"%s\"",
			       optarg);
	return 0;
}

static int parse_opt(struct sim_config *cfg, int opt, struct why *why)
{
	switch (opt) {
	case OPT_SYNTH:
		return size("synth", &cfg->synth_bytes, why);
	case OPT_SEED:
		return number("seed", 1, INT64_MAX, &cfg->seed, why);
	case OPT_ROUNDS:
		return small_number("rounds", 1, SYNTH_MAX_ROUNDS,
				    &cfg->synth_rounds, why);
	case OPT_GUESTS:
		return small_number("guests", 1, SIM_MAX_GUESTS, &cfg->guests,
				    why);
	case OPT_THREADS:
		return small_number("threads", 1, 256, &cfg->threads, why);
	case OPT_LOOPS:
		return small_number("loops", 1, 1000000, &cfg->loops, why);
	case OPT_LIMIT:
		return size("limit", &cfg->limit_bytes, why);
	case OPT_LIMIT_PERCENT:
		return small_number("limit-percent", 1, 100,
				    &cfg->limit_percent, why);
	case OPT_STAGGER:
		cfg->stagger_set = true;
		return number("stagger-ms", 0, 3600000, &cfg->stagger_ms, why);
	case OPT_SWAP:
		cfg->swap_dir = optarg;
		return 0;
	case OPT_HINTS:
		return parse_hints(cfg, why);
	case OPT_STORM:
		cfg->storm = true;
		return 0;
	case OPT_JSON:
		cfg->json = true;
		return 0;
	case OPT_TSV:
		cfg->tsv_path = optarg;
		return 0;
	default:
		return -EINVAL;
	}
}

static int check(struct sim_config *cfg, int argc, char **argv, struct why *why)
{
	if (optind < argc)
		cfg->trace_path = argv[optind++];
	if (optind < argc)
		return why_set(why, 0,
			       "unexpected argument \"%s\"; see hyp-sim --help",
			       argv[optind]);
	if (!cfg->trace_path == !cfg->synth_bytes)
		return why_set(
			why, 0,
			"give either a trace or --synth; see hyp-sim --help");
	if (!cfg->swap_dir)
		cfg->swap_dir = getenv("TMPDIR");
	if (!cfg->swap_dir || !*cfg->swap_dir)
		cfg->swap_dir = "/tmp";
	if (cfg->threads > cfg->guests)
		cfg->threads = cfg->guests;
	return 0;
}

int sim_options_parse(struct sim_config *cfg, int argc, char **argv, bool *help,
		      struct why *why)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int opt, err;

	*cfg = (struct sim_config){
		.seed = 1,
		.synth_rounds = 40,
		.guests = 8,
		.threads = cpus > 0 ? (unsigned int)cpus : 1,
		.loops = 1,
		.limit_percent = 50,
		.hints = true,
		.no_hints = true,
	};
	*help = false;
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h' || opt == OPT_HELP) {
			*help = true;
			return 0;
		}
		if (opt == ':' || opt == '?')
			return why_set(why, 0, "%s %s; see hyp-sim --help",
				       argv[optind - 1],
				       opt == ':' ? "needs a value" :
						    "is no option");
		err = parse_opt(cfg, opt, why);
		if (err)
			return err;
	}
	return check(cfg, argc, argv, why);
}
