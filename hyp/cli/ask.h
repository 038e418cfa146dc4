/* SPDX-License-Identifier: GPL-2.0-only */
/* The asking side of the control protocol (hyp/ctl/message.h). */
#ifndef HYP_CLI_ASK_H
#define HYP_CLI_ASK_H

#include <stdint.h>

#include <cjson/cJSON.h>

#include "hyp/util.h"

/** enum ask_code - what became of it: exit codes of the commands */
enum ask_code {
	ASK_OK = 0,
	ASK_REFUSED = 1, /* by the VM, or it does not answer */
	ASK_USAGE = 2,
	ASK_NO_VM = 3,
	ASK_NOT_YET, /* of ask_try(), no exit code */
};

/** struct ask - a connection; zeroed but for fd before ask_open() */
struct ask {
	int fd; /* -1: none */
	char *buf;
	size_t len;
};

/**
 * ask_open() - connect and send a request
 * @ask:      set; ask_close() in any case
 * @path:     socket
 * @command:  "stat" and so on
 * @argument: object whose fields the request gets, too; freed here; or NULL
 * @until_ms: when to give up, by now_ms(); 0: never wait, then or later, and call
 *	      ask_try() when @ask->fd can be read
 * @why:      set unless ASK_OK is returned
 */
enum ask_code ask_open(struct ask *ask, const char *path, const char *command,
		       cJSON *argument, uint64_t until_ms, struct why *why);

/**
 * ask_answer() - wait for the answer
 * @ask:      opened
 * @result:   set to the result object (caller deletes) if ASK_OK is returned
 * @until_ms: as above
 * @why:      set otherwise
 */
enum ask_code ask_answer(struct ask *ask, cJSON **result, uint64_t until_ms,
			 struct why *why);

/**
 * ask_try() - take what there is of the answer; does not wait
 *
 * Return: ASK_NOT_YET: call it again when there is more; else as ask_answer().
 */
enum ask_code ask_try(struct ask *ask, cJSON **result, struct why *why);

/** ask_wait_end() - until the VM closes the connection, as it does when it ends */
enum ask_code ask_wait_end(struct ask *ask, uint64_t until_ms, struct why *why);

/** ask_close() - also if ask_open() failed */
void ask_close(struct ask *ask);

#endif /* HYP_CLI_ASK_H */
