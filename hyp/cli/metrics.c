// SPDX-License-Identifier: GPL-2.0-only
/*
 * hyp metrics.  Every scrape looks for VMs and hypd and asks anew; nothing is kept
 * from one to the next, so that scrapes in several threads share nothing.
 */
#include "hyp/cli/cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "hyp/cli/http.h"
#include "hyp/cli/peers.h"
#include "hyp/cli/prom.h"

static int print_all(FILE *file, struct why *why)
{
	struct peers peers = { .with_manager = true };
	struct prom_vm *vms;
	struct peer *p;
	size_t nr = 0;
	int err = peers_find(&peers, why);

	if (err)
		return err;
	peers_ask(&peers, "stat");
	peers_wait(&peers);
	for (p = peers.first; p; p = p->next)
		nr++;
	vms = calloc(nr + 1, sizeof(*vms));
	for (p = peers.first, nr = 0; vms && p; p = p->next)
		vms[nr++] = (struct prom_vm){ p->name, p->code == ASK_OK ?
							       p->result :
							       NULL };
	p = peers.manager;
	if (p && p->code != ASK_NO_VM)
		prom_print_host(file, p->code == ASK_OK ? p->result : NULL);
	if (vms)
		prom_print(file, vms, nr);
	else
		err = why_set(why, 0, "out of memory");
	free(vms);
	peers_fini(&peers);
	return err;
}

/* Any thread of the server. */
static char *make_page(size_t *len, struct why *why)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, len);
	int err;

	if (!file) {
		why_set(why, 0, "out of memory");
		return NULL;
	}
	err = print_all(file, why);
	if (!fclose(file) && !err)
		return text;
	why_set(why, 0, "out of memory");
	free(text);
	return NULL;
}

static int serve(const char *where, struct why *why)
{
	struct http *http;
	sigset_t ends;
	int sig, err;

	/* Before there are threads, which inherit it. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	err = http_start(&http, where, make_page, why);
	if (err)
		return err;
	printf("http://%s/metrics\n", http_address(http));
	fflush(stdout);
	sigwait(&ends, &sig);
	http_stop(http);
	return 0;
}

int cli_metrics(int argc, char **argv, struct why *why)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *where = NULL;
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h')
			return printf("usage: hyp metrics [--listen [ADDRESS:]PORT]\n") <
			       0;
		if (opt != 'l') {
			why_set(why, 0,
				opt == ':' ?
					"metrics: %s needs a value" :
					"metrics does not know %s; see hyp metrics --help",
				argv[optind - 1]);
			return ASK_USAGE;
		}
		where = optarg;
	}
	if (optind < argc) {
		why_set(why, 0, "unexpected argument \"%s\"", argv[optind]);
		return ASK_USAGE;
	}
	if (where)
		return serve(where, why) ? ASK_USAGE : ASK_OK;
	return print_all(stdout, why) ? ASK_USAGE : ASK_OK;
}
