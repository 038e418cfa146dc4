/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All VMs of the runtime directory, and hypd where it is wanted, asked at the same
 * time: none of them can delay the answer of another.
 */
#ifndef HYP_CLI_PEERS_H
#define HYP_CLI_PEERS_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "hyp/cli/ask.h"
#include "hyp/ctl/path.h"

/* How long a VM has for an answer. */
#define PEER_MS 2000

/** struct peer - one VM; but for @data the fields are for the caller to read */
struct peer {
	struct peer *next;
	char name[CTL_NAME_MAX + 1];
	struct ask ask; /* fd -1: no answer is due */
	uint64_t until_ms;
	bool seen;
	/*
	 * What became of the last request: ASK_NOT_YET is due or there was
	 * none; ASK_NO_VM: nobody listens; ASK_REFUSED: no answer, or none of use.
	 */
	enum ask_code code;
	uint64_t end_ms; /* when that was known, by now_ms() */
	pid_t pid;	 /* who listens; 0: not known */
	cJSON *result;	 /* if ASK_OK; freed with the next request */
	void *data;	 /* the caller's, freed here; NULL */
};

/** struct peers - zeroed: none.  One thread's. */
struct peers {
	struct peer *first; /* by name */
	/* For the caller to set, before the first peers_find(): hypd, too. */
	bool with_manager;
	struct peer *manager; /* NULL: it has no socket, or is not wanted */
};

/**
 * peers_find() - look who is there now; who has gone is freed
 * @peers: kept up to date
 * @why:   set on failure
 *
 * Return: 0, also if there is no such directory, or a negative errno.
 */
int peers_find(struct peers *peers, struct why *why);

/**
 * peers_ask() - ask those that no answer is due from; does not wait
 * @peers:   found
 * @command: for VMs; hypd is asked for "host"
 */
void peers_ask(struct peers *peers, const char *command);

/** peers_due() - is any answer due? */
bool peers_due(const struct peers *peers);

/**
 * peers_step() - wait until something happens and take it in
 * @peers:    asked
 * @also:     what else to wait for; revents are set
 * @nr_also:  how many, at most PEERS_ALSO
 * @until_ms: by now_ms()
 */
#define PEERS_ALSO 2
void peers_step(struct peers *peers, struct pollfd *also, nfds_t nr_also,
		uint64_t until_ms);

/** peers_wait() - until no answer is due */
void peers_wait(struct peers *peers);

/** peers_fini() - forget all of them */
void peers_fini(struct peers *peers);

#endif /* HYP_CLI_PEERS_H */
