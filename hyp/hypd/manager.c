// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hyp/hypd/divide.h"
#include "hyp/hypd/ledger.h"

/* However much happens: decisions are no more frequent. */
#define DECIDE_EVERY_MS 50

static double mib(uint64_t bytes)
{
	return (double)bytes / (double)MIB;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool counts(const struct guest *g)
{
	return g->state != GUEST_FREE && g->state != GUEST_CALLING;
}

uint64_t manager_counted(const struct manager *m)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < m->nr_slots; i++)
		if (counts(&m->guests[i]))
			sum += guest_counted(&m->guests[i]);
	return sum;
}

static uint64_t due_ms(const struct manager *m)
{
	uint64_t due = sooner(m->again_ms, psi_due_ms(&m->psi));
	size_t i;

	if (m->dirty)
		due = sooner(due, m->decided_ms + DECIDE_EVERY_MS);
	for (i = 0; i < m->nr_slots; i++)
		due = sooner(due, guest_due_ms(&m->guests[i]));
	return due;
}

static void arm(struct manager *m)
{
	uint64_t due = due_ms(m), now;

	if (due == m->armed_ms)
		return;
	m->armed_ms = due;
	if (due == UINT64_MAX) {
		loop_timer_once(m->timer.fd, 0);
		return;
	}
	now = now_ms();
	loop_timer_once(m->timer.fd, due > now ? (due - now) * 1000000 : 1);
}

static void touch(struct manager *m)
{
	m->dirty = true;
	arm(m);
}

struct share manager_share_of(const struct manager *m, const struct guest *g)
{
	const struct share_change *set = settings_find(&m->settings, g->name);
	const struct sample *s = &g->sample;
	struct share share = s->share;

	if (set)
		share_update(&share, set);
	/* Settings may be of another machine of that name. */
	share.max_bytes = sooner(share.max_bytes, s->mem);
	share.min_bytes = most(share.min_bytes, s->lowest);
	share.min_bytes = sooner(share.min_bytes, s->mem);
	share.max_bytes = most(share.max_bytes, share.min_bytes);
	share.entitlement_bytes =
		most(share.entitlement_bytes, share.min_bytes);
	share.entitlement_bytes =
		sooner(share.entitlement_bytes, share.max_bytes);
	return share;
}

/* Can the policy give it more or less? */
static bool is_governed(struct manager *m, struct guest *g)
{
	if (!guest_is_ready(g))
		return false;
	if (!g->memory)
		g->memory = calloc(1, m->policy->memory_bytes + 1);
	return g->memory;
}

static void describe(const struct manager *m, const struct guest *g,
		     struct policy_vm *vm)
{
	struct share share = manager_share_of(m, g);
	const struct sample *s = &g->sample;

	*vm = (struct policy_vm){
		.mem = s->mem,
		.limit = guest_limit(g),
		.charged = s->charged,
		.floor = share.min_bytes,
		.ceiling = share.max_bytes,
		.entitlement = share.entitlement_bytes,
		.weight = (unsigned int)share.weight,
		.running = s->running,
		.counters = s->counters,
		.has_balloon = s->has_balloon && !g->refuses_balloon,
		.balloon_target = s->balloon_target,
		.balloon_actual = s->balloon_actual,
		.memory = g->memory,
	};
}

/* Said when it begins and when it ends. */
static void note_short(struct manager *m, uint64_t floors, uint64_t others)
{
	bool is_short = floors + others > m->settings.limit_bytes;

	if (is_short && !m->is_short)
		log_line(
			"the limit of %.1f MiB cannot be met: minimums are %.1f MiB, and %.1f MiB cannot be limited",
			mib(m->settings.limit_bytes), mib(floors), mib(others));
	if (!is_short && m->is_short)
		log_line("the limit of %.1f MiB can be met again",
			 mib(m->settings.limit_bytes));
	m->is_short = is_short;
}

static void tell(struct guest *g, const struct policy_vm *vm,
		 const struct ledger_vm *entry, uint64_t now)
{
	uint64_t limit = guest_limit(g), by;

	g->budget = vm->budget;
	g->guaranteed = vm->guaranteed;
	g->pressure = vm->pressure;
	g->idle = vm->idle;
	if (entry->grant != limit) {
		notice_change(&g->notice, g->name, limit, entry->grant,
			      vm->reason, now);
		guest_set_limit(g, entry->grant);
	}
	by = vm->want_balloon > vm->balloon_target ?
		     vm->want_balloon - vm->balloon_target :
		     vm->balloon_target - vm->want_balloon;
	if (vm->has_balloon && by && by >= divide_step(vm->want_balloon))
		guest_set_balloon(g, vm->want_balloon);
}

