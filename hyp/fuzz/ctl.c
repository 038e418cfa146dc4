// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket: bytes in pieces of any size, lines in part and several at a
 * time, and a client that goes away.  The server and its loop are the real ones;
 * requests are answered at once, refused or answered later, as they say, or followed
 * by an event.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "hyp/ctl/server.h"
#include "hyp/fuzz/input.h"

#define WAIT_FOR_MORE 7
/* Longer than the longest line, and its answer. */
#define MAX_ANSWERS (1u << 20)

struct client {
	struct loop *loop;
	struct loop_handler handler;
	struct input in;
	char *answers;
	size_t len;
	bool leave;   /* without waiting for answers */
	bool watches; /* is closed when it has said all, whatever is left */
};

struct server {
	struct ctl *ctl;
	bool *watches;
};

static void check_answers(const struct client *c)
{
	const char *line = c->answers;
	const char *end;
	cJSON *answer;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		answer = cJSON_ParseWithLength(line, (size_t)(end - line));
		must(cJSON_IsObject(answer));
		if (!c->watches || !cJSON_HasObjectItem(answer, "event")) {
			must(cJSON_IsBool(cJSON_GetObjectItem(answer, "ok")));
			must(cJSON_GetObjectItem(answer, "id"));
		}
		cJSON_Delete(answer);
	}
	must(c->leave || c->watches || !*line);
}

static void quit(struct client *c)
{
	loop_remove(c->loop, &c->handler);
	loop_quit(c->loop);
}

/* Its first byte says how long a piece is; the largest ones are all the same. */
static void send_piece(struct client *c)
{
	static const char filler[32768] = { [0 ... 32767] = ' ' };
	uint8_t kind = take_byte(&c->in);
	size_t len = kind < c->in.len ? kind : c->in.len;
	ssize_t n;

	if (kind == 255)
		n = send(c->handler.fd, filler, sizeof(filler),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = send(c->handler.fd, c->in.data, len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		must(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
	if (kind != 255 && n > 0) {
		c->in.data += n;
		c->in.len -= (size_t)n;
	}
	if (c->in.len)
		return;
	shutdown(c->handler.fd, SHUT_WR);
	loop_rearm(c->loop, &c->handler, EPOLLIN);
}

static void on_event(void *ctx, uint32_t events)
{
	struct client *c = ctx;
	ssize_t n;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		must(c->len < MAX_ANSWERS);
		n = recv(c->handler.fd, c->answers + c->len,
			 MAX_ANSWERS - c->len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			quit(c);
			return;
		}
		if (n > 0)
			c->len += (size_t)n;
	}
	if (events & EPOLLOUT)
		send_piece(c);
	if (!c->in.len && c->leave)
		quit(c);
}

static void on_request(void *ctx, struct ctl_client *client,
		       const struct ctl_request *req)
{
	static const char *const fields[] = { "limit", "force", NULL };
	struct ctl_error error = { "", "" };
	struct server *server = ctx;
	struct ctl_client *waits;
	uint64_t n = 0;
	cJSON *result;
	int err;

	err = ctl_request_fields(req, fields, &error);
	if (!err)
		err = ctl_number(req, "limit", &n, &error);
	if (err && err != -ENOENT) {
		must(error.message[0]);
		ctl_refuse(client, &error);
		return;
	}
	if (!strcmp(req->command, "wait")) {
		ctl_defer(client, WAIT_FOR_MORE);
		/* It has one request under way at a time: nobody else comes. */
		waits = ctl_deferred(server->ctl, WAIT_FOR_MORE);
		must(waits == client);
	}
	if (!strcmp(req->command, "watch")) {
		must(!ctl_take_events(client));
		*server->watches = true;
		ctl_offer_event(client);
	}
	result = cJSON_CreateObject();
	ctl_add_u64(result, "limit", n);
	cJSON_AddStringToObject(result, "command", req->command);
	ctl_answer(client, result);
}

static cJSON *on_event_due(void *ctx, struct ctl_client *client)
{
	cJSON *event = cJSON_CreateObject();

	(void)ctx;
	(void)client;
	cJSON_AddStringToObject(event, "event", "fuzz");
	return event;
}

static void on_gone(void *ctx, struct ctl_client *client)
{
	struct server *server = ctx;

	(void)client;
	must(*server->watches);
}

/* Both ends.  The name is the kernel's to choose (unix(7), autobind). */
static void connect_to(int *listener, int *fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);

	*listener =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(*listener >= 0 && *fd >= 0);
	must(!bind(*listener, (void *)&addr, len) && !listen(*listener, 1));
	len = sizeof(addr);
	must(!getsockname(*listener, (void *)&addr, &len));
	must(!connect(*fd, (void *)&addr, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct client c = { .in = { data, len } };
	struct server server = { .watches = &c.watches };
	struct ctl_ops ops = {
		.request = on_request,
		.event = on_event_due,
		.gone = on_gone,
		.ctx = &server,
		.silent_ms = 10000,
	};
	int listener;

	if (!len)
		return 0;
	c.leave = take_byte(&c.in) & 1;
	c.answers = calloc(1, MAX_ANSWERS + 1);
	must(c.answers && !loop_create(&c.loop));
	connect_to(&listener, &c.handler.fd);
	c.handler.fn = on_event;
	c.handler.ctx = &c;
	must(!ctl_create(&server.ctl, c.loop, listener, &ops));
	must(!loop_add(c.loop, &c.handler, EPOLLIN | EPOLLOUT));
	must(!loop_run(c.loop));
	check_answers(&c);
	ctl_destroy(server.ctl);
	close(c.handler.fd);
	close(listener);
	loop_destroy(c.loop);
	free(c.answers);
	return 0;
}
