// SPDX-License-Identifier: GPL-2.0-only
/* The simulator: order of things; the only place that prints an error. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "essa-emu/trace/synth.h"
#include "hyp/sim/options.h"
#include "hyp/sim/report.h"

#define EXIT_CONTENT 1
#define EXIT_FAILED  2

/* Four descriptors a guest. */
static void allow_many_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

static int get_trace(const struct sim_config *cfg, struct trace **trace,
		     struct why *why)
{
	const struct synth synth = {
		.seed = cfg->seed,
		.nr_frames = cfg->synth_bytes / MEM_PAGE_SIZE,
		.rounds = cfg->synth_rounds,
	};
	const char *text = NULL;
	int err;

	if (!cfg->trace_path) {
		err = trace_synth(trace, &synth, &text);
		return err ? why_set(why, 0, "--synth: %s", text) : 0;
	}
	err = trace_load(trace, cfg->trace_path, &text);
	if (err == -EINVAL)
		return why_set(why, 0, "%s: %s", cfg->trace_path, text);
	return err ? why_set(why, err, "%s: %s", cfg->trace_path, text) : 0;
}

static uint64_t limit_of(const struct sim_config *cfg, const struct trace *t)
{
	if (cfg->limit_bytes)
		return cfg->limit_bytes;
	if (cfg->limit_percent == 100)
		return 0;
	return t->nr_frames * cfg->limit_percent / 100 * MEM_PAGE_SIZE;
}

static int run_side(const struct sim_config *cfg, const struct trace *trace,
		    bool hints, struct sim_result **out, struct why *why)
{
	if (!(hints ? cfg->hints : cfg->no_hints))
		return 0;
	*out = calloc(cfg->guests, sizeof(**out));
	if (!*out)
		return why_set(why, -ENOMEM, "results");
	return sim_run(cfg, trace, limit_of(cfg, trace), hints, *out, why);
}

static int report(const struct sim_config *cfg, const struct sim_report *r,
		  FILE *tsv, struct why *why)
{
	int err;

	err = cfg->json ? sim_report_json(stdout, r) :
			  sim_report_text(stdout, r);
	if (err)
		return why_set(why, err, "cannot write the report");
	if (!tsv)
		return 0;
	err = sim_report_tsv(tsv, r);
	return err ? why_set(why, err, "cannot write to %s", cfg->tsv_path) : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	struct sim_result *on = NULL, *off = NULL;
	struct trace *trace = NULL;
	struct why why = { "" };
	struct sim_config cfg;
	struct sim_report r;
	int code = EXIT_FAILED;
	FILE *tsv = NULL;
	bool help;
	int err;

	err = sim_options_parse(&cfg, argc, argv, &help, &why);
	if (!err && help)
		return fputs(sim_options_help(), stdout) < 0 || fflush(stdout);
	allow_many_files();
	if (!err)
		err = get_trace(&cfg, &trace, &why);
	if (!err && cfg.tsv_path) {
		tsv = fopen(cfg.tsv_path, "ae");
		if (!tsv)
			err = why_set(&why, -errno, "cannot write to %s",
				      cfg.tsv_path);
	}
	if (!err)
		err = run_side(&cfg, trace, true, &on, &why);
	if (!err)
		err = run_side(&cfg, trace, false, &off, &why);
	if (err)
		goto out;
	r = (struct sim_report){
		.trace_name = cfg.trace_path ? base_name(cfg.trace_path) :
					       "synthetic",
		.nr_frames = trace->nr_frames,
		.limit_frames = limit_of(&cfg, trace) / MEM_PAGE_SIZE,
		.guests = cfg.guests,
		.hints = on,
		.no_hints = off,
	};
	err = report(&cfg, &r, tsv, &why);
	if (!err)
		code = sim_report_failures(&r) ? EXIT_CONTENT : 0;
out:
	if (why.text[0])
		fprintf(stderr, "hyp-sim: %s\n", why.text);
	if (tsv)
		fclose(tsv);
	trace_free(trace);
	free(on);
	free(off);
	return code;
}
