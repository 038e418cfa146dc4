// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything here is the loop's thread, but on_discarded(): reclaim's.
 */
#include "hyp/vm/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hyp/ctl/listen.h"
#include "hyp/ctl/path.h"
#include "hyp/ctl/server.h"
#include "hyp/vm/commands.h"
#include "hyp/vm/describe.h"
#include "hyp/vm/priv.h"
#include "hyp/vm/watch.h"

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
		describe_state(vm, out);
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
	describe_state(vm, out);
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
static const char *const share_fields[] = { "min", "entitlement", "max",
					    "weight", NULL };
static const char *const balloon_fields[] = { "target", NULL };
static const char *const watch_fields[] = { "interval_ms", NULL };
static const char *const stop_fields[] = { "force", NULL };
static const char *const discard_fields[] = { "bytes", NULL };

static const struct {
	const char *name;
	const char *const *fields;
	void (*fn)(struct vm *vm, struct ctl_client *client,
		   const struct ctl_request *req);
} commands[] = {
	{ "info", no_fields, vm_do_info },
	{ "stat", no_fields, vm_do_stat },
	{ "limit", limit_fields, vm_do_limit },
	{ "share", share_fields, vm_do_share },
	{ "balloon", balloon_fields, vm_do_balloon },
	{ "watch", watch_fields, vm_do_watch },
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
	/* Now: mem's threads and the vCPUs will find it there. */
	err = vm_watch_open(vm);
	if (err)
		return why_set(why, err, "control socket");
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
	struct ctl_ops ops = {
		.request = on_request,
		.ctx = vm,
		.silent_ms = SILENT_MS,
		.event = vm_watch_event,
		.gone = vm_watch_gone,
	};
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
	if (!err)
		err = vm_watch_serve(vm);
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
	vm_watch_close(vm);
}
