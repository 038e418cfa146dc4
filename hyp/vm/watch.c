// SPDX-License-Identifier: GPL-2.0-only
/* Everything here is the loop's thread, but vm_news(). */
#include "hyp/vm/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hyp/vm/commands.h"
#include "hyp/vm/describe.h"
#include "hyp/vm/priv.h"

#define INTERVAL_MS	200
#define INTERVAL_MIN_MS 20
#define INTERVAL_MAX_MS 60000
/* Resident memory has moved: by the larger of these. */
#define BAND_MIN_BYTES MIB
#define BAND_DIV       64

/* What is compared of a sample, and when it was taken. */
struct sample {
	uint64_t at_ms;
	struct mem_stats mem;
	uint64_t stall_us; /* waits for the swap file: others are no cost of a limit */
	struct pause_state pause;
	struct share share;
	uint64_t balloon_target, balloon_actual;
};

struct watcher {
	struct ctl_client *client; /* NULL: free */
	uint64_t interval_ms;
	uint64_t due_ms; /* nothing is sent before */
	bool news;	 /* since @sent, and perhaps on its way already */
	struct sample sent;
};

struct watchers {
	struct watcher watcher[CTL_MAX_TAKERS];
	struct loop_handler news;  /* eventfd: look */
	struct loop_handler timer; /* armed while news is too early */
	bool armed;		   /* atomic: vm_news() is to set @news */
};

/*
 * An exchange on both sides: either this finds it armed, or look() that arms it
 * comes later and sees what was changed.
 */
void vm_news(void *ctx)
{
	struct watchers *ws = ((struct vm *)ctx)->watchers;

	if (ws && __atomic_exchange_n(&ws->armed, false, __ATOMIC_ACQ_REL))
		loop_event_set(ws->news.fd);
}

static void take_sample(struct vm *vm, struct sample *s)
{
	struct balloon_state balloon = { .target_bytes = 0 };
	struct mem_latency page_in;

	if (vm->balloon)
		balloon_get(vm->balloon, &balloon);
	*s = (struct sample){
		.at_ms = now_ms(),
		.share = vm->share,
		.balloon_target = balloon.target_bytes,
		.balloon_actual = balloon.actual_bytes,
	};
	mem_get_stats(vm->mem, &s->mem);
	mem_get_latency(vm->mem, MEM_WAIT_PAGE_IN, &page_in);
	s->stall_us = page_in.sum_ns / 1000;
	vm_pause_state(vm, &s->pause);
}

static uint64_t band_frames(const struct sample *s)
{
	uint64_t band = s->mem.frames / BAND_DIV;
	uint64_t least = BAND_MIN_BYTES / MEM_PAGE_SIZE;

	return band > least ? band : least;
}

static bool is_over(const struct sample *s)
{
	return s->mem.limit && s->mem.charged > s->mem.limit;
}

static void no_news(const struct sample *sent, struct mem_watch *w)
{
	uint64_t resident = sent->mem.resident;
	uint64_t band = band_frames(sent) - 1;

	*w = (struct mem_watch){
		.cost = mem_cost(&sent->mem),
		.resident_min = resident > band ? resident - band : 0,
		.resident_max = resident + band,
		.over = is_over(sent),
	};
}

static bool is_news(const struct sample *sent, const struct sample *now)
{
	const struct share *a = &sent->share, *b = &now->share;
	struct mem_watch w;

	no_news(sent, &w);
	return mem_cost(&now->mem) != w.cost ||
	       now->mem.resident < w.resident_min ||
	       now->mem.resident > w.resident_max ||
	       (w.over && !is_over(now)) || now->mem.limit != sent->mem.limit ||
	       now->pause.reasons != sent->pause.reasons ||
	       now->pause.settled != sent->pause.settled ||
	       now->balloon_target != sent->balloon_target ||
	       now->balloon_actual != sent->balloon_actual ||
	       a->min_bytes != b->min_bytes || a->max_bytes != b->max_bytes ||
	       a->entitlement_bytes != b->entitlement_bytes ||
	       a->weight != b->weight;
}