struct round {
	struct policy_vm *vms;
	struct ledger_vm *entries;
	struct guest **guests;
	size_t nr;
};

/* Return: the sum of those that count but are not governed. */
static uint64_t gather(struct manager *m, struct round *r, bool *is_settling)
{
	uint64_t others = 0;
	size_t i;

	*is_settling = false;
	for (i = 0; i < m->nr_slots; i++) {
		struct guest *g = &m->guests[i];

		*is_settling |= guest_is_settling(g);
		if (!counts(g))
			continue;
		if (!is_governed(m, g)) {
			others += guest_counted(g);
			g->budget = g->guaranteed = guest_counted(g);
			continue;
		}
		describe(m, g, &r->vms[r->nr]);
		r->guests[r->nr++] = g;
	}
	return others;
}

static void settle(struct manager *m, struct round *r)
{
	uint64_t limit = m->settings.limit_bytes, floors = 0, now = now_ms();
	struct policy_host host = { .now_ms = now, .pressed = m->psi.pressed };
	bool is_settling;
	uint64_t others = gather(m, r, &is_settling);
	size_t i;

	for (i = 0; i < r->nr; i++)
		floors += r->vms[i].floor;
	note_short(m, floors, others);
	host.limit_bytes = limit > others ? limit - others : 0;
	m->again_ms = m->policy->decide(&host, r->vms, r->nr);
	for (i = 0; i < r->nr; i++)
		r->entries[i] = (struct ledger_vm){
			.counted = guest_counted(r->guests[i]),
			.limit = guest_limit(r->guests[i]),
			.want = r->vms[i].budget,
			.guaranteed = r->vms[i].guaranteed,
		};
	/* What somebody has who will soon say it must not be given to others. */
	ledger_settle(is_settling ? 0 : host.limit_bytes, r->entries, r->nr);
	for (i = 0; i < r->nr; i++)
		tell(r->guests[i], &r->vms[i], &r->entries[i], now);
}

static void decide(struct manager *m, uint64_t now)
{
	struct round r = {
		.vms = calloc(m->nr_slots + 1, sizeof(*r.vms)),
		.entries = calloc(m->nr_slots + 1, sizeof(*r.entries)),
		.guests = calloc(m->nr_slots + 1, sizeof(*r.guests)),
	};

	m->dirty = false;
	m->decided_ms = now;
	m->again_ms = UINT64_MAX;
	if (r.vms && r.entries && r.guests)
		settle(m, &r);
	free(r.guests);
	free(r.entries);
	free(r.vms);
}

static void on_timer(void *ctx, uint32_t events)
{
	struct manager *m = ctx;
	uint64_t now = now_ms();
	size_t i;

	(void)events;
	loop_timer_ack(m->timer.fd);
	m->armed_ms = UINT64_MAX;
	for (i = 0; i < m->nr_slots; i++)
		if (guest_due_ms(&m->guests[i]) <= now)
			guest_tick(&m->guests[i], now);
	if (psi_tick(&m->psi, now))
		m->dirty = true;
	if ((m->dirty && now >= m->decided_ms + DECIDE_EVERY_MS) ||
	    now >= m->again_ms)
		decide(m, now);
	arm(m);
}

static struct guest *free_slot(struct manager *m)
{
	size_t i;

	for (i = 0; i < m->nr_slots; i++)
		if (m->guests[i].state == GUEST_FREE)
			return &m->guests[i];
	if (m->nr_slots < MANAGER_MAX_GUESTS)
		return &m->guests[m->nr_slots++];
	if (!m->full)
		log_line("more than %d VMs; further ones are left alone",
			 MANAGER_MAX_GUESTS);
	m->full = true;
	return NULL;
}

/* @calls: before, that were in vain */
static void call_at(struct manager *m, const char *name, const char *path,
		    unsigned int calls)
{
	struct guest *g;
	size_t i;

	for (i = 0; i < m->nr_slots; i++) {
		g = &m->guests[i];
		if (g->state == GUEST_CALLING && !strcmp(g->path, path)) {
			guest_call(g, calls);
			arm(m);
			return;
		}
	}
	g = free_slot(m);
	if (!g)
		return;
	guest_init(g, m->loop, &m->guest_ops, name, path);
	guest_call(g, calls);
	arm(m);
}

