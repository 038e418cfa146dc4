// SPDX-License-Identifier: GPL-2.0-only
/* What hypd says of the host and of each VM, also of those in other directories. */
#include <stdlib.h>
#include <string.h>

#include "hyp/cli/prom.h"
#include "hyp/cli/prom_text.h"
#include "hyp/util.h"

struct gauge {
	const char *field; /* of hypd's answer: a number, or true or false */
	const char *name, *help;
};

static const struct gauge of_host[] = {
	{ "limit_bytes", "host_limit_bytes",
	  "Limit of the memory of all VMs." },
	{ "counted_bytes", "host_counted_bytes",
	  "What all VMs count against that limit." },
	{ "limit_met", "host_limit_met", "Can the limit be met?" },
	{ "host_pressed", "host_pressed",
	  "Is the host itself short of memory?" },
};

static const struct gauge of_vm[] = {
	{ "limit_bytes", "host_vm_limit_bytes",
	  "Limit that hypd has granted the VM; 0: none." },
	{ "budget_bytes", "host_vm_budget_bytes",
	  "Limit that the policy wants for the VM." },
	{ "guaranteed_bytes", "host_vm_guaranteed_bytes",
	  "Of the budget, what is granted before other budgets." },
	{ "counted_bytes", "host_vm_counted_bytes",
	  "What the VM counts against the limit of the host." },
	{ "charged_bytes", "host_vm_charged_bytes",
	  "What counts against the limit of the VM." },
	{ "pressure", "host_vm_pressure",
	  "What the VM pays for its limit, in pages read back a second." },
	{ "idle", "host_vm_idle", "Has the VM done nothing for a while?" },
	{ "governed", "host_vm_governed", "Does hypd set the VM's limit?" },
};

/** struct vm - one of those that hypd knows */
struct vm {
	const cJSON *figures;
	const char *name, *path;
	bool governed;
};

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(get(object, name));

	return text ? text : "";
}

static bool value_of(const cJSON *object, const struct gauge *g, double *out)
{
	const cJSON *item = get(object, g->field);

	if (cJSON_IsBool(item))
		*out = cJSON_IsTrue(item);
	else if (cJSON_IsNull(item) && !strcmp(g->field, "limit_bytes"))
		*out = 0; /* there is none */
	else
		return prom_number(item, out);
	return true;
}

/* Of one socket, first who is governed: it is the one that is there now. */
static int by_path(const void *a, const void *b)
{
	const struct vm *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : y->governed - x->governed;
}

/* Return: how many; none twice, which Prometheus would not take. */
static size_t vms_of(const cJSON *host, struct vm **out)
{
	const cJSON *vms = get(host, "vms"), *item;
	struct vm *all =
		calloc((size_t)cJSON_GetArraySize(vms) + 1, sizeof(*all));
	size_t nr = 0, kept = 0, i;

	cJSON_ArrayForEach(item, vms)
	{
		if (!all)
			break;
		all[nr++] = (struct vm){
			item,
			text_of(item, "name"),
			text_of(item, "path"),
			cJSON_IsTrue(get(item, "governed")),
		};
	}
	if (nr)
		qsort(all, nr, sizeof(*all), by_path);
	for (i = 0; i < nr; i++)
		if (!i || strcmp(all[i].path, all[kept - 1].path) != 0)
			all[kept++] = all[i];
	*out = all;
	return kept;
}

static void print_vms(FILE *file, const struct gauge *g, const struct vm *vms,
		      size_t nr)
{
	bool head = false;
	double value;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!value_of(vms[i].figures, g, &value))
			continue;
		if (!head)
			prom_head(file, g->name, GAUGE, g->help);
		head = true;
		fprintf(file, "hyp_%s{", g->name);
		prom_label(file, "vm", vms[i].name);
		fputc(',', file);
		prom_label(file, "socket", vms[i].path);
		fputs("} ", file);
		prom_value(file, value);
	}
}

static void print_one(FILE *file, const char *name, const char *help,
		      double value)
{
	prom_head(file, name, GAUGE, help);
	fprintf(file, "hyp_%s ", name);
	prom_value(file, value);
}

static void print_policy(FILE *file, const cJSON *host)
{
	const char *policy = text_of(host, "policy");

	if (!*policy)
		return;
	prom_head(file, "host_info", GAUGE, "How hypd divides; always 1.");
	fputs("hyp_host_info{", file);
	prom_label(file, "policy", policy);
	fputs("} ", file);
	prom_value(file, 1);
}

void prom_print_host(FILE *file, const cJSON *host)
{
	struct vm *vms;
	size_t nr, i;
	double value;

	print_one(file, "host_up", "Does hypd answer?", host != NULL);
	print_policy(file, host);
	for (i = 0; i < ARRAY_SIZE(of_host); i++)
		if (value_of(host, &of_host[i], &value))
			print_one(file, of_host[i].name, of_host[i].help,
				  value);
	nr = vms_of(host, &vms);
	for (i = 0; i < ARRAY_SIZE(of_vm); i++)
		print_vms(file, &of_vm[i], vms, nr);
	free(vms);
}
