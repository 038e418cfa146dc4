/* SPDX-License-Identifier: GPL-2.0-only */
/* Command line and configuration file. */
#ifndef HYP_HYPD_SETTINGS_H
#define HYP_HYPD_SETTINGS_H

#include "hyp/ctl/path.h"
#include "hyp/hypd/finder.h"
#include "hyp/hypd/policy.h"
#include "hyp/share.h"

/* Of all VMs together; sums of a few such fit. */
#define SETTINGS_MAX_LIMIT (1ull << 50)

/** struct settings_vm - what is set here instead of by the VM's own share */
struct settings_vm {
	char name[CTL_NAME_MAX + 1];
	struct share_change share;
};

/** struct settings - zeroed: nothing set; strings point into argv */
struct settings {
	bool help, version, sandbox;
	bool limit_said, policy_said; /* on the command line, which wins */
	uint64_t limit_bytes;	      /* 0: not given */
	const struct policy *policy;
	const char *config; /* file; NULL: none */
	const char *dirs[FINDER_MAX_DIRS - 1];
	unsigned int nr_dirs;
	struct settings_vm *vms; /* owned */
	unsigned int nr_vms;
};

/**
 * settings_parse() - the command line, and the file that it names
 * @s:	  set; settings_fini() in any case
 * @argc: as main()'s
 * @argv: as main()'s; outlives @s
 * @why:  set on failure
 *
 * Return: 0 or a negative errno.
 */
int settings_parse(struct settings *s, int argc, char **argv, struct why *why);

/**
 * settings_reload() - the file again; of limit and policy it changes only what
 * it says and the command line did not
 * @s:	  set on success to a copy of @old with what the file says; no part of it
 *	  belongs to @old
 * @old:  settings that are in force
 * @why:  set on failure
 *
 * Return: 0 or a negative errno.
 */
int settings_reload(struct settings *s, const struct settings *old,
		    struct why *why);
void settings_fini(struct settings *s);

/** settings_find() - what is set for a VM; NULL: nothing */
const struct share_change *settings_find(const struct settings *s,
					 const char *name);

/** settings_help() - the text of --help */
const char *settings_help(void);

#endif /* HYP_HYPD_SETTINGS_H */
