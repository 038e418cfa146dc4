// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints what operations cost: one table, median and spread of the rounds, and
 * the ratio of medians to the line it is compared with.  Figures of one run are
 * for comparison with each other, not with those of another machine.
 *
 *	bench [--rounds N] [--data FILE]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

static void print(const struct bench *b)
{
	const char *group = "";
	unsigned int i;

	printf("%-10s %-20s %-19s %8s %17s %7s\n", "", "what", "where",
	       "median", "p10-p90", "ratio");
	for (i = 0; i < b->nr; i++) {
		const struct series *s = &b->line[i];
		double median = percentile(b, i, 50);

		printf("%-10s %-20s %-19s %8.2f %8.2f-%-8.2f",
		       strcmp(group, s->group) ? s->group : "", s->name,
		       s->where, median, percentile(b, i, 10),
		       percentile(b, i, 90));
		if (s->base != i)
			printf(" %7.3f", median / percentile(b, s->base, 50));
		printf("  %s\n", s->base == i ? s->unit : "");
		group = s->group;
	}
}

static int write_data(const struct bench *b, const char *file)
{
	FILE *f = fopen(file, "w");
	unsigned int i;
	int err;

	if (!f) {
		fprintf(stderr, "bench: cannot write %s: %s\n", file,
			strerror(errno));
		return 1;
	}
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

int main(int argc, char **argv)
{
	static struct bench b = { .rounds = ROUNDS };
	const char *data = NULL;
	unsigned int i;

	for (i = 1; i + 1 < (unsigned int)argc; i += 2) {
		if (!strcmp(argv[i], "--rounds"))
			b.rounds = (unsigned int)strtoul(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--data"))
			data = argv[i + 1];
		else
			break;
	}
	if (i != (unsigned int)argc || !b.rounds || b.rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench [--rounds 1..%u] [--data FILE]\n",
			MAX_ROUNDS);
		return 1;
	}
	b.table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (b.table == MAP_FAILED) {
		fprintf(stderr, "bench: no memory\n");
		return 1;
	}
	ops_add(&b);
	batch_add(&b);
	scan_add(&b);
	for (i = 0; i < b.rounds; i++) {
		ops_round(&b, i);
		batch_round(&b, i);
		scan_round(&b, i);
	}
	ops_end();
	for (i = 0; i < b.nr; i++)
		qsort(b.line[i].v, b.rounds, sizeof(b.line[i].v[0]), compare);
	print(&b);
	return data ? write_data(&b, data) : 0;
}
