// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hyp/ctl/message.h"

static void end(struct link *link, const char *why)
{
	link_close(link);
	link->ops.end(link->ops.ctx, why);
}

static void rearm(struct link *link)
{
	uint32_t events = link->muted ? 0 : EPOLLIN;

	if (link->out_len)
		events |= EPOLLOUT;
	loop_rearm(link->loop, &link->handler, events);
}

static void send_out(struct link *link)
{
	ssize_t n = send(link->handler.fd, link->out + link->out_done,
			 link->out_len - link->out_done,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	/* An error is the end, which will be read. */
	if (n > 0)
		link->out_done += (size_t)n;
	if (link->out_done == link->out_len ||
	    (n < 0 && errno != EAGAIN && errno != EINTR))
		link->out_len = link->out_done = 0;
}

/* Too many lines: stop listening, what is in the socket waits there. */
static void count_line(struct link *link)
{
	uint64_t now = now_ms();

	if (now - link->second_ms >= 1000) {
		link->second_ms = now;
		link->lines = 0;
	}
	if (++link->lines >= LINK_MAX_LINES)
		link->muted = true;
}

/* Return: false: it has been closed. */
static bool keep_rest(struct link *link, const char *rest, size_t len)
{
	free(link->part);
	link->part = NULL;
	link->part_len = len;
	if (!len)
		return true;
	if (len >= CTL_MAX_LINE) {
		end(link, "it sends a line without end");
		return false;
	}
	link->part = malloc(len);
	if (!link->part) {
		end(link, "memory is short");
		return false;
	}
	memcpy(link->part, rest, len);
	return true;
}

static void take(struct link *link, const char *buf, size_t len)
{
	const char *line = buf, *newline;

	while ((newline = memchr(line, '\n', len))) {
		size_t line_len = (size_t)(newline - line);

		count_line(link);
		link->ops.line(link->ops.ctx, line, line_len);
		if (!link_is_open(link))
			return;
		line = newline + 1;
		len -= line_len + 1;
	}
	if (keep_rest(link, line, len))
		rearm(link);
}

static void on_link(void *ctx, uint32_t events)
{
	static char buf[CTL_MAX_LINE];
	struct link *link = ctx;
	size_t len;
	ssize_t n;

	/* An event of one that was closed in the same turn. */
	if (!link_is_open(link))
		return;
	if (events & EPOLLOUT)
		send_out(link);
	if (link->muted && !(events & (EPOLLHUP | EPOLLERR))) {
		rearm(link);
		return;
	}
	len = link->part_len;
	if (len)
		memcpy(buf, link->part, len);
	n = recv(link->handler.fd, buf + len, sizeof(buf) - len, MSG_DONTWAIT);
	if (n > 0)
		take(link, buf, len + (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		end(link, NULL);
	else
		rearm(link);
}

void link_init(struct link *link, struct loop *loop, const struct link_ops *ops)
{
	*link = (struct link){ .loop = loop,
			       .ops = *ops,
			       .handler = { -1, on_link, link } };
}

static int dial(int fd, const char *path, pid_t *pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (connect(fd, (const void *)&addr, sizeof(addr)))
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	if (cred.uid != 0 && cred.uid != geteuid())
		return -EPERM;
	*pid = cred.pid;
	return 0;
}

int link_open(struct link *link, const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = dial(fd, path, &link->pid);
	link->handler.fd = fd;
	link->muted = false;
	link->out_len = link->out_done = 0;
	if (!err)
		err = loop_add(link->loop, &link->handler, EPOLLIN);
	if (!err)
		return 0;
	link->handler.fd = -1;
	close(fd);
	return err;
}

void link_close(struct link *link)
{
	if (!link_is_open(link))
		return;
	loop_remove(link->loop, &link->handler);
	close(link->handler.fd);
	link->handler.fd = -1;
	free(link->part);
	link->part = NULL;
	link->part_len = 0;
}

int link_send(struct link *link, const char *text)
{
	size_t len = strlen(text);

	if (link->out_len)
		return -EBUSY;
	if (len > sizeof(link->out))
		return -EMSGSIZE;
	memcpy(link->out, text, len);
	link->out_len = len;
	link->out_done = 0;
	send_out(link);
	rearm(link);
	return 0;
}

uint64_t link_unmute_ms(const struct link *link)
{
	return link_is_open(link) && link->muted ? link->second_ms + 1000 :
						   UINT64_MAX;
}

void link_unmute(struct link *link)
{
	link->muted = false;
	rearm(link);
}
