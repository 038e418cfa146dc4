/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is left of hyp's rights once it runs a guest, and of hypd's.
 *
 * Every thread has a seccomp filter of its own, an allow-list by its role
 * (sandbox_roles.c), from before its function runs (thread.h); main's comes last,
 * when all files are open and all threads exist.  A call that is not on the list
 * kills the process, and the janitor removes its socket (hyp/ctl/listen.h).
 *
 * One filter for all, with SECCOMP_FILTER_FLAG_TSYNC, would have to allow what
 * any of them needs; narrower ones on top of it would leave threads that run
 * already (pager, reclaim) with the wide one until they next wake up.
 */
#ifndef HYP_SANDBOX_H
#define HYP_SANDBOX_H

#include <stdbool.h>

#include "hyp/util.h"

/** sandbox_close_inherited() - close all descriptors but standard ones */
void sandbox_close_inherited(void);

/**
 * sandbox_prepare() - no new privileges, and a filter for each role at hand
 * @test_hooks: the guest may use test hooks: vCPUs do reclaim's work then
 * @why:        set on failure
 *
 * There is one thread.  Without this, no thread is confined (--no-sandbox).
 * Return: 0 or a negative errno.
 */
int sandbox_prepare(bool test_hooks, struct why *why);

/**
 * sandbox_enter() - confine the calling thread, once and for all
 * @thread: its name: a role's, perhaps with a number behind it
 *
 * Return: 0, also if nothing has been prepared; or a negative errno.
 */
int sandbox_enter(const char *thread);

/**
 * sandbox_finish() - make sure of all other threads, and confine main
 * @why: set on failure
 *
 * Neither other processes of this user nor a core dump see memory from here on.
 * Return: 0, also if nothing has been prepared; or a negative errno.
 */
int sandbox_finish(struct why *why);

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
