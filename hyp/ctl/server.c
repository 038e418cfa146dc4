// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/ctl/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hyp/util.h"

/*
 * Clients are slots of an array: an event that epoll_wait() has reported for one
 * that was closed meanwhile finds fd -1, or a new client that is looked at once
 * too often.
 */
struct ctl_client {
	struct ctl *ctl;
	struct loop_handler handler; /* fd -1: free */
	char *in;		     /* CTL_MAX_LINE bytes */
	size_t in_len;
	char *out; /* NULL: nothing to send */
	size_t out_len, out_done;
	char *id;	       /* of the request under way; NULL: none */
	unsigned int deferred; /* what it waits for, or 0 */
	bool last;	       /* close when the answer is sent */
	bool eof;	       /* sends nothing more */
	bool takes_events;
	bool event_due; /* there is one, not made yet */
	uint64_t heard_ms;
};

struct ctl {
	struct loop *loop;
	struct loop_handler listener;
	struct ctl_ops ops;
	struct ctl_client clients[CTL_MAX_CLIENTS];
};

static void close_client(struct ctl_client *c)
{
	if (c->takes_events)
		c->ctl->ops.gone(c->ctl->ops.ctx, c);
	loop_remove(c->ctl->loop, &c->handler);
	close(c->handler.fd);
	c->handler.fd = -1;
	free(c->in);
	free(c->out);
	free(c->id);
	c->in = c->out = c->id = NULL;
}

static void send_out(struct ctl_client *c)
{
	ssize_t n;

	while (c->out) {
		n = send(c->handler.fd, c->out + c->out_done,
			 c->out_len - c->out_done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			c->last = c->eof = true;
			c->in_len = 0;
			n = (ssize_t)(c->out_len - c->out_done);
		}
		c->out_done += (size_t)n;
		if (c->out_done == c->out_len) {
			free(c->out);
			c->out = NULL;
		}
	}
}

/* @text: a line, or NULL if there was no memory for one. */
static void send_line(struct ctl_client *c, char *text)
{
	c->out = text;
	c->out_len = text ? strlen(text) : 0;
	c->out_done = 0;
	if (!text)
		c->last = true;
	send_out(c);
}

static void answer(struct ctl_client *c, char *text)
{
	free(c->id);
	c->id = NULL;
	c->deferred = 0;
	send_line(c, text);
}

/* Made now, that is the newest; it can be sent at once. */
static void send_event(struct ctl_client *c)
{
	if (!c->event_due || c->last)
		return;
	c->event_due = false;
	send_line(c, ctl_event_text(c->ctl->ops.event(c->ctl->ops.ctx, c)));
}

static const char *id_of(const struct ctl_client *c)
{
	return c->id ? c->id : "null";
}

static bool has_line(const struct ctl_client *c)
{
	return c->in_len && memchr(c->in, '\n', c->in_len);
}

/* What to wait for; everything that changes a client ends here. */
static void update(struct ctl_client *c)
{
	bool idle = !c->out && !c->id && !c->last;
	uint32_t events = 0;

	if (!c->out && !c->id && (c->last || (c->eof && !has_line(c)))) {
		close_client(c);
		return;
	}
	if (idle && !c->eof)
		events |= EPOLLIN;
	/* It can send: a way to be called again in the next turn. */
	if (c->out || (c->event_due && !c->last) || (idle && has_line(c)))
		events |= EPOLLOUT;
	loop_rearm(c->ctl->loop, &c->handler, events);
}

void ctl_answer(struct ctl_client *client, cJSON *result)
{
	answer(client, ctl_result_text(id_of(client), result));
	update(client);
}

void ctl_refuse(struct ctl_client *client, const struct ctl_error *error)
{
	answer(client, ctl_error_text(id_of(client), error));
	update(client);
}

void ctl_defer(struct ctl_client *client, unsigned int what)
{
	client->deferred = what;
	update(client);
}

struct ctl_client *ctl_deferred(struct ctl *ctl, unsigned int what)
{
	unsigned int i;

	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		if (ctl->clients[i].handler.fd >= 0 &&
		    ctl->clients[i].deferred == what)
			return &ctl->clients[i];
	return NULL;
}

int ctl_take_events(struct ctl_client *client)
{
	struct ctl_client *clients = client->ctl->clients;
	unsigned int i, nr = 0;
	const int least = 1;

	if (client->takes_events)
		return 0;
	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		nr += clients[i].handler.fd >= 0 && clients[i].takes_events;
	if (nr >= CTL_MAX_TAKERS)
		return -EBUSY;
	/*
	 * The kernel makes it the least there is.  A line that has not been read
	 * fills so much of it, two short ones at most, that the socket is not
	 * writable until then.
	 */
	if (setsockopt(client->handler.fd, SOL_SOCKET, SO_SNDBUF, &least,
		       sizeof(least)))
		return -errno;
	client->takes_events = true;
	return 0;
}

void ctl_offer_event(struct ctl_client *client)
{
	client->event_due = true;
	update(client);
}

