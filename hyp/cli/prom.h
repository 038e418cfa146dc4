/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers of stat, and of hypd, as Prometheus metrics: "Exposition formats" of its
 * manual, the text-based one, version 0.0.4.
 */
#ifndef HYP_CLI_PROM_H
#define HYP_CLI_PROM_H

#include <stdio.h>

#include <cjson/cJSON.h>

/** struct prom_vm - a VM and what it has answered */
struct prom_vm {
	const char *name;
	const cJSON *stat; /* NULL: it does not answer */
};

/**
 * prom_print() - all metrics of all VMs
 * @file: where; the caller looks for errors
 * @vms:  @nr of them
 * @nr:   may be 0
 *
 * A counter that is not known here, of another hyp's, is hyp_other_NAME.
 */
void prom_print(FILE *file, const struct prom_vm *vms, size_t nr);

/**
 * prom_print_host() - hypd's metrics, hyp_host_NAME
 * @file: as above
 * @host: hypd's answer to "host"; NULL: it does not answer
 */
void prom_print_host(FILE *file, const cJSON *host);

#endif /* HYP_CLI_PROM_H */
