// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything here is the loop's thread, but on_discarded(): reclaim's.
 */
#include "hyp/vm/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/ctl/listen.h"
#include "hyp/ctl/path.h"
#include "hyp/ctl/server.h"
#include "hyp/stats.h"
#include "hyp/vm/priv.h"

/* What an answer may wait for. */
#define WAIT_PAUSED  1
#define WAIT_DISCARD 2
/* A client that polls comes more often. */
#define SILENT_MS 10000

struct control {
	struct ctl_socket socket;
	struct why without; /* why there is none, if it was not asked for */
	struct ctl *server;
	struct loop_handler discarded; /* eventfd */
	uint64_t discarded_frames;     /* atomic */
	bool discarding;	       /* until the event has been seen */
};

static cJSON *add_string(cJSON *object, const char *name, const char *text)
{
	return text ? cJSON_AddStringToObject(object, name, text) :
		      cJSON_AddNullToObject(object, name);
}

static void add_bytes_or_null(cJSON *object, const char *name, uint64_t bytes)
{
	if (bytes)
		ctl_add_u64(object, name, bytes);
	else
		cJSON_AddNullToObject(object, name);
}

static void add_state(struct vm *vm, cJSON *object)
{
	struct pause_state pause;
	cJSON *reasons;
	unsigned int i;

	vm_pause_state(vm, &pause);
	cJSON_AddStringToObject(object, "state",
				!pause.reasons ? "running" :
				pause.settled  ? "paused" :
						 "pausing");
	reasons = cJSON_AddArrayToObject(object, "paused_by");
	for (i = 0; i < VM_PAUSE_NR; i++)
		if (pause.reasons >> i & 1)
			cJSON_AddItemToArray(
				reasons, cJSON_CreateString(vm_pause_names[i]));
}

static void add_limit(struct vm *vm, cJSON *object)
{
	struct mem_stats mem;

	mem_get_stats(vm->mem, &mem);
	add_bytes_or_null(object, "limit_bytes", mem.limit * MEM_PAGE_SIZE);
	ctl_add_u64(object, "resident_bytes", mem.resident * MEM_PAGE_SIZE);
}

static void add_features(struct vm *vm, cJSON *object)
{
	cJSON *features = cJSON_AddArrayToObject(object, "features");

	if (!vm->cfg->hints)
		return;
	cJSON_AddItemToArray(features, cJSON_CreateString("hints"));
	if (mem_features(vm->mem) & ESSA_FEAT_POTENTIAL)
		cJSON_AddItemToArray(features, cJSON_CreateString("potential"));
	if (vm->cfg->storm)
		cJSON_AddItemToArray(features, cJSON_CreateString("storm"));
	if (vm->cfg->test_hooks)
		cJSON_AddItemToArray(features,
				     cJSON_CreateString("test-hooks"));
}

static void add_host(struct vm *vm, cJSON *object)
{
	cJSON *host = cJSON_AddArrayToObject(object, "host");
	const char *names[MEM_MAX_HOST];
	unsigned int i, nr = mem_host(vm->mem, names);

	for (i = 0; i < nr; i++)
		cJSON_AddItemToArray(host, cJSON_CreateString(names[i]));
}

static void add_disks(struct vm *vm, cJSON *object)
{
	cJSON *disks = cJSON_AddArrayToObject(object, "disks");
	unsigned int i;

	for (i = 0; i < vm->cfg->nr_disks; i++) {
		cJSON *disk = cJSON_CreateObject();

		cJSON_AddStringToObject(disk, "path", vm->cfg->disks[i].path);
		cJSON_AddBoolToObject(disk, "read_only",
				      vm->cfg->disks[i].read_only);
		cJSON_AddItemToArray(disks, disk);
	}
}

/* Every command: the request's fields have been checked to be known ones. */

static void do_info(struct vm *vm, struct ctl_client *client,
		    const struct ctl_request *req)
{
	cJSON *out = cJSON_CreateObject();

	(void)req;
	cJSON_AddStringToObject(out, "name", vm->cfg->name);
	ctl_add_u64(out, "pid", (uint64_t)getpid());
	cJSON_AddStringToObject(out, "hyp", HYP_VERSION);
	cJSON_AddStringToObject(out, "kernel", vm->cfg->kernel);
	add_string(out, "initrd", vm->cfg->initrd);
	cJSON_AddStringToObject(out, "cmdline", vm->cfg->cmdline);
	ctl_add_u64(out, "cpus", vm->cfg->cpus);
	ctl_add_u64(out, "mem_bytes", vm->cfg->mem_bytes);
	add_limit(vm, out);
	add_string(out, "swap_dir", vm->cfg->swap_dir);
	add_bytes_or_null(out, "swap_bytes",
			  vm->cfg->swap_dir ? vm->cfg->swap_bytes : 0);
	add_features(vm, out);
	add_host(vm, out);
	add_disks(vm, out);
	add_state(vm, out);
	ctl_add_u64(out, "uptime_ms", now_ms() - vm->start_ms);
	ctl_answer(client, out);
}

