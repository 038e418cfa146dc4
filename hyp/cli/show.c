// SPDX-License-Identifier: GPL-2.0-only
/* What is missing in an answer is shown as "-", never as a number. */
#include "hyp/cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hyp/util.h"

#define CELL 24

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(get(object, name));

	return text ? text : "-";
}

static const char *whole(char cell[CELL], const cJSON *item)
{
	if (cJSON_IsNumber(item))
		snprintf(cell, CELL, "%.0f", item->valuedouble);
	else
		strcpy(cell, "-");
	return cell;
}

static const char *mib(char cell[CELL], const cJSON *item, double unit_bytes)
{
	if (cJSON_IsNumber(item))
		snprintf(cell, CELL, "%.1f",
			 item->valuedouble * unit_bytes / (double)MIB);
	else
		strcpy(cell, "-");
	return cell;
}

static const char *seconds(char cell[CELL], const cJSON *item)
{
	if (cJSON_IsNumber(item))
		snprintf(cell, CELL, "%.1f", item->valuedouble / 1000);
	else
		strcpy(cell, "-");
	return cell;
}

static void show_paused_by(const cJSON *result)
{
	const cJSON *reason;

	cJSON_ArrayForEach(reason,
			   get(result, "paused_by")) if (cJSON_IsString(reason))
		printf(" %s", reason->valuestring);
}

void show_json(const cJSON *result)
{
	char *text = cJSON_PrintUnformatted(result);

	puts(text ? text : "{}");
	free(text);
}

void show_state(const cJSON *result)
{
	printf("%s", text_of(result, "state"));
	if (cJSON_GetArraySize(get(result, "paused_by"))) {
		printf(" by");
		show_paused_by(result);
	}
	putchar('\n');
}

void show_limit(const cJSON *result)
{
	char limit[CELL], resident[CELL];

	printf("limit %s MiB, resident %s MiB\n",
	       cJSON_IsNull(get(result, "limit_bytes")) ?
		       "of no" :
		       mib(limit, get(result, "limit_bytes"), 1),
	       mib(resident, get(result, "resident_bytes"), 1));
}

void show_share(const cJSON *result)
{
	char min[CELL], entitlement[CELL], max[CELL], weight[CELL];

	printf("%s to %s MiB, entitled to %s MiB, weight %s\n",
	       mib(min, get(result, "min_bytes"), 1),
	       mib(max, get(result, "max_bytes"), 1),
	       mib(entitlement, get(result, "entitlement_bytes"), 1),
	       whole(weight, get(result, "weight")));
}

void show_balloon(const cJSON *result)
{
	char target[CELL], actual[CELL];

	printf("target %s MiB, actual %s MiB\n",
	       mib(target, get(result, "target_bytes"), 1),
	       mib(actual, get(result, "actual_bytes"), 1));
}

void show_discard(const cJSON *result)
{
	char frames[CELL], size[CELL];

	printf("%s pages (%s MiB) discarded\n",
	       whole(frames, get(result, "frames")),
	       mib(size, get(result, "bytes"), 1));
}

static void show_names(const cJSON *result, const char *name)
{
	const cJSON *item;

	printf("%-10s", name);
	cJSON_ArrayForEach(item, get(result, name)) if (cJSON_IsString(item))
		printf(" %s", item->valuestring);
	putchar('\n');
}