static void add_counters(cJSON *object, const struct sample *s)
{
	const struct mem_stats *mem = &s->mem;
	cJSON *out = cJSON_AddObjectToObject(object, "counters");

	ctl_add_u64(out, "fault_preserved", mem->fault_preserved);
	ctl_add_u64(out, "fault_discard", mem->fault_discard);
	ctl_add_u64(out, "fault_zero", mem->fault_zero);
	ctl_add_u64(out, "swapped_out", mem->swapped_out);
	ctl_add_u64(out, "swapped_in", mem->swapped_in);
	ctl_add_u64(out, "discarded",
		    mem->discarded_unused + mem->discarded_volatile +
			    mem->discarded_potential);
	ctl_add_u64(out, "stall_us", s->stall_us);
}

/* Return: NULL if memory ran out. */
static cJSON *describe_sample(struct vm *vm, const struct sample *s)
{
	cJSON *out = cJSON_CreateObject();

	describe_now(out);
	ctl_add_u64(out, "uptime_ms", s->at_ms - vm->start_ms);
	cJSON_AddStringToObject(out, "name", vm->cfg->name);
	ctl_add_u64(out, "pid", (uint64_t)getpid());
	describe_pause(&s->pause, out);
	ctl_add_u64(out, "mem_bytes", vm->cfg->mem_bytes);
	describe_bytes(out, "limit_bytes", s->mem.limit * MEM_PAGE_SIZE);
	ctl_add_u64(out, "resident_bytes", s->mem.resident * MEM_PAGE_SIZE);
	ctl_add_u64(out, "preserved_bytes", s->mem.preserved * MEM_PAGE_SIZE);
	ctl_add_u64(out, "charged_bytes", s->mem.charged * MEM_PAGE_SIZE);
	ctl_add_u64(out, "lowest_limit_bytes", vm_lowest_limit(vm));
	cJSON_AddBoolToObject(out, "hints", vm->cfg->hints);
	cJSON_AddItemToObject(out, "share", describe_share(&s->share));
	if (vm->balloon)
		cJSON_AddItemToObject(out, "balloon",
				      describe_balloon(s->balloon_target,
						       s->balloon_actual));
	else
		cJSON_AddNullToObject(out, "balloon");
	add_counters(out, s);
	return out;
}

/* mem calls with the first news for any of those who know it all. */
static void widen(struct mem_watch *all, const struct sample *sent)
{
	struct mem_watch w;

	no_news(sent, &w);
	all->cost = w.cost; /* of all the same, or it would be news */
	all->over |= w.over;
	if (w.resident_min > all->resident_min)
		all->resident_min = w.resident_min;
	if (w.resident_max < all->resident_max)
		all->resident_max = w.resident_max;
}

static void look(struct vm *vm)
{
	struct mem_watch all = { .resident_max = UINT64_MAX };
	struct watchers *ws = vm->watchers;
	uint64_t wake_ms = UINT64_MAX;
	bool waiting = false;
	struct sample now;
	unsigned int i;

	(void)__atomic_exchange_n(&ws->armed, true, __ATOMIC_ACQ_REL);
	take_sample(vm, &now);
	for (i = 0; i < CTL_MAX_TAKERS; i++) {
		struct watcher *w = &ws->watcher[i];

		if (!w->client)
			continue;
		w->news |= is_news(&w->sent, &now);
		if (!w->news) {
			widen(&all, &w->sent);
			waiting = true;
		} else if (now.at_ms >= w->due_ms) {
			ctl_offer_event(w->client);
		} else if (w->due_ms < wake_ms) {
			wake_ms = w->due_ms;
		}
	}
	if (wake_ms != UINT64_MAX)
		loop_timer_once(ws->timer.fd, (wake_ms - now.at_ms) * 1000000);
	if (!waiting)
		__atomic_store_n(&ws->armed, false, __ATOMIC_RELEASE);
	mem_watch(vm->mem, waiting ? &all : NULL);
}

