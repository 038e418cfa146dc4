/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VM as hypd knows it: the conversation with it, and the account of what it
 * counts for.  All of it is the loop's thread.
 *
 *	calling	 a socket is there; it is called until it answers the call
 *	asked	 connected; the first sample has not come
 *	watched	 samples come
 *	lost	 no conversation any more, but its process lives and counts
 *
 * A process is watched by a pidfd: memory is free when it has ended, which is
 * later than the end of a connection.
 */
#ifndef HYP_HYPD_GUEST_H
#define HYP_HYPD_GUEST_H

#include "hyp/ctl/path.h"
#include "hyp/hypd/link.h"
#include "hyp/hypd/notice.h"
#include "hyp/hypd/sample.h"

enum guest_state {
	GUEST_FREE,
	GUEST_CALLING,
	GUEST_ASKED,
	GUEST_WATCHED,
	GUEST_LOST,
};

enum guest_request {
	REQUEST_NONE,
	REQUEST_WATCH,
	REQUEST_LIMIT,
	REQUEST_BALLOON
};

struct guest;

/**
 * struct guest_ops - to whom it tells
 * @connected: it is somebody; false: known already, and it is forgotten
 * @changed:   figures, state, or what it counts
 * @ended:     it is free: its process has ended, or there was nobody
 * @lost:      its connection has ended; it may be called again (as another guest),
 *	       after g->calls that were in vain
 */
struct guest_ops {
	bool (*connected)(void *ctx, struct guest *g);
	void (*changed)(void *ctx, struct guest *g);
	void (*ended)(void *ctx, struct guest *g);
	void (*lost)(void *ctx, struct guest *g);
	void *ctx;
};

/** struct guest - a slot of an array, which outlives the loop; see loop.h */
struct guest {
	enum guest_state state;
	const struct guest_ops *ops;
	char name[CTL_NAME_MAX + 1];
	char path[CTL_PATH_MAX];
	struct link link;
	struct loop_handler process; /* pidfd; -1: none */
	pid_t pid;		     /* 0: not known */
	unsigned int calls;
	uint64_t call_ms;      /* next call; UINT64_MAX: none */
	uint64_t connected_ms; /* since when */

	enum guest_request asked; /* what an answer is due to, */
	uint64_t asked_id, asked_bytes;
	uint64_t answer_ms; /* until when; UINT64_MAX: none is, or it is late */
	bool silent;	    /* it is late */
	uint64_t next_id;
	bool want_limit, want_balloon; /* to be sent when it has answered */
	uint64_t want_limit_bytes, want_balloon_bytes;

	bool sampled;
	struct sample sample;
	uint64_t limit;	  /* that is known to hold; mem: none */
	uint64_t pending; /* that has been sent; 0: none */
	bool is_told; /* what has been sent or is to be, and no sample shows */
	uint64_t told;
	uint64_t guess; /* of what one counts that has never said it */
	bool refuses_limit, refuses_balloon;

	/* The manager's. */
	struct notice notice;
	void *memory;	     /* the policy's */
	uint64_t budget;     /* it wishes */
	uint64_t guaranteed; /* of it */
	double pressure;
	bool idle;
	char lost_why[80];
};

/** guest_init() - a new one, calling; @g was free */
void guest_init(struct guest *g, struct loop *loop, const struct guest_ops *ops,
		const char *name, const char *path);

/** guest_call() - call it after @calls calls that were in vain */
void guest_call(struct guest *g, unsigned int calls);

/** guest_forget() - free it, without a word */
void guest_forget(struct guest *g);

/** guest_counted() - what it has and may take, or may have been granted; bytes */
uint64_t guest_counted(const struct guest *g);

/** guest_limit() - the one it was told to keep; mem: none; bytes */
uint64_t guest_limit(const struct guest *g);

/** guest_is_settling() - will it soon be known what it counts? */
bool guest_is_settling(const struct guest *g);

/** guest_is_ready() - does it do what it is told? */
bool guest_is_ready(const struct guest *g);

/** guest_set_limit(), guest_set_balloon() - tell it, at once or when it can be */
void guest_set_limit(struct guest *g, uint64_t bytes);
void guest_set_balloon(struct guest *g, uint64_t bytes);

/** guest_due_ms() - when to call guest_tick(), by now_ms(); UINT64_MAX: never */
uint64_t guest_due_ms(const struct guest *g);
void guest_tick(struct guest *g, uint64_t now_ms);

/** guest_state_name() - for people */
const char *guest_state_name(const struct guest *g);

#endif /* HYP_HYPD_GUEST_H */
