/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a VM's control socket is; hyp that runs it and hyp that asks it agree. */
#ifndef HYP_CTL_PATH_H
#define HYP_CTL_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "hyp/util.h"

#define CTL_NAME_MAX 64
/* struct sockaddr_un has no room for more, with the zero at the end. */
#define CTL_PATH_MAX 108
#define CTL_SUFFIX   ".sock"
/* hypd's socket is among those of the VMs, none of which is called that. */
#define CTL_MANAGER "hypd"

/**
 * ctl_name_ok() - may a VM be called that?
 * Letters, digits, "-", "_" and ".", the first a letter or digit: it is a file
 * name and no option.  Not CTL_MANAGER.
 */
bool ctl_name_ok(const char *name);

/** ctl_name_of() - the VM whose socket has that file name; false: none's */
bool ctl_name_of(char name[CTL_NAME_MAX + 1], const char *file);

/**
 * ctl_runtime_dir() - $XDG_RUNTIME_DIR/hyp; without that, root's is /run/hyp
 * @dir: set; need not exist
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int ctl_runtime_dir(char dir[CTL_PATH_MAX], struct why *why);

/** ctl_path() - the socket of a VM in a directory. Return: 0 or negative errno. */
int ctl_path(char path[CTL_PATH_MAX], const char *dir, const char *name,
	     struct why *why);

#endif /* HYP_CTL_PATH_H */
