/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients of the control socket, in the event loop: nothing here waits.
 *
 * A client is read from only while it has no request under way and no answer
 * left to take: it may send what it wants and never read, it costs a line of
 * input and one answer.  One request a turn of the loop, so that others and the
 * console have theirs.
 *
 * Events go to clients that take them.  One is made only when the client has read
 * what it was sent before, as far as the least of socket buffers can tell: until
 * then there is nothing but a mark that there is one.  So a client that does not
 * read costs no more than others, and reads the newest when it does.
 */
#ifndef HYP_CTL_SERVER_H
#define HYP_CTL_SERVER_H

#include <stdbool.h>

#include "hyp/ctl/message.h"
#include "hyp/loop.h"

/* At the same time; one more replaces a silent one or is told to come again. */
#define CTL_MAX_CLIENTS 16
/* Of these, who take events: they are silent and keep their places. */
#define CTL_MAX_TAKERS 8

struct ctl;	   /* opaque */
struct ctl_client; /* opaque */

/**
 * struct ctl_ops - who answers
 * @request: answer by ctl_answer(), ctl_refuse(), or later after ctl_defer();
 *	     @req is the caller's.  Loop's thread.
 * @ctx:     its first argument
 * @silent_ms: where all places are taken, who has said nothing for so long gives
 *	     its own to who comes
 * @event:   the newest event for a client, which is sent now: the fields of its
 *	     line; NULL: out of memory.  Closes no client and answers none.
 * @gone:    a client that took events has gone
 */
struct ctl_ops {
	void (*request)(void *ctx, struct ctl_client *client,
			const struct ctl_request *req);
	void *ctx;
	uint64_t silent_ms;
	cJSON *(*event)(void *ctx, struct ctl_client *client);
	void (*gone)(void *ctx, struct ctl_client *client);
};

/**
 * ctl_create() - serve a socket
 * @out:       set on success; caller owns, ctl_destroy()
 * @loop:      outlives it
 * @listen_fd: listening and non-blocking; stays the caller's
 * @ops:       copied
 *
 * Return: 0 or a negative errno.
 */
int ctl_create(struct ctl **out, struct loop *loop, int listen_fd,
	       const struct ctl_ops *ops);

/** ctl_destroy() - close all connections; accepts NULL */
void ctl_destroy(struct ctl *ctl);

/** ctl_answer() - grant what a client asked for; @result is freed here */
void ctl_answer(struct ctl_client *client, cJSON *result);

/** ctl_refuse() - or do not */
void ctl_refuse(struct ctl_client *client, const struct ctl_error *error);

/** ctl_defer() - the answer comes later: it waits for @what, not 0 */
void ctl_defer(struct ctl_client *client, unsigned int what);

/** ctl_deferred() - a client that waits for @what and still is there; or NULL */
struct ctl_client *ctl_deferred(struct ctl *ctl, unsigned int what);

/**
 * ctl_take_events() - a client takes events from now on, until it goes
 *
 * Return: 0, also if it does already; -EBUSY if CTL_MAX_TAKERS others do, or
 * another negative errno.
 */
int ctl_take_events(struct ctl_client *client);

/**
 * ctl_offer_event() - there is one for a client that takes them
 *
 * Calls nobody: @ops.event is called in a later turn of the loop, when the client
 * can take it and no answer is on its way.  To offer again changes nothing.
 */
void ctl_offer_event(struct ctl_client *client);

#endif /* HYP_CTL_SERVER_H */
