/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection to one VM's control socket.  Nothing here waits; whatever the other
 * side sends or does not take costs one line of memory and a bounded number of
 * lines a second.
 */
#ifndef HYP_HYPD_LINK_H
#define HYP_HYPD_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hyp/loop.h"
#include "hyp/util.h"

/* A VM has no reason to send more in a second; it is not listened to until that is over. */
#define LINK_MAX_LINES 100

/**
 * struct link_ops - what happens to it; loop's thread
 * @line: a line of @len bytes without newline, untrusted; may close the link
 * @end:  the other side has ended, or @why it has been given up.  It is closed.
 */
struct link_ops {
	void (*line)(void *ctx, const char *line, size_t len);
	void (*end)(void *ctx, const char *why);
	void *ctx;
};

/** struct link - embedded; stays where it is, also closed: loop.h may still call */
struct link {
	struct loop *loop;
	struct link_ops ops;
	struct loop_handler handler; /* fd -1: closed */
	pid_t pid;		     /* who listens */
	char *part;		     /* of a line; NULL: none */
	size_t part_len;
	char out[512];
	size_t out_len, out_done;
	uint64_t second_ms; /* in which lines have been counted */
	unsigned int lines;
	bool muted; /* until link_unmute() */
};

/** link_init() - closed */
void link_init(struct link *link, struct loop *loop,
	       const struct link_ops *ops);

/**
 * link_open() - connect
 *
 * Return: 0; -EAGAIN: it is not able to take one more just now; -ECONNREFUSED:
 * nobody listens; -EPERM: it is another user's; another negative errno.
 */
int link_open(struct link *link, const char *path);

/** link_close() - also if it is closed */
void link_close(struct link *link);

static inline bool link_is_open(const struct link *link)
{
	return link->handler.fd >= 0;
}

/**
 * link_send() - send a line
 * @text: with its newline, shorter than link->out
 *
 * Return: 0; -EBUSY: what was sent before has not been taken; -EMSGSIZE.
 */
int link_send(struct link *link, const char *text);

/** link_unmute_ms() - when to call link_unmute(); UINT64_MAX: it is listened to */
uint64_t link_unmute_ms(const struct link *link);
void link_unmute(struct link *link);

#endif /* HYP_HYPD_LINK_H */