static void add_counter(void *ctx, const char *name, uint64_t value)
{
	ctl_add_u64(ctx, name, value);
}

static void add_frames(cJSON *object, const struct mem_dist *dist)
{
	static const char *const usages[] = { "S", "U", "V", "P" };
	static const char *const contents[] = { "r", "p", "z" };
	cJSON *frames = cJSON_AddObjectToObject(object, "frames");
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(usages); i++) {
		cJSON *row = cJSON_AddObjectToObject(frames, usages[i]);

		for (j = 0; j < ARRAY_SIZE(contents); j++)
			ctl_add_u64(row, contents[j], dist->n[i][j]);
	}
}

/* What took longest goes up to null: there is no bound to it. */
static void add_ns(cJSON *array, uint64_t ns)
{
	cJSON_AddItemToArray(array, ns == UINT64_MAX ?
					    cJSON_CreateNull() :
					    cJSON_CreateNumber((double)ns));
}

static void add_waits(cJSON *object,
		      const struct mem_latency waits[MEM_NR_WAITS])
{
	cJSON *all = cJSON_AddObjectToObject(object, "waits");
	unsigned int i, b;

	for (i = 0; i < MEM_NR_WAITS; i++) {
		cJSON *kind = cJSON_AddObjectToObject(all, mem_wait_names[i]);
		cJSON *buckets, *pair;

		ctl_add_u64(kind, "count", waits[i].count);
		ctl_add_u64(kind, "sum_ns", waits[i].sum_ns);
		buckets = cJSON_AddArrayToObject(kind, "buckets");
		for (b = 0; b < MEM_LATENCY_BUCKETS; b++) {
			if (!waits[i].bucket[b])
				continue;
			pair = cJSON_CreateArray();
			add_ns(pair, mem_latency_bound(b));
			cJSON_AddItemToArray(
				pair,
				cJSON_CreateNumber((double)waits[i].bucket[b]));
			cJSON_AddItemToArray(buckets, pair);
		}
	}
}

static void do_stat(struct vm *vm, struct ctl_client *client,
		    const struct ctl_request *req)
{
	cJSON *out = cJSON_CreateObject();
	struct timespec now;
	struct stats s;

	(void)req;
	vm_take_stats(vm, &s);
	clock_gettime(CLOCK_REALTIME, &now);
	cJSON_AddStringToObject(out, "name", vm->cfg->name);
	ctl_add_u64(out, "timestamp_ms",
		    (uint64_t)now.tv_sec * 1000 +
			    (uint64_t)now.tv_nsec / 1000000);
	ctl_add_u64(out, "uptime_ms", s.ms);
	add_state(vm, out);
	ctl_add_u64(out, "page_bytes", MEM_PAGE_SIZE);
	ctl_add_u64(out, "mem_bytes", vm->cfg->mem_bytes);
	add_bytes_or_null(out, "limit_bytes", s.mem.limit * MEM_PAGE_SIZE);
	add_frames(out, &s.dist);
	stats_each(&s, add_counter, cJSON_AddObjectToObject(out, "counters"));
	add_waits(out, s.waits);
	ctl_answer(client, out);
}

/* Return: 0 or -EINVAL. */
static int parse_limit(const struct vm *vm, const struct ctl_request *req,
		       uint64_t *bytes, struct ctl_error *error)
{
	const cJSON *item =
		cJSON_GetObjectItemCaseSensitive(req->object, "limit");
	int err;

	if (cJSON_IsString(item) && !strcmp(item->valuestring, "none")) {
		*bytes = 0;
		return 0;
	}
	err = ctl_number(req, "limit", bytes, error);
	if (err == -ENOENT)
		return ctl_error_set(error, "limit", "missing");
	if (err)
		return ctl_error_set(error, "limit",
				     "neither a number of bytes nor \"none\"");
	if (*bytes % MEM_PAGE_SIZE || *bytes < CONFIG_LIMIT_FLOOR ||
	    *bytes > vm->cfg->mem_bytes)
		return ctl_error_set(
			error, "limit",
			"%" PRIu64
			" is not a multiple of %u from %llu to %" PRIu64
			" bytes",
			*bytes, MEM_PAGE_SIZE, CONFIG_LIMIT_FLOOR,
			vm->cfg->mem_bytes);
	if (!vm->cfg->swap_dir && *bytes < vm->cfg->mem_bytes)
		return ctl_error_set(
			error, "limit",
			"this VM has no swap file for what it would lose; it was started with --swap none");
	return 0;
}

