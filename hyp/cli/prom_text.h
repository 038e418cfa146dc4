/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines of the text format; see prom.h. */
#ifndef HYP_CLI_PROM_TEXT_H
#define HYP_CLI_PROM_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

enum prom_type { COUNTER, GAUGE, HISTOGRAM, UNTYPED };

/** prom_head() - what comes before the samples of a metric, whose name gets "hyp_" */
void prom_head(FILE *file, const char *name, enum prom_type type,
	       const char *help);

/** prom_label() - name="value", escaped */
void prom_label(FILE *file, const char *name, const char *value);

/** prom_value() - and the end of the line */
void prom_value(FILE *file, double value);

/** prom_number() - @item if it is a number. Return: false: @out is as it was. */
bool prom_number(const cJSON *item, double *out);

#endif /* HYP_CLI_PROM_TEXT_H */
