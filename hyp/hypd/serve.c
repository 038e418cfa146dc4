// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* A client that polls comes more often. */
#define SILENT_MS 10000

static void add_last_change(cJSON *vm, const struct notice *n)
{
	cJSON *out;

	if (!n->reason) {
		cJSON_AddNullToObject(vm, "last_change");
		return;
	}
	out = cJSON_AddObjectToObject(vm, "last_change");
	ctl_add_u64(out, "timestamp_ms", n->last_realtime_ms);
	ctl_add_u64(out, "from_bytes", n->last_from);
	ctl_add_u64(out, "to_bytes", n->last_to);
	cJSON_AddStringToObject(out, "reason", n->reason);
}

static void add_balloon(cJSON *vm, const struct sample *s)
{
	cJSON *out;

	if (!s->has_balloon) {
		cJSON_AddNullToObject(vm, "balloon");
		return;
	}
	out = cJSON_AddObjectToObject(vm, "balloon");
	ctl_add_u64(out, "target_bytes", s->balloon_target);
	ctl_add_u64(out, "actual_bytes", s->balloon_actual);
}

static void add_figures(const struct manager *m, const struct guest *g,
			cJSON *vm)
{
	struct share share = manager_share_of(m, g);

	ctl_add_u64(vm, "mem_bytes", g->sample.mem);
	if (guest_limit(g) == g->sample.mem && g->sample.unlimited)
		cJSON_AddNullToObject(vm, "limit_bytes");
	else
		ctl_add_u64(vm, "limit_bytes", guest_limit(g));
	ctl_add_u64(vm, "resident_bytes", g->sample.resident);
	ctl_add_u64(vm, "charged_bytes", g->sample.charged);
	ctl_add_u64(vm, "min_bytes", share.min_bytes);
	ctl_add_u64(vm, "entitlement_bytes", share.entitlement_bytes);
	ctl_add_u64(vm, "max_bytes", share.max_bytes);
	ctl_add_u64(vm, "weight", share.weight);
	/* In whole costs a second: more digits say nothing. */
	cJSON_AddNumberToObject(vm, "pressure", round(g->pressure));
	cJSON_AddBoolToObject(vm, "idle", g->idle);
	cJSON_AddBoolToObject(vm, "governed", guest_is_ready(g));
	add_balloon(vm, &g->sample);
}

static cJSON *describe(const struct manager *m, const struct guest *g)
{
	cJSON *vm = cJSON_CreateObject();

	cJSON_AddStringToObject(vm, "name", g->name);
	cJSON_AddStringToObject(vm, "path", g->path);
	ctl_add_u64(vm, "pid", (uint64_t)g->pid);
	cJSON_AddStringToObject(vm, "state", guest_state_name(g));
	ctl_add_u64(vm, "counted_bytes", guest_counted(g));
	ctl_add_u64(vm, "budget_bytes", g->budget);
	ctl_add_u64(vm, "guaranteed_bytes", g->guaranteed);
	if (g->sampled)
		add_figures(m, g, vm);
	add_last_change(vm, &g->notice);
	return vm;
}

static void do_host(struct manager *m, struct ctl_client *client)
{
	cJSON *out = cJSON_CreateObject(), *vms;
	struct timespec now;
	size_t i;

	clock_gettime(CLOCK_REALTIME, &now);
	ctl_add_u64(out, "timestamp_ms",
		    (uint64_t)now.tv_sec * 1000 +
			    (uint64_t)now.tv_nsec / 1000000);
	cJSON_AddStringToObject(out, "policy", m->policy->name);
	ctl_add_u64(out, "limit_bytes", m->settings.limit_bytes);
	ctl_add_u64(out, "counted_bytes", manager_counted(m));
	cJSON_AddBoolToObject(out, "limit_met", !m->is_short);
	cJSON_AddBoolToObject(out, "host_pressed", m->psi.pressed);
	vms = cJSON_AddArrayToObject(out, "vms");
	for (i = 0; i < m->nr_slots; i++)
		if (m->guests[i].state != GUEST_FREE &&
		    m->guests[i].state != GUEST_CALLING)
			cJSON_AddItemToArray(vms, describe(m, &m->guests[i]));
	ctl_answer(client, out);
}

static void answer_state(const struct manager *m, struct ctl_client *client)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "policy", m->policy->name);
	ctl_add_u64(out, "limit_bytes", m->settings.limit_bytes);
	ctl_add_u64(out, "counted_bytes", manager_counted(m));
	ctl_answer(client, out);
}

static void do_limit(struct manager *m, struct ctl_client *client,
		     const struct ctl_request *req)
{
	struct ctl_error error;
	uint64_t bytes = 0;
	int err = ctl_number(req, "limit", &bytes, &error);

	if (err == -ENOENT)
		ctl_error_set(&error, "limit", "missing");
	else if (!err &&
		 (!bytes || bytes % POLICY_PAGE || bytes > SETTINGS_MAX_LIMIT))
		err = ctl_error_set(&error, "limit",
				    "%" PRIu64
				    " is not a multiple of %u, or too large",
				    bytes, POLICY_PAGE);
	if (err) {
		ctl_refuse(client, &error);
		return;
	}
	if (bytes != m->settings.limit_bytes)
		manager_set_limit(m, bytes);
	answer_state(m, client);
}

static void do_policy(struct manager *m, struct ctl_client *client,
		      const struct ctl_request *req)
{
	const char *name = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(req->object, "policy"));
	const struct policy *policy = name ? policy_find(name) : NULL;
	struct ctl_error error;

	if (!policy) {
		ctl_error_set(&error, "policy", "there are %s", policy_names());
		ctl_refuse(client, &error);
		return;
	}
	manager_set_policy(m, policy);
	answer_state(m, client);
}

static void on_request(void *ctx, struct ctl_client *client,
		       const struct ctl_request *req)
{
	static const char *const none[] = { NULL };
	static const char *const limit[] = { "limit", NULL };
	static const char *const policy[] = { "policy", NULL };
	struct ctl_error error;

	if (!strcmp(req->command, "host")) {
		if (!ctl_request_fields(req, none, &error)) {
			do_host(ctx, client);
			return;
		}
	} else if (!strcmp(req->command, "limit")) {
		if (!ctl_request_fields(req, limit, &error)) {
			do_limit(ctx, client, req);
			return;
		}
	} else if (!strcmp(req->command, "policy")) {
		if (!ctl_request_fields(req, policy, &error)) {
			do_policy(ctx, client, req);
			return;
		}
	} else {
		ctl_error_set(&error, "command", "\"%s\" is unknown",
			      req->command);
	}
	ctl_refuse(client, &error);
}

int serve_create(struct ctl **out, struct manager *manager, int listen_fd)
{
	const struct ctl_ops ops = { .request = on_request,
				     .ctx = manager,
				     .silent_ms = SILENT_MS };

	return ctl_create(out, manager->loop, listen_fd, &ops);
}
