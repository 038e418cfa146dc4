/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Commands of the control socket that have files of their own; the others and
 * their list are in control.c.
 */
#ifndef HYP_VM_COMMANDS_H
#define HYP_VM_COMMANDS_H

#include "hyp/ctl/server.h"

struct vm;

/*
 * Each answers @client, or defers the answer.  @req has only fields that the
 * command knows.  Loop's thread.
 */

/* describe.c */
void vm_do_info(struct vm *vm, struct ctl_client *client,
		const struct ctl_request *req);
void vm_do_stat(struct vm *vm, struct ctl_client *client,
		const struct ctl_request *req);

/* budget.c */
void vm_do_limit(struct vm *vm, struct ctl_client *client,
		 const struct ctl_request *req);
void vm_do_share(struct vm *vm, struct ctl_client *client,
		 const struct ctl_request *req);
void vm_do_balloon(struct vm *vm, struct ctl_client *client,
		   const struct ctl_request *req);

/* watch.c */
void vm_do_watch(struct vm *vm, struct ctl_client *client,
		 const struct ctl_request *req);

/** vm_lowest_limit() - bytes: the lowest that vm_do_limit() grants */
uint64_t vm_lowest_limit(const struct vm *vm);

#endif /* HYP_VM_COMMANDS_H */