void show_info(const cJSON *result)
{
	static const char *const texts[] = { "name",   "hyp",	  "kernel",
					     "initrd", "cmdline", "swap_dir" };
	const cJSON *item;
	char cell[CELL];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		printf("%-10s %s\n", texts[i], text_of(result, texts[i]));
	printf("%-10s %s\n", "pid", whole(cell, get(result, "pid")));
	printf("%-10s %s\n", "cpus", whole(cell, get(result, "cpus")));
	printf("%-10s %s MiB\n", "memory",
	       mib(cell, get(result, "mem_bytes"), 1));
	printf("%-10s %s MiB\n", "limit",
	       mib(cell, get(result, "limit_bytes"), 1));
	printf("%-10s %s MiB\n", "resident",
	       mib(cell, get(result, "resident_bytes"), 1));
	printf("%-10s ", "share");
	show_share(get(result, "share"));
	printf("%-10s %s MiB\n", "swap",
	       mib(cell, get(result, "swap_bytes"), 1));
	show_names(result, "features");
	show_names(result, "host");
	cJSON_ArrayForEach(item, get(result, "disks")) printf(
		"%-10s %s%s\n", "disk", text_of(item, "path"),
		cJSON_IsTrue(get(item, "read_only")) ? " (read-only)" : "");
	cJSON_ArrayForEach(item, get(result, "channels"))
		printf("%-10s %s %s%s%s\n", "channel", text_of(item, "name"),
		       text_of(item, "path"),
		       cJSON_IsTrue(get(item, "guest")) ? ", guest" : "",
		       cJSON_IsTrue(get(item, "client")) ? ", client" : "");
	printf("%-10s ", "state");
	show_state(result);
	printf("%-10s %s s\n", "uptime",
	       seconds(cell, get(result, "uptime_ms")));
}

static void show_time(const cJSON *item)
{
	char text[64] = "-";
	struct tm tm;
	time_t t;

	if (cJSON_IsNumber(item)) {
		t = (time_t)(item->valuedouble / 1000);
		if (localtime_r(&t, &tm))
			strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
		printf("%s.%03d", text,
		       (int)(item->valuedouble - (double)t * 1000));
	} else {
		printf("-");
	}
}

static void show_matrix(const cJSON *result)
{
	static const struct {
		const char *key, *name;
	} rows[] = { { "S", "stable" },
		     { "U", "unused" },
		     { "V", "volatile" },
		     { "P", "potential" } };
	const cJSON *page = get(result, "page_bytes");
	double unit = cJSON_IsNumber(page) ? page->valuedouble : 0;
	char r[CELL], p[CELL], z[CELL];
	unsigned int i;

	printf("%-10s %10s %10s %10s\n", "MiB", "resident", "preserved",
	       "zero");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const cJSON *row = get(get(result, "frames"), rows[i].key);

		printf("%-10s %10s %10s %10s\n", rows[i].name,
		       mib(r, get(row, "r"), unit), mib(p, get(row, "p"), unit),
		       mib(z, get(row, "z"), unit));
	}
}

/* Upper bound of the bucket that @permille of @count waits reach, in ns; or -1. */
static double quantile(const cJSON *buckets, double count,
		       unsigned int permille)
{
	const cJSON *bucket, *bound, *n;
	double seen = 0;

	cJSON_ArrayForEach(bucket, buckets)
	{
		bound = cJSON_GetArrayItem(bucket, 0);
		n = cJSON_GetArrayItem(bucket, 1);
		if (!cJSON_IsNumber(n))
			return -1;
		seen += n->valuedouble;
		if (seen * 1000 >= count * permille)
			return cJSON_IsNumber(bound) ? bound->valuedouble : -1;
	}
	return -1;
}

static const char *micro(char cell[CELL], double ns)
{
	if (ns >= 0)
		snprintf(cell, CELL, "%.1f", ns / 1000);
	else
		strcpy(cell, "-");
	return cell;
}

/* Quantiles are right to a quarter: what took no longer than this. */
static void show_waits(const cJSON *waits)
{
	static const unsigned int permilles[] = { 500, 900, 990, 1000 };
	const cJSON *kind, *count, *sum;
	char cell[CELL];
	double n;
	unsigned int i;

	if (!cJSON_GetArraySize(waits))
		return;
	printf("%-10s %10s %10s %10s %10s %10s %10s\n", "waits/us", "count",
	       "mean", "50 %", "90 %", "99 %", "max");
	cJSON_ArrayForEach(kind, waits)
	{
		count = get(kind, "count");
		sum = get(kind, "sum_ns");
		n = cJSON_IsNumber(count) ? count->valuedouble : 0;
		printf("%-10s %10s", kind->string, whole(cell, count));
		printf(" %10s", micro(cell, n && cJSON_IsNumber(sum) ?
						    sum->valuedouble / n :
						    -1));
		for (i = 0; i < ARRAY_SIZE(permilles); i++)
			printf(" %10s",
			       micro(cell, quantile(get(kind, "buckets"), n,
						    permilles[i])));
		putchar('\n');
	}
}

