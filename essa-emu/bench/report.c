// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints what operations cost: one table, median and spread of the rounds, and
 * the ratio of medians to the line it is compared with.  Figures of one run are
 * for comparison with each other, not with those of another machine.
 *
 *	bench [--rounds N] [--data FILE] [--append]
 *
 * With --append to the table and the data of another program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>
#include <string.h>

#include "essa-emu/bench/bench.h"

#define ROUNDS 25u

unsigned int bench_add(struct bench *b, const char *group, const char *name,
		       const char *where, const char *unit, unsigned int base)
{
	if (b->nr == MAX_SERIES)
		abort();
	b->line[b->nr] = (struct series){
		.group = group,
		.name = name,
		.where = where,
		.unit = unit,
		.base = base,
	};
	return b->nr++;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct bench *b, unsigned int i, unsigned int p)
{
	return b->line[i].v[(b->rounds - 1) * p / 100];
}

static void print(const struct bench *b, bool header)
{
	const char *group = "";
	unsigned int i;

	if (header)
		printf("%-10s %-22s %-19s %8s %17s %7s\n", "", "what", "where",
		       "median", "p10-p90", "ratio");
	for (i = 0; i < b->nr; i++) {
		const struct series *s = &b->line[i];
		double median = percentile(b, i, 50);

		printf("%-10s %-22s %-19s %8.2f %8.2f-%-8.2f",
		       strcmp(group, s->group) ? s->group : "", s->name,
		       s->where, median, percentile(b, i, 10),
		       percentile(b, i, 90));
		if (s->base != i)
			printf(" %7.3f", median / percentile(b, s->base, 50));
		printf("  %s\n", s->base == i ? s->unit : "");
		group = s->group;
	}
}

static int write_data(const struct bench *b, const char *file, const char *mode)
{
	FILE *f = fopen(file, mode);
	unsigned int i;
	int err;

	if (!f) {
		fprintf(stderr, "bench: cannot write %s: %s\n", file,
			strerror(errno));
		return 1;
	}
	if (*mode == 'w')
		fprintf(f, "group\twhere\twhat\tmedian\tp10\tp90\tratio\n");
	for (i = 0; i < b->nr; i++) {
		const struct series *s = &b->line[i];

		fprintf(f, "%s\t%s\t%s\t%g\t%g\t%g\t%g\n", s->group, s->where,
			s->name, percentile(b, i, 50), percentile(b, i, 10),
			percentile(b, i, 90),
			percentile(b, i, 50) / percentile(b, s->base, 50));
	}
	err = ferror(f);
	if (fclose(f) || err) {
		fprintf(stderr, "bench: cannot write %s\n", file);
		return 1;
	}
	return 0;
}

int bench_main(int argc, char **argv, struct bench *b,
	       const struct bench_group *groups, unsigned int nr_groups)
{
	const char *data = NULL;
	const char *mode = "w";
	unsigned int i, g;

	b->rounds = ROUNDS;
	for (i = 1; i < (unsigned int)argc; i++) {
		if (!strcmp(argv[i], "--append"))
			mode = "a";
		else if (i + 1 == (unsigned int)argc)
			break;
		else if (!strcmp(argv[i], "--rounds"))
			b->rounds = (unsigned int)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--data"))
			data = argv[++i];
		else
			break;
	}
	if (i != (unsigned int)argc || !b->rounds || b->rounds > MAX_ROUNDS) {
		fprintf(stderr,
			"usage: bench [--rounds 1..%u] [--data FILE] [--append]\n",
			MAX_ROUNDS);
		return 1;
	}
	for (g = 0; g < nr_groups; g++)
		groups[g].add(b);
	for (i = 0; i < b->rounds; i++)
		for (g = 0; g < nr_groups; g++)
			groups[g].round(b, i);
	for (g = 0; g < nr_groups; g++)
		if (groups[g].end)
			groups[g].end();
	for (i = 0; i < b->nr; i++)
		qsort(b->line[i].v, b->rounds, sizeof(b->line[i].v[0]),
		      compare);
	print(b, *mode == 'w');
	return data ? write_data(b, data, mode) : 0;
}
