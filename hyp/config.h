/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Command line to validated configuration.  What config_parse() accepted is
 * immutable from then on and may be read by any thread.
 */
#ifndef HYP_CONFIG_H
#define HYP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/share.h"
#include "hyp/util.h"

#define HYP_VERSION "0.5"

#define CONFIG_MAX_DISKS    4
#define CONFIG_MAX_CPUS	    64
#define CONFIG_MAX_SERIAL   20u
#define CONFIG_MAX_CHANNELS 8
#define CONFIG_MIN_MEM	    (16 * MIB)
#define CONFIG_MAX_MEM	    (512 * GIB)
/* What a guest needs beside kernel and initrd to get anywhere. */
#define CONFIG_LIMIT_FLOOR (16 * MIB)
#define CONFIG_LIMIT_SLACK (8 * MIB)

/* Exit codes of hyp that are not the guest's. */
#define EXIT_GUEST_CRASHED 123
#define EXIT_TIMED_OUT	   124
#define EXIT_HYP_FAILED	   125

/** struct config_disk - one --disk */
struct config_disk {
	char *path;
	bool read_only;
	const char *serial; /* within @path's allocation; NULL: none given */
};

/** struct config_channel - one --channel */
struct config_channel {
	char *name;	  /* in the guest */
	const char *path; /* of the socket; within @name's allocation */
};

/** struct config - strings point into argv or @file_text; those of lists are owned */
struct config {
	const char *name;
	char default_name[24];
	bool serve;	     /* have a control socket */
	const char *control; /* its path; NULL: where it belongs */
	char *file_text;     /* of --config; NULL: none */
	const char *kernel;
	const char *initrd;  /* NULL: none */
	const char *cmdline; /* "": none */
	struct config_disk disks[CONFIG_MAX_DISKS];
	unsigned int nr_disks;
	unsigned int cpus;
	uint64_t mem_bytes;
	uint64_t limit_bytes; /* 0: none */
	struct share_change share_said;
	struct share share;
	const char *swap_dir; /* NULL: no swap */
	uint64_t swap_bytes;
	bool virtio_console;
	struct config_channel channels[CONFIG_MAX_CHANNELS];
	unsigned int nr_channels;
	bool balloon;
	uint64_t balloon_bytes; /* first target */
	bool hints;
	bool storm;
	bool pressure;
	bool test_hooks;
	bool sandbox;
	const char *stats_path; /* NULL: none */
	uint64_t stats_ms;
	const char *summary_path; /* NULL: none */
	const char *record_path;  /* NULL: none */
	uint64_t timeout_s;	  /* 0: none */
};

/** enum config_action - what the command line asks for */
enum config_action {
	CONFIG_RUN,
	CONFIG_HELP,
	CONFIG_VERSION,
};

/**
 * config_parse_size() - parse "96M" and the like
 * @text:  decimal number with an optional K, M or G
 * @bytes: set on success
 *
 * Return: 0, -EINVAL if it is no size, -ERANGE if it does not fit.
 */
int config_parse_size(const char *text, uint64_t *bytes);

/**
 * config_parse() - parse and check the command line
 * @cfg:    filled in; config_fini() in any case
 * @argc:   as main()'s
 * @argv:   as main()'s; must outlive @cfg
 * @action: set on success
 * @why:    set on failure
 *
 * Looks at the files named, so that a typing error does not cost a boot.
 * Return: 0 or a negative errno.
 */
int config_parse(struct config *cfg, int argc, char **argv,
		 enum config_action *action, struct why *why);

/**
 * config_check() - of config_parse(): do settings go together, are files there?
 * @cfg: what was not said is filled in where it depends on the rest
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int config_check(struct config *cfg, struct why *why);

/** config_fini() - free what config_parse() allocated */
void config_fini(struct config *cfg);

/** config_help() - the text of --help */
const char *config_help(void);

#endif /* HYP_CONFIG_H */
