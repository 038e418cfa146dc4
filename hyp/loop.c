// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 8

struct loop {
	int epoll_fd;
	struct loop_handler quit_handler;
	bool quit; /* loop thread only */
};

static void on_quit(void *ctx, uint32_t events)
{
	struct loop *loop = ctx;

	(void)events;
	loop->quit = true;
}

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->quit_handler = (struct loop_handler){ -1, on_quit, loop };
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		err = -errno;
		goto err_destroy;
	}
	loop->quit_handler.fd = loop_event();
	if (loop->quit_handler.fd < 0) {
		err = loop->quit_handler.fd;
		goto err_destroy;
	}
	err = loop_add(loop, &loop->quit_handler, EPOLLIN);
	if (err)
		goto err_destroy;
	*out = loop;
	return 0;

err_destroy:
	loop_destroy(loop);
	return err;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->quit_handler.fd >= 0)
		close(loop->quit_handler.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

static int control(struct loop *loop, int op, struct loop_handler *handler,
		   uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = handler };

	return epoll_ctl(loop->epoll_fd, op, handler->fd, &event) ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_handler *handler, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, handler, events);
}

int loop_rearm(struct loop *loop, struct loop_handler *handler, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, handler, events);
}

void loop_remove(struct loop *loop, struct loop_handler *handler)
{
	control(loop, EPOLL_CTL_DEL, handler, 0);
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[MAX_EVENTS];
	int i, n;

	while (!loop->quit) {
		n = epoll_wait(loop->epoll_fd, events, MAX_EVENTS, -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		for (i = 0; i < n; i++) {
			struct loop_handler *h = events[i].data.ptr;

			h->fn(h->ctx, events[i].events);
		}
	}
	return 0;
}

void loop_quit(struct loop *loop)
{
	loop_event_set(loop->quit_handler.fd);
}

int loop_timer(uint64_t first_ms, uint64_t interval_ms)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(first_ms / 1000),
			      (long)(first_ms % 1000) * 1000000 },
		.it_interval = { (time_t)(interval_ms / 1000),
				 (long)(interval_ms % 1000) * 1000000 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, 0, &spec, NULL)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

void loop_timer_once(int fd, uint64_t after_ns)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(after_ns / 1000000000),
			      (long)(after_ns % 1000000000) },
	};

	timerfd_settime(fd, 0, &spec, NULL);
}

void loop_timer_ack(int fd)
{
	uint64_t expirations;
	ssize_t n = read(fd, &expirations, sizeof(expirations));

	(void)n; /* EAGAIN: armed again meanwhile */
}

int loop_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void loop_event_set(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* fails only when it has long been set */
}

void loop_event_ack(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n; /* EAGAIN: acknowledged already */
}