static void on_news(void *ctx, uint32_t events)
{
	struct vm *vm = ctx;

	(void)events;
	loop_event_ack(vm->watchers->news.fd);
	look(vm);
}

static void on_timer(void *ctx, uint32_t events)
{
	struct vm *vm = ctx;

	(void)events;
	loop_timer_ack(vm->watchers->timer.fd);
	look(vm);
}

static struct watcher *find(struct watchers *ws,
			    const struct ctl_client *client)
{
	unsigned int i;

	for (i = 0; i < CTL_MAX_TAKERS; i++)
		if (ws->watcher[i].client == client)
			return &ws->watcher[i];
	return NULL;
}

static cJSON *sample_for(struct vm *vm, struct watcher *w)
{
	take_sample(vm, &w->sent);
	w->due_ms = w->sent.at_ms + w->interval_ms;
	w->news = false;
	return describe_sample(vm, &w->sent);
}

cJSON *vm_watch_event(void *ctx, struct ctl_client *client)
{
	struct vm *vm = ctx;
	cJSON *out = cJSON_CreateObject();
	cJSON *sample;

	sample = sample_for(vm, find(vm->watchers, client));
	look(vm);
	cJSON_AddStringToObject(out, "event", "sample");
	if (cJSON_AddItemToObject(out, "sample", sample))
		return out;
	cJSON_Delete(sample);
	cJSON_Delete(out);
	return NULL;
}

/* What was armed for it is told to nobody. */
void vm_watch_gone(void *ctx, struct ctl_client *client)
{
	struct vm *vm = ctx;

	find(vm->watchers, client)->client = NULL;
}

static int parse_interval(const struct ctl_request *req, uint64_t *ms,
			  struct ctl_error *error)
{
	int err = ctl_number(req, "interval_ms", ms, error);

	if (err == -ENOENT) {
		*ms = INTERVAL_MS;
		return 0;
	}
	if (!err && (*ms < INTERVAL_MIN_MS || *ms > INTERVAL_MAX_MS))
		err = ctl_error_set(error, "interval_ms",
				    "not a number from %d to %d",
				    INTERVAL_MIN_MS, INTERVAL_MAX_MS);
	return err;
}

void vm_do_watch(struct vm *vm, struct ctl_client *client,
		 const struct ctl_request *req)
{
	struct ctl_error error;
	struct watcher *w;
	uint64_t ms;
	int err;

	err = parse_interval(req, &ms, &error);
	if (!err) {
		err = ctl_take_events(client);
		if (err == -EBUSY)
			ctl_error_set(&error, "command",
				      "%d clients watch already",
				      CTL_MAX_TAKERS);
		else if (err)
			ctl_error_set(&error, "command",
				      "cannot send events: %s", strerror(-err));
	}
	if (err) {
		ctl_refuse(client, &error);
		return;
	}
	w = find(vm->watchers, client);
	if (!w)
		w = find(vm->watchers, NULL);
	w->client = client;
	w->interval_ms = ms;
	ctl_answer(client, sample_for(vm, w));
	look(vm);
}

int vm_watch_open(struct vm *vm)
{
	struct watchers *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return -ENOMEM;
	ws->news = (struct loop_handler){ loop_event(), on_news, vm };
	ws->timer = (struct loop_handler){ loop_timer(0, 0), on_timer, vm };
	vm->watchers = ws;
	return ws->news.fd < 0	? ws->news.fd :
	       ws->timer.fd < 0 ? ws->timer.fd :
				  0;
}

int vm_watch_serve(struct vm *vm)
{
	int err = loop_add(vm->loop, &vm->watchers->news, EPOLLIN);

	return err ? err : loop_add(vm->loop, &vm->watchers->timer, EPOLLIN);
}

void vm_watch_close(struct vm *vm)
{
	struct watchers *ws = vm->watchers;

	if (!ws)
		return;
	if (ws->news.fd >= 0)
		close(ws->news.fd);
	if (ws->timer.fd >= 0)
		close(ws->timer.fd);
	free(ws);
	vm->watchers = NULL;
}
