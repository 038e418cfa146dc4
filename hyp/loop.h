/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event loop of the main thread, on epoll.  Handlers run in that thread; only
 * loop_rearm() and loop_quit() may be called from others.
 */
#ifndef HYP_LOOP_H
#define HYP_LOOP_H

#include <stdint.h>

struct loop; /* opaque */

/** struct loop_handler - embedded in its owner; stays where it is while added */
struct loop_handler {
	int fd;
	void (*fn)(void *ctx, uint32_t events);
	void *ctx;
};

/** loop_create() - Return: 0 or a negative errno.  loop_destroy() it. */
int loop_create(struct loop **out);

/** loop_destroy() - accepts NULL */
void loop_destroy(struct loop *loop);

/**
 * loop_add() - watch a descriptor
 * @loop:    event loop
 * @handler: fd, fn and ctx set
 * @events:  of epoll(7)
 *
 * Return: 0 or a negative errno; -EPERM: this file cannot be waited for.
 */
int loop_add(struct loop *loop, struct loop_handler *handler, uint32_t events);

/** loop_rearm() - change @events, or switch an EPOLLONESHOT on again */
int loop_rearm(struct loop *loop, struct loop_handler *handler,
	       uint32_t events);

/** loop_remove() - no more calls of @handler */
void loop_remove(struct loop *loop, struct loop_handler *handler);

/** loop_run() - until loop_quit(). Return: 0 or a negative errno. */
int loop_run(struct loop *loop);

/** loop_quit() - make loop_run() return, now or when it is called */
void loop_quit(struct loop *loop);

/**
 * loop_timer() - create a timer to be added with EPOLLIN
 * @first_ms:    until it first expires; 0: not armed
 * @interval_ms: from then on; 0: once
 *
 * Return: a timerfd (caller owns) or a negative errno.
 */
int loop_timer(uint64_t first_ms, uint64_t interval_ms);

/** loop_timer_once() - arm a timer for once; any thread */
void loop_timer_once(int fd, uint64_t after_ns);

/** loop_timer_ack() - after it expired */
void loop_timer_ack(int fd);

/**
 * loop_event() - create an event to be added with EPOLLIN
 *
 * Return: an eventfd (caller owns) or a negative errno.
 */
int loop_event(void);

/** loop_event_set() - any thread; does not block */
void loop_event_set(int fd);

/** loop_event_ack() - before looking at what it stands for */
void loop_event_ack(int fd);

#endif /* HYP_LOOP_H */
