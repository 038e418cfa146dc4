/* SPDX-License-Identifier: GPL-2.0-only */
/* Which thread may call what; for sandbox.c and its test. */
#ifndef HYP_SANDBOX_ROLES_H
#define HYP_SANDBOX_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct sandbox_arg - (argument @index & @mask) must be @value */
struct sandbox_arg {
	unsigned int index;
	uint64_t mask, value;
};

/**
 * struct sandbox_call - a system call that is allowed
 * @nr:      SCMP_SYS()
 * @own_pid: its first argument must be this process
 * @nr_args: how many of @args must hold, too
 *
 * The same call may be in a list several times: one of them must hold.
 */
struct sandbox_call {
	int nr;
	bool own_pid;
	unsigned int nr_args;
	struct sandbox_arg args[2];
};

struct sandbox_list {
	const struct sandbox_call *calls;
	size_t nr;
};

#define SANDBOX_MAX_LISTS 8
#define SANDBOX_NR_ROLES  9

/**
 * struct sandbox_role - what threads of this name may call
 * @name:  of the thread; any number may follow
 * @hooks: also sandbox_hooks, if the guest may use test hooks
 * @lists: ends with one of NULL
 */
struct sandbox_role {
	const char *name;
	bool hooks;
	const struct sandbox_list *lists[SANDBOX_MAX_LISTS];
};

extern const struct sandbox_role sandbox_roles[SANDBOX_NR_ROLES];
extern const struct sandbox_list sandbox_hooks;
extern const struct sandbox_role sandbox_janitor;
extern const struct sandbox_role sandbox_manager;

/** sandbox_role_of() - of a thread.  Return: NULL: there is none of that name */
const struct sandbox_role *sandbox_role_of(const char *thread);

#endif /* HYP_SANDBOX_ROLES_H */