static void handle_line(struct ctl_client *c, size_t len)
{
	struct ctl_error error = { "", "" };
	struct ctl_request req;
	int err = ctl_request_parse(&req, c->in, len, &error);

	/* Moved now: the answer may close the client and free its line. */
	c->in_len -= len + 1;
	memmove(c->in, c->in + len + 1, c->in_len);
	c->id = req.id;
	req.id = NULL;
	if (err)
		ctl_refuse(c, &error);
	else
		c->ctl->ops.request(c->ctl->ops.ctx, c, &req);
	ctl_request_fini(&req);
}

static void handle_input(struct ctl_client *c)
{
	struct ctl_error error = { "", "" };
	char *end;

	if (c->out || c->id || c->last)
		return;
	end = memchr(c->in, '\n', c->in_len);
	if (end) {
		handle_line(c, (size_t)(end - c->in));
	} else if (c->in_len == CTL_MAX_LINE) {
		/* Where the next line begins cannot be known any more. */
		c->last = true;
		ctl_error_set(&error, "", "a line is longer than %u bytes",
			      CTL_MAX_LINE);
		ctl_refuse(c, &error);
	}
}

static void receive(struct ctl_client *c)
{
	ssize_t n;

	if (c->out || c->id || c->eof || c->in_len == CTL_MAX_LINE)
		return;
	n = recv(c->handler.fd, c->in + c->in_len, CTL_MAX_LINE - c->in_len,
		 MSG_DONTWAIT);
	if (n > 0) {
		c->in_len += (size_t)n;
		c->heard_ms = now_ms();
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->eof = true;
	}
}

static void on_client(void *ctx, uint32_t events)
{
	struct ctl_client *c = ctx;

	if (c->handler.fd < 0)
		return;
	/* Gone altogether, and reported until it is closed. */
	if ((events & (EPOLLHUP | EPOLLERR)) && (c->out || c->id)) {
		close_client(c);
		return;
	}
	/* An answer may have filled what was room when this was reported. */
	if (c->out)
		send_out(c);
	else if (events & EPOLLOUT)
		send_event(c);
	receive(c);
	handle_input(c);
	if (c->handler.fd >= 0)
		update(c);
}

static bool may_ask(int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == 0 || cred.uid == geteuid());
}

/* Or the one that has been silent for longest, if that is long and no taker's way. */
static struct ctl_client *find_slot(struct ctl *ctl)
{
	struct ctl_client *oldest = NULL;
	unsigned int i;

	for (i = 0; i < CTL_MAX_CLIENTS; i++) {
		struct ctl_client *c = &ctl->clients[i];

		if (c->handler.fd < 0)
			return c;
		if (!c->takes_events &&
		    (!oldest || c->heard_ms < oldest->heard_ms))
			oldest = c;
	}
	/* There is one: takers are fewer than clients. */
	if (now_ms() - oldest->heard_ms < ctl->ops.silent_ms)
		return NULL;
	close_client(oldest);
	return oldest;
}

static void add_client(struct ctl *ctl, int fd)
{
	struct ctl_client *c = find_slot(ctl);
	static const char busy[] =
		"{\"version\":1,\"id\":null,\"ok\":false,\"error\":{\"field\":\"\","
		"\"message\":\"too many clients; try again\"}}\n";
	ssize_t n;

	if (!c) {
		n = send(fd, busy, sizeof(busy) - 1,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)n; /* nothing else to say */
		close(fd);
		return;
	}
	*c = (struct ctl_client){
		.ctl = ctl,
		.handler = { fd, on_client, c },
		.in = malloc(CTL_MAX_LINE),
		.heard_ms = now_ms(),
	};
	if (c->in && !loop_add(ctl->loop, &c->handler, EPOLLIN))
		return;
	free(c->in);
	c->in = NULL;
	c->handler.fd = -1;
	close(fd);
}

static void on_connect(void *ctx, uint32_t events)
{
	struct ctl *ctl = ctx;
	int fd = accept4(ctl->listener.fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		if (may_ask(fd))
			add_client(ctl, fd);
		else
			close(fd);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* It would be reported again and again. */
	log_line("the control socket is closed: %s", strerror(errno));
	loop_remove(ctl->loop, &ctl->listener);
}

int ctl_create(struct ctl **out, struct loop *loop, int listen_fd,
	       const struct ctl_ops *ops)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	unsigned int i;
	int err;

	if (!ctl)
		return -ENOMEM;
	ctl->loop = loop;
	ctl->ops = *ops;
	ctl->listener = (struct loop_handler){ listen_fd, on_connect, ctl };
	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		ctl->clients[i].handler.fd = -1;
	err = loop_add(loop, &ctl->listener, EPOLLIN);
	if (err) {
		free(ctl);
		return err;
	}
	*out = ctl;
	return 0;
}

void ctl_destroy(struct ctl *ctl)
{
	unsigned int i;

	if (!ctl)
		return;
	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		if (ctl->clients[i].handler.fd >= 0)
			close_client(&ctl->clients[i]);
	loop_remove(ctl->loop, &ctl->listener);
	free(ctl);
}
