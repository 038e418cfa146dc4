/* SPDX-License-Identifier: GPL-2.0-only */
/* Sockets of VMs in directories: those that are there, and those that appear. */
#ifndef HYP_HYPD_FINDER_H
#define HYP_HYPD_FINDER_H

#include "hyp/ctl/path.h"
#include "hyp/loop.h"
#include "hyp/util.h"

#define FINDER_MAX_DIRS 16

struct finder; /* opaque */

/**
 * finder_create() - nothing is looked at yet
 * @out:   set on success; caller owns, finder_destroy()
 * @loop:  outlives it
 * @found: a socket of that name appears at @path (@is_new), or was there at
 *	   finder_scan(); it may be known already.  Loop's thread.
 * @ctx:   its first argument
 * @why:   set on failure
 *
 * Return: 0 or a negative errno.
 */
int finder_create(struct finder **out, struct loop *loop,
		  void (*found)(void *ctx, const char *name, const char *path,
				bool is_new),
		  void *ctx, struct why *why);
void finder_destroy(struct finder *f);

/**
 * finder_add() - watch a directory, which exists
 * @dir: copied
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int finder_add(struct finder *f, const char *dir, struct why *why);

/** finder_scan() - report all that are there */
void finder_scan(struct finder *f);

#endif /* HYP_HYPD_FINDER_H */
