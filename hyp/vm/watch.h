/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients of the control socket that watch: a memory manager.  They are sent a
 * sample when there is news since the last one they were sent, at most one an
 * interval, and are told of the last news in any case.
 *
 * Nothing polls.  While a watcher knows all there is, mem is armed (mem_watch())
 * and so is vm_news(), each for one call, which makes the loop look.  News that is
 * too early waits for the timer, which is armed for that alone; meanwhile nothing
 * else is.  Looking is: arm, then take a sample and compare; whoever changes
 * something calls after that.
 */
#ifndef HYP_VM_WATCH_H
#define HYP_VM_WATCH_H

#include "hyp/ctl/server.h"

struct vm;
struct watchers; /* opaque */

/**
 * vm_news() - something of a sample has changed that may be news
 * @ctx: struct vm
 *
 * Any thread, after the change and whatever it holds; one atomic operation if
 * nobody waits for it.
 */
void vm_news(void *ctx);

/** vm_watch_open() - no other thread exists yet. Return: 0 or negative errno. */
int vm_watch_open(struct vm *vm);

/** vm_watch_serve() - with all that a sample says. Return: 0 or negative errno. */
int vm_watch_serve(struct vm *vm);

/** vm_watch_close() - whether or not it was opened; no other thread is left */
void vm_watch_close(struct vm *vm);

/** vm_watch_event(), vm_watch_gone() - of struct ctl_ops; @ctx is a struct vm */
cJSON *vm_watch_event(void *ctx, struct ctl_client *client);
void vm_watch_gone(void *ctx, struct ctl_client *client);

#endif /* HYP_VM_WATCH_H */
