/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control protocol: one JSON object a line, in both directions.
 *
 *	{"version":1,"id":7,"command":"limit","limit":67108864}
 *	{"version":1,"id":7,"ok":true,"result":{...}}
 *	{"version":1,"id":7,"ok":false,"error":{"field":"limit","message":"..."}}
 *	{"version":1,"event":"sample","sample":{...}}
 *
 * The id is the asker's, comes back as it is and may be missing; requests of one
 * connection are answered in their order.  A line that cannot be understood is
 * answered with the id null.  Events come unasked, between answers, to those who
 * have asked for them by a command.
 */
#ifndef HYP_CTL_MESSAGE_H
#define HYP_CTL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#define CTL_VERSION 1
/* A line with its newline; longer ones are refused. */
#define CTL_MAX_LINE 65536u
#define CTL_MAX_ID   256u

/** struct ctl_error - which field is wrong ("": none in particular), and why */
struct ctl_error {
	char field[32];
	char message[320];
};

/** ctl_error_set() - fill in both. Return: -EINVAL */
int ctl_error_set(struct ctl_error *error, const char *field, const char *fmt,
		  ...) __attribute__((format(printf, 3, 4)));

/** struct ctl_request - a line that was understood */
struct ctl_request {
	cJSON *object;
	const char *command; /* in @object */
	char *id;	     /* JSON text */
};

/**
 * ctl_request_parse() - understand a line
 * @req:   set; ctl_request_fini() in any case
 * @line:  @len bytes without the newline, untrusted
 * @len:   at most CTL_MAX_LINE
 * @error: set on failure
 *
 * Return: 0 or a negative errno.
 */
int ctl_request_parse(struct ctl_request *req, const char *line, size_t len,
		      struct ctl_error *error);
void ctl_request_fini(struct ctl_request *req);

/**
 * ctl_request_fields() - are there only fields that the command knows?
 * @req:   request
 * @known: names beside version, id and command; NULL ends the list
 * @error: set on failure
 *
 * Return: 0 or -EINVAL.
 */
int ctl_request_fields(const struct ctl_request *req, const char *const *known,
		       struct ctl_error *error);

/** ctl_whole() - is it a whole number from 0 to 2^53? Then @n is set. */
bool ctl_whole(const cJSON *item, uint64_t *n);

/**
 * ctl_number() - a field that has to be a whole number from 0 to 2^53
 * @req:   request
 * @field: name
 * @n:     set on success
 * @error: set on failure
 *
 * Return: 0; -ENOENT if there is no such field; -EINVAL.
 */
int ctl_number(const struct ctl_request *req, const char *field, uint64_t *n,
	       struct ctl_error *error);

/** ctl_add_u64() - a number with all its digits */
void ctl_add_u64(cJSON *object, const char *name, uint64_t n);

/**
 * ctl_result_text() - the answer to a request that was granted
 * @id:     JSON text
 * @result: freed here; NULL: memory ran out making it
 *
 * Return: a line with its newline (caller frees), or NULL: out of memory.
 */
char *ctl_result_text(const char *id, cJSON *result);

/** ctl_error_text() - ... that was not */
char *ctl_error_text(const char *id, const struct ctl_error *error);

/** ctl_event_text() - an event; @event as @result above, its fields are the line's */
char *ctl_event_text(cJSON *event);

#endif /* HYP_CTL_MESSAGE_H */
