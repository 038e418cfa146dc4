/* SPDX-License-Identifier: GPL-2.0-only */
/* Configuration files: "key value" or "key = value" a line, # begins a comment. */
#ifndef HYP_CONFFILE_H
#define HYP_CONFFILE_H

#include "hyp/util.h"

/**
 * conffile_read() - read a file and report its lines
 * @text: set to what keys and values point into, also on failure (caller frees);
 *	  NULL: there is nothing
 * @path: file of at most 64K
 * @line: a line that says something; @value "": none.  Return: 0 or a negative
 *	  errno with @why, which ends it.
 * @ctx:  its first argument
 * @why:  set on failure, with name and number of the line
 *
 * Return: 0 or a negative errno.
 */
int conffile_read(char **text, const char *path,
		  int (*line)(void *ctx, char *key, char *value,
			      struct why *why),
		  void *ctx, struct why *why);

#endif /* HYP_CONFFILE_H */