static void do_limit(struct vm *vm, struct ctl_client *client,
		     const struct ctl_request *req)
{
	struct ctl_error error;
	uint64_t bytes = 0;
	cJSON *out;
	int err;

	err = parse_limit(vm, req, &bytes, &error);
	if (!err && mem_set_limit(vm->mem, bytes))
		err = ctl_error_set(&error, "limit", "%" PRIu64 " is refused",
				    bytes);
	if (err) {
		ctl_refuse(client, &error);
		return;
	}
	out = cJSON_CreateObject();
	add_limit(vm, out);
	ctl_answer(client, out);
}

static void do_pause(struct vm *vm, struct ctl_client *client,
		     const struct ctl_request *req)
{
	(void)req;
	ctl_defer(client, WAIT_PAUSED);
	vm_pause(vm, VM_PAUSE_USER);
}

static void on_paused(void *ctx)
{
	struct vm *vm = ctx;
	struct ctl_client *client;
	cJSON *out;

	while ((client = ctl_deferred(vm->control->server, WAIT_PAUSED))) {
		out = cJSON_CreateObject();
		add_state(vm, out);
		ctl_answer(client, out);
	}
}

static void do_resume(struct vm *vm, struct ctl_client *client,
		      const struct ctl_request *req)
{
	struct ctl_error error;
	struct ctl_client *waits;
	struct pause_state pause;
	cJSON *out;

	(void)req;
	vm_resume(vm, VM_PAUSE_USER);
	/* Who asks may just have made room; else it is the next second. */
	mem_retry(vm->mem);
	vm_pause_state(vm, &pause);
	/* Of others, that no event will answer any more. */
	ctl_error_set(&error, "", "the VM has been resumed meanwhile");
	while (!pause.reasons &&
	       (waits = ctl_deferred(vm->control->server, WAIT_PAUSED)))
		ctl_refuse(waits, &error);
	out = cJSON_CreateObject();
	add_state(vm, out);
	ctl_answer(client, out);
}

/* Return: 0, or a negative errno if the guest cannot hear that. */
static int ask_to_shut_down(struct vm *vm, struct ctl_error *error)
{
	struct pause_state pause;

	vm_pause_state(vm, &pause);
	if (pause.reasons) {
		ctl_error_set(
			error, "force",
			"the guest is paused and cannot be asked: resume it, or --force ends it");
		return -EBUSY;
	}
	if (acpi_pm_press_button(&vm->pm)) {
		ctl_error_set(
			error, "force",
			"the guest does not listen to its power button; --force ends it");
		return -EAGAIN;
	}
	return 0;
}

static void do_stop(struct vm *vm, struct ctl_client *client,
		    const struct ctl_request *req)
{
	const cJSON *force =
		cJSON_GetObjectItemCaseSensitive(req->object, "force");
	struct ctl_error error;

	if (force && !cJSON_IsBool(force)) {
		ctl_error_set(&error, "force", "neither true nor false");
		ctl_refuse(client, &error);
		return;
	}
	if (!cJSON_IsTrue(force) && ask_to_shut_down(vm, &error)) {
		ctl_refuse(client, &error);
		return;
	}
	/* Its connection ends with the VM. */
	ctl_answer(client, cJSON_CreateObject());
	if (cJSON_IsTrue(force))
		vm_stop(vm, 0, NULL);
}

static void on_discarded(void *ctx, uint64_t nr_frames)
{
	struct control *c = ctx;

	__atomic_store_n(&c->discarded_frames, nr_frames, __ATOMIC_RELEASE);
	loop_event_set(c->discarded.fd);
}

static void on_discarded_event(void *ctx, uint32_t events)
{
	struct control *c = ctx;
	struct ctl_client *client;
	uint64_t frames;
	cJSON *out;

	(void)events;
	loop_event_ack(c->discarded.fd);
	c->discarding = false;
	frames = __atomic_load_n(&c->discarded_frames, __ATOMIC_ACQUIRE);
	client = ctl_deferred(c->server, WAIT_DISCARD);
	if (!client)
		return;
	out = cJSON_CreateObject();
	ctl_add_u64(out, "frames", frames);
	ctl_add_u64(out, "bytes", frames * MEM_PAGE_SIZE);
	ctl_answer(client, out);
}

