/* SPDX-License-Identifier: GPL-2.0-only */
/* hyp list, stat, limit and so on: what people type about VMs that run. */
#ifndef HYP_CLI_CLI_H
#define HYP_CLI_CLI_H

#include <stdbool.h>

#include "hyp/util.h"

/** cli_is_command() - is it one of ours? */
bool cli_is_command(const char *name);

/**
 * cli_main() - do it
 * @argc: as main()'s, without the name of the program
 * @argv: [0] is the command
 *
 * Return: exit code: 0; 1 the VM refused or does not answer; 2 usage; 3 no such
 * VM.
 */
int cli_main(int argc, char **argv);

/** cli_list() - hyp list. Return: exit code. */
int cli_list(bool json);

/**
 * cli_host(), cli_metrics(), cli_top() - hyp host, hyp metrics, hyp top
 * @argc: as cli_main()'s
 * @argv: the same
 * @why:  set on failure
 *
 * Return: exit code.
 */
int cli_host(int argc, char **argv, struct why *why);
int cli_metrics(int argc, char **argv, struct why *why);
int cli_top(int argc, char **argv, struct why *why);

#endif /* HYP_CLI_CLI_H */
