/* SPDX-License-Identifier: GPL-2.0-only */
/* What is left of hyp's rights once it runs a guest, and of hypd's. */
#ifndef HYP_SANDBOX_H
#define HYP_SANDBOX_H

#include "hyp/util.h"

/** sandbox_close_inherited() - close all descriptors but standard ones */
void sandbox_close_inherited(void);

/**
 * sandbox_enter() - no new privileges, seccomp allow-list, for all threads
 * @why: set on failure
 *
 * All files are open and all threads exist.  A system call that is not on the
 * list kills the process.
 * Return: 0 or a negative errno.
 */
int sandbox_enter(struct why *why);

/**
 * sandbox_enter_manager() - the same for hypd, whose one thread connects to VMs,
 * reads directories and its configuration, and touches nothing else
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int sandbox_enter_manager(struct why *why);

/**
 * sandbox_enter_janitor() - what removes the control socket (hyp/ctl/listen.h)
 *
 * Of one thread; standard input and output are all that it has.
 * Return: 0 or a negative errno.
 */
int sandbox_enter_janitor(void);

#endif /* HYP_SANDBOX_H */