static void do_discard(struct vm *vm, struct ctl_client *client,
		       const struct ctl_request *req)
{
	struct ctl_error error;
	uint64_t bytes = 0;
	int err = ctl_number(req, "bytes", &bytes, &error);

	if (err == -ENOENT)
		ctl_error_set(&error, "bytes", "missing");
	else if (!err && (!bytes || bytes % MEM_PAGE_SIZE))
		err = ctl_error_set(&error, "bytes",
				    "not a multiple of %u, or 0",
				    MEM_PAGE_SIZE);
	/* Also for a client that has gone: its event must not answer another. */
	if (!err && vm->control->discarding)
		err = -EBUSY;
	if (!err)
		err = mem_discard(vm->mem, bytes / MEM_PAGE_SIZE, on_discarded,
				  vm->control);
	if (err == -EBUSY)
		ctl_error_set(&error, "command",
			      "another discard is under way; try again");
	if (err) {
		ctl_refuse(client, &error);
		return;
	}
	vm->control->discarding = true;
	ctl_defer(client, WAIT_DISCARD);
}

static const char *const no_fields[] = { NULL };
static const char *const limit_fields[] = { "limit", NULL };
static const char *const stop_fields[] = { "force", NULL };
static const char *const discard_fields[] = { "bytes", NULL };

static const struct {
	const char *name;
	const char *const *fields;
	void (*fn)(struct vm *vm, struct ctl_client *client,
		   const struct ctl_request *req);
} commands[] = {
	{ "info", no_fields, do_info },
	{ "stat", no_fields, do_stat },
	{ "limit", limit_fields, do_limit },
	{ "pause", no_fields, do_pause },
	{ "resume", no_fields, do_resume },
	{ "stop", stop_fields, do_stop },
	{ "discard", discard_fields, do_discard },
};

static void on_request(void *ctx, struct ctl_client *client,
		       const struct ctl_request *req)
{
	struct ctl_error error;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, req->command))
			break;
	if (i == ARRAY_SIZE(commands))
		ctl_error_set(&error, "command", "\"%s\" is unknown",
			      req->command);
	else if (!ctl_request_fields(req, commands[i].fields, &error)) {
		commands[i].fn(ctx, client, req);
		return;
	}
	ctl_refuse(client, &error);
}

static int open_default(struct vm *vm, struct why *why)
{
	char dir[CTL_PATH_MAX], path[CTL_PATH_MAX];
	int err = ctl_runtime_dir(dir, why);

	if (!err)
		err = ctl_path(path, dir, vm->cfg->name, why);
	if (!err)
		err = ctl_listen(&vm->control->socket, path, true, why);
	return err;
}

int vm_open_control(struct vm *vm, struct why *why)
{
	struct why *cause;
	int err;

	if (!vm->cfg->serve)
		return 0;
	vm->control = calloc(1, sizeof(*vm->control));
	if (!vm->control)
		return why_set(why, -ENOMEM, "control socket");
	vm->control->discarded.fd = -1;
	if (vm->cfg->control)
		return ctl_listen(&vm->control->socket, vm->cfg->control, false,
				  why);
	cause = &vm->control->without;
	err = open_default(vm, cause);
	if (err == -EADDRINUSE)
		return why_set(why, 0, "%s; give another --name", cause->text);
	return 0;
}

int vm_serve_control(struct vm *vm, struct why *why)
{
	struct ctl_ops ops = { on_request, vm, SILENT_MS };
	struct control *c = vm->control;
	int err;

	/* Not before: a VM that cannot be built has one line, the reason. */
	if (c && !c->socket.open)
		log_line("no control socket: %s", c->without.text);
	if (!c || !c->socket.open)
		return 0;
	err = ctl_create(&c->server, vm->loop, c->socket.fd, &ops);
	if (err)
		return why_set(why, err, "cannot serve the control socket");
	c->discarded =
		(struct loop_handler){ loop_event(), on_discarded_event, c };
	err = c->discarded.fd;
	if (err >= 0)
		err = loop_add(vm->loop, &c->discarded, EPOLLIN);
	if (err)
		return why_set(why, err, "cannot serve the control socket");
	vm->pause.settled = on_paused;
	vm->pause.settled_ctx = vm;
	return 0;
}

void vm_close_control(struct vm *vm)
{
	struct control *c = vm->control;

	if (!c)
		return;
	/* The file first: who sees a connection end will not find it. */
	ctl_unlisten(&c->socket);
	ctl_destroy(c->server);
	if (c->discarded.fd >= 0)
		close(c->discarded.fd);
	free(c);
	vm->control = NULL;
}
