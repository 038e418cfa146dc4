/* SPDX-License-Identifier: GPL-2.0-only */
/* Results of the control protocol, for people. */
#ifndef HYP_CLI_SHOW_H
#define HYP_CLI_SHOW_H

#include <cjson/cJSON.h>

/** show_json() - as it came, on one line */
void show_json(const cJSON *result);

/** show_info(), show_stat() and so on: of the command of that name */
void show_info(const cJSON *result);
void show_stat(const cJSON *result);
void show_limit(const cJSON *result);
void show_state(const cJSON *result);
void show_discard(const cJSON *result);
void show_share(const cJSON *result);
void show_balloon(const cJSON *result);

/** show_list() - an array of VMs, as a table */
void show_list(const cJSON *vms);

/** show_host() - what hypd says of all VMs, or of its limit and policy */
void show_host(const cJSON *result);

#endif /* HYP_CLI_SHOW_H */