static bool is_talking(const struct manager *m, const char *path)
{
	const struct guest *g;
	size_t i;

	for (i = 0; i < m->nr_slots; i++) {
		g = &m->guests[i];
		if ((g->state == GUEST_ASKED || g->state == GUEST_WATCHED) &&
		    !strcmp(g->path, path))
			return true;
	}
	return false;
}

static void on_found(void *ctx, const char *name, const char *path, bool is_new)
{
	/* A new socket in the place of one is another VM's. */
	if (is_new || !is_talking(ctx, path))
		call_at(ctx, name, path, 0);
}

/* Of one process and path there is one guest: the newest that is connected. */
static bool on_connected(void *ctx, struct guest *g)
{
	struct manager *m = ctx;
	size_t i;

	for (i = 0; i < m->nr_slots; i++) {
		struct guest *other = &m->guests[i];

		if (other == g || !counts(other) || other->pid != g->pid ||
		    strcmp(other->path, g->path))
			continue;
		if (other->state != GUEST_LOST)
			return false;
		g->guess = guest_counted(other);
		guest_forget(other);
	}
	return true;
}

static void on_changed(void *ctx, struct guest *g)
{
	(void)g;
	touch(ctx);
}

static void on_ended(void *ctx, struct guest *g)
{
	if (g->sampled)
		log_line("%s: has ended", g->name);
	touch(ctx);
}

static void on_lost(void *ctx, struct guest *g)
{
	call_at(ctx, g->name, g->path, g->calls);
}

static void on_pressed(void *ctx)
{
	touch(ctx);
}

int manager_init(struct manager *m, struct loop *loop,
		 struct settings *settings, struct why *why)
{
	int err;

	m->loop = loop;
	m->settings = *settings;
	m->policy = settings->policy;
	m->timer = (struct loop_handler){ loop_timer(0, 0), on_timer, m };
	m->psi.handler.fd = -1;
	m->armed_ms = m->again_ms = UINT64_MAX;
	m->guest_ops = (struct guest_ops){ on_connected, on_changed, on_ended,
					   on_lost, m };
	m->guests = calloc(MANAGER_MAX_GUESTS, sizeof(*m->guests));
	if (!m->guests)
		return why_set(why, -ENOMEM, "VMs");
	if (m->timer.fd < 0)
		return why_set(why, m->timer.fd, "cannot create a timer");
	err = loop_add(loop, &m->timer, EPOLLIN);
	if (err)
		return why_set(why, err, "cannot use a timer");
	psi_init(&m->psi, loop, on_pressed, m);
	return finder_create(&m->finder, loop, on_found, m, why);
}

void manager_fini(struct manager *m)
{
	size_t i;

	if (!m->loop)
		return;
	finder_destroy(m->finder);
	for (i = 0; i < m->nr_slots; i++)
		if (m->guests[i].state != GUEST_FREE)
			guest_forget(&m->guests[i]);
	free(m->guests);
	psi_fini(&m->psi);
	if (m->timer.fd >= 0)
		close(m->timer.fd);
	settings_fini(&m->settings);
}

void manager_start(struct manager *m)
{
	finder_scan(m->finder);
}

void manager_set_limit(struct manager *m, uint64_t bytes)
{
	log_line("the limit is %.1f MiB now, was %.1f MiB", mib(bytes),
		 mib(m->settings.limit_bytes));
	m->settings.limit_bytes = bytes;
	touch(m);
}

void manager_set_policy(struct manager *m, const struct policy *policy)
{
	size_t i;

	if (policy == m->policy)
		return;
	log_line("the policy is %s now, was %s", policy->name, m->policy->name);
	m->policy = m->settings.policy = policy;
	for (i = 0; i < m->nr_slots; i++) {
		free(m->guests[i].memory);
		m->guests[i].memory = NULL;
		m->guests[i].pressure = 0;
	}
	touch(m);
}

void manager_set(struct manager *m, struct settings *settings)
{
	struct settings old = m->settings;

	settings_fini(&old);
	m->settings.vms = settings->vms;
	m->settings.nr_vms = settings->nr_vms;
	if (settings->limit_bytes != m->settings.limit_bytes)
		manager_set_limit(m, settings->limit_bytes);
	manager_set_policy(m, settings->policy);
	finder_scan(m->finder);
	touch(m);
}
