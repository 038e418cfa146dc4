// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/sim/run.h"

#include <errno.h>
#include <stdlib.h>

#include "hyp/mem/touch.h"

/* Guests of a thread take turns at this interval of the trace's time. */
#define SLICE_MS 10u

struct driver {
	const struct sim_config *cfg;
	struct sim_guest **guests; /* all; ours: first, first + step, ... */
	struct sim_result *results;
	unsigned int first, step;
	uint64_t stagger_ms;
	pthread_t thread;
};

/* Return: how many guests of this driver are still at work. */
static unsigned int slice(struct driver *d, uint64_t time_ms)
{
	unsigned int i, left = 0;

	for (i = d->first; i < d->cfg->guests; i += d->step) {
		uint64_t boot_ms = i * d->stagger_ms;

		if (!d->guests[i])
			continue;
		left++;
		if (time_ms < boot_ms ||
		    sim_guest_run(d->guests[i], time_ms - boot_ms))
			continue;
		sim_guest_finish(d->guests[i], &d->results[i]);
		sim_guest_destroy(d->guests[i]);
		d->guests[i] = NULL;
	}
	return left;
}

static void *drive(void *arg)
{
	struct driver *d = arg;
	uint64_t t;

	for (t = 0; slice(d, t); t += SLICE_MS)
		;
	return NULL;
}

static int start_drivers(const struct sim_config *cfg,
			 struct sim_guest **guests, struct sim_result *results,
			 uint64_t stagger_ms, struct driver *drivers)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < cfg->threads; i++) {
		drivers[i] = (struct driver){
			.cfg = cfg,
			.guests = guests,
			.results = results,
			.first = i,
			.step = cfg->threads,
			.stagger_ms = stagger_ms,
		};
		err = pthread_create(&drivers[i].thread, NULL, drive,
				     &drivers[i]);
	}
	if (err)
		i--;
	while (i--)
		pthread_join(drivers[i].thread, NULL);
	return -err;
}

int sim_run(const struct sim_config *cfg, const struct trace *trace,
	    uint64_t limit_bytes, bool hints, struct sim_result *results,
	    struct why *why)
{
	struct driver *drivers = calloc(cfg->threads, sizeof(*drivers));
	struct sim_guest **guests = calloc(cfg->guests, sizeof(*guests));
	struct sim_guest_config gc = {
		.trace = trace,
		.loops = cfg->loops,
		.limit_bytes = limit_bytes,
		.swap_dir = cfg->swap_dir,
		.hints = hints,
		.storm = hints && cfg->storm,
	};
	uint64_t stagger_ms = cfg->stagger_set ? cfg->stagger_ms :
						 trace->end_ms / cfg->guests;
	int err = 0;

	guest_init();
	if (!drivers || !guests)
		err = why_set(why, -ENOMEM, "guests");
	for (gc.id = 0; !err && gc.id < cfg->guests; gc.id++)
		err = sim_guest_create(&guests[gc.id], &gc, why);
	if (!err) {
		err = start_drivers(cfg, guests, results, stagger_ms, drivers);
		if (err)
			why_set(why, err, "cannot start the threads");
	}
	while (guests && gc.id--)
		sim_guest_destroy(guests[gc.id]);
	free(guests);
	free(drivers);
	return err;
}
