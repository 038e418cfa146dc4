/* SPDX-License-Identifier: GPL-2.0-only */
/* One page, made anew for each request: libmicrohttpd. */
#ifndef HYP_CLI_HTTP_H
#define HYP_CLI_HTTP_H

#include <stddef.h>

#include "hyp/util.h"

struct http; /* opaque */

/**
 * http_start() - serve /metrics
 * @out:   set on success; caller owns, http_stop()
 * @where: [ADDRESS:]PORT, the address a number, [in brackets] if IPv6;
 *	   127.0.0.1 without
 * @page:  makes the text, freed here, or sets the reason and returns NULL.
 *	   Several threads at once.
 * @why:   set on failure
 *
 * The library, and what it needs, is loaded only here: hyp run has no use for it.
 *
 * Return: 0 or a negative errno.
 */
int http_start(struct http **out, const char *where,
	       char *(*page)(size_t *len, struct why *why), struct why *why);

/** http_address() - address:port it listens to; @http owns it */
const char *http_address(const struct http *http);

/** http_stop() - returns when no request is under way */
void http_stop(struct http *http);

#endif /* HYP_CLI_HTTP_H */
