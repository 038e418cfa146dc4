// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/prom_text.h"

#include <math.h>

static const char *const type_names[] = { "counter", "gauge", "histogram",
					  "untyped" };

void prom_head(FILE *file, const char *name, enum prom_type type,
	       const char *help)
{
	fprintf(file, "# HELP hyp_%s %s\n# TYPE hyp_%s %s\n", name, help, name,
		type_names[type]);
}

void prom_label(FILE *file, const char *name, const char *value)
{
	fprintf(file, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", file);
		else if (*value == '\\' || *value == '"')
			fprintf(file, "\\%c", *value);
		else
			fputc(*value, file);
	}
	fputc('"', file);
}

void prom_value(FILE *file, double value)
{
	fprintf(file, value == rint(value) ? "%.0f\n" : "%.9g\n", value);
}

bool prom_number(const cJSON *item, double *out)
{
	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
		return false;
	*out = item->valuedouble;
	return true;
}