void show_stat(const cJSON *result)
{
	const cJSON *item;
	char cell[CELL];

	printf("%s at ", text_of(result, "name"));
	show_time(get(result, "timestamp_ms"));
	printf(", up %s s, ", seconds(cell, get(result, "uptime_ms")));
	show_state(result);
	printf("memory %s MiB", mib(cell, get(result, "mem_bytes"), 1));
	printf(", limit %s MiB\n", mib(cell, get(result, "limit_bytes"), 1));
	show_matrix(result);
	cJSON_ArrayForEach(item, get(result, "counters"))
		printf("%-26s %s\n", item->string, whole(cell, item));
	show_waits(get(result, "waits"));
}

void show_list(const cJSON *vms)
{
	static const char format[] =
		"%-20s %8s %-10s %5s %10s %10s %10s %10s\n";
	char pid[CELL], cpus[CELL], mem[CELL], limit[CELL], resident[CELL],
		uptime[CELL];
	const cJSON *vm;

	printf(format, "NAME", "PID", "STATE", "CPUS", "MEMORY/M", "LIMIT/M",
	       "RESIDENT/M", "UP/s");
	cJSON_ArrayForEach(vm, vms)
		printf(format, text_of(vm, "name"), whole(pid, get(vm, "pid")),
		       text_of(vm, "state"), whole(cpus, get(vm, "cpus")),
		       mib(mem, get(vm, "mem_bytes"), 1),
		       mib(limit, get(vm, "limit_bytes"), 1),
		       mib(resident, get(vm, "resident_bytes"), 1),
		       seconds(uptime, get(vm, "uptime_ms")));
}

static void show_host_vms(const cJSON *vms)
{
	static const char format[] =
		"%-16s %-9s %8s %8s %8s %8s %8s %8s %8s %6s %8s %-4s  %s\n";
	char mem[CELL], limit[CELL], budget[CELL], charged[CELL], min[CELL],
		entitled[CELL], max[CELL], weight[CELL], pressure[CELL];
	const cJSON *vm;

	printf(format, "NAME", "STATE", "MEMORY/M", "LIMIT/M", "BUDGET/M",
	       "IN USE/M", "MIN/M", "ENTITL/M", "MAX/M", "WEIGHT", "PRESSURE",
	       "IDLE", "LAST CHANGE");
	cJSON_ArrayForEach(vm, vms)
		printf(format, text_of(vm, "name"), text_of(vm, "state"),
		       mib(mem, get(vm, "mem_bytes"), 1),
		       mib(limit, get(vm, "limit_bytes"), 1),
		       mib(budget, get(vm, "budget_bytes"), 1),
		       mib(charged, get(vm, "charged_bytes"), 1),
		       mib(min, get(vm, "min_bytes"), 1),
		       mib(entitled, get(vm, "entitlement_bytes"), 1),
		       mib(max, get(vm, "max_bytes"), 1),
		       whole(weight, get(vm, "weight")),
		       whole(pressure, get(vm, "pressure")),
		       cJSON_IsTrue(get(vm, "idle")) ? "yes" : "no",
		       text_of(get(vm, "last_change"), "reason"));
}

void show_host(const cJSON *result)
{
	char limit[CELL], counted[CELL];

	printf("policy %s, limit %s MiB, counted %s MiB%s%s\n",
	       text_of(result, "policy"),
	       mib(limit, get(result, "limit_bytes"), 1),
	       mib(counted, get(result, "counted_bytes"), 1),
	       cJSON_IsFalse(get(result, "limit_met")) ?
		       "; the limit cannot be met" :
		       "",
	       cJSON_IsTrue(get(result, "host_pressed")) ?
		       "; the host itself is short of memory" :
		       "");
	if (get(result, "vms"))
		show_host_vms(get(result, "vms"));
}
