/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HYP_SIM_OPTIONS_H
#define HYP_SIM_OPTIONS_H

#include "hyp/sim/run.h"

/**
 * sim_options_parse() - command line to configuration
 * @cfg:  filled in; strings point into @argv
 * @help: set to true if only the help text is wanted
 * @why:  set on failure
 *
 * Return: 0 or a negative errno.
 */
int sim_options_parse(struct sim_config *cfg, int argc, char **argv, bool *help,
		      struct why *why);

/** sim_options_help() - the text of --help */
const char *sim_options_help(void);

#endif /* HYP_SIM_OPTIONS_H */
