// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

struct field {
	const char *name;
	const char *text; /* NULL: not in the table */
	uint64_t (*get)(const struct sim_result *r);
};

#define GET(name, value)                                                       \
	static uint64_t get_##name(const struct sim_result *r)                 \
	{                                                                      \
		return value;                                                  \
	}
GET(events, r->events)
GET(state_ops, r->state_ops)
GET(reads, r->reads)
GET(writes, r->writes)
GET(refaults, r->refaults_touch + r->refaults_op)
GET(refaults_touch, r->refaults_touch)
GET(refaults_op, r->refaults_op)
GET(discarded_unused, r->mem.discarded_unused)
GET(discarded_volatile, r->mem.discarded_volatile)
GET(discard_lost, r->mem.discard_lost)
GET(swapped_out, r->mem.swapped_out)
GET(swapped_in, r->mem.swapped_in)
GET(fault_zero, r->mem.fault_zero)
GET(fault_preserved, r->mem.fault_preserved)
GET(fault_stale, r->mem.fault_stale)
GET(fault_discard, r->mem.fault_discard)
GET(busy_waits, r->mem.busy_waits)
GET(scans, r->mem.scans)
GET(parked, r->mem.parked)
GET(rescued, r->mem.rescued_volatile + r->mem.rescued_stable)
GET(resident_peak, r->mem.resident_peak)
/* What the guest reads again, and what goes to and comes from the swap file. */
GET(host_io_pages,
    r->refaults_touch + r->refaults_op +
	    (r->mem.swap_out_bytes + r->mem.swap_in_bytes) / MEM_PAGE_SIZE)
GET(failures, r->failures)

#define FIELD(name, text)                                                      \
	{                                                                      \
#name, text, get_##name                                        \
	}
static const struct field fields[] = {
	FIELD(events, NULL),
	FIELD(state_ops, NULL),
	FIELD(reads, "reads"),
	FIELD(writes, "writes"),
	FIELD(refaults, "refaults"),
	FIELD(refaults_touch, "  found by a discard fault"),
	FIELD(refaults_op, "  found by a state operation"),
	FIELD(discarded_unused, "discarded unused"),
	FIELD(discarded_volatile, "discarded volatile"),
	FIELD(discard_lost, NULL),
	FIELD(swapped_out, "swapped out"),
	FIELD(swapped_in, "swapped in"),
	FIELD(fault_zero, "faults: fresh page"),
	FIELD(fault_preserved, "faults: swapped out"),
	FIELD(fault_stale, "faults: stale marker"),
	FIELD(fault_discard, "faults: discarded"),
	FIELD(busy_waits, "waits for a release"),
	FIELD(scans, NULL),
	FIELD(parked, "in probation"),
	FIELD(rescued, "  and rescued"),
	FIELD(resident_peak, "most resident"),
	FIELD(host_io_pages, "host I/O"),
	FIELD(failures, "failures"),
};

struct spread {
	uint64_t total, median, p10, p90;
};

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int spread_of(const struct field *f, const struct sim_result *r,
		     unsigned int nr, struct spread *s)
{
	uint64_t *v = calloc(nr, sizeof(*v));
	unsigned int i;

	if (!v)
		return -ENOMEM;
	s->total = 0;
	for (i = 0; i < nr; i++) {
		v[i] = f->get(&r[i]);
		s->total += v[i];
	}
	qsort(v, nr, sizeof(*v), cmp_u64);
	s->median = v[nr / 2];
	s->p10 = v[nr / 10];
	s->p90 = v[nr - 1 - nr / 10];
	free(v);
	return 0;
}

static int finish(FILE *file)
{
	return fflush(file) || ferror(file) ? -EIO : 0;
}

static void text_side(FILE *file, const struct spread *s)
{
	fprintf(file, " %11" PRIu64 " %8" PRIu64 " [%7" PRIu64 " %7" PRIu64 "]",
		s->total, s->median, s->p10, s->p90);
}

static void text_head(FILE *file, const char *side)
{
	fprintf(file, " %11s %8s %17s", side, "median", "[p10     p90]");
}

int sim_report_text(FILE *file, const struct sim_report *r)
{
	struct spread on = { 0 }, off = { 0 };
	size_t i;

	fprintf(file,
		"%s: %u guests of %" PRIu64 " MiB, limit %" PRIu64
		" MiB; in pages, all guests and one guest\n%-28s",
		r->trace_name, r->guests, r->nr_frames * MEM_PAGE_SIZE >> 20,
		r->limit_frames * MEM_PAGE_SIZE >> 20, "");
	if (r->hints)
		text_head(file, "hints");
	if (r->no_hints)
		text_head(file, "no hints");
	fprintf(file, "%s\n", r->hints && r->no_hints ? "   ratio" : "");
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];

		if (!f->text)
			continue;
		if ((r->hints && spread_of(f, r->hints, r->guests, &on)) ||
		    (r->no_hints && spread_of(f, r->no_hints, r->guests, &off)))
			return -ENOMEM;
		fprintf(file, "%-28s", f->text);
		if (r->hints)
			text_side(file, &on);
		if (r->no_hints)
			text_side(file, &off);
		if (r->hints && r->no_hints && off.total)
			fprintf(file, " %7.3f",
				(double)on.total / (double)off.total);
		fputc('\n', file);
	}
	return finish(file);
}

static int tsv_side(FILE *file, const struct sim_report *r, const char *side,
		    const struct sim_result *results)
{
	struct spread s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (spread_of(&fields[i], results, r->guests, &s))
			return -ENOMEM;
		fprintf(file,
			"%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
			"\t%" PRIu64 "\n",
			r->trace_name, side, fields[i].name, s.total, s.median,
			s.p10, s.p90);
	}
	return finish(file);
}

int sim_report_tsv(FILE *file, const struct sim_report *r)
{
	int err = 0;

	if (r->hints)
		err = tsv_side(file, r, "hints", r->hints);
	if (!err && r->no_hints)
		err = tsv_side(file, r, "no-hints", r->no_hints);
	return err;
}

static void json_guest(FILE *file, const struct sim_result *r)
{
	const char *sep = "{";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++, sep = ", ")
		fprintf(file, "%s\"%s\": %" PRIu64, sep, fields[i].name,
			fields[i].get(r));
	fputc('}', file);
}

static void json_side(FILE *file, const struct sim_report *r, const char *side,
		      const struct sim_result *results)
{
	struct spread s;
	unsigned int i;
	size_t k;

	fprintf(file, ",\n \"%s\": {\n  \"total\": ", side);
	for (k = 0; k < ARRAY_SIZE(fields); k++) {
		if (spread_of(&fields[k], results, r->guests, &s))
			return;
		fprintf(file, "%s\"%s\": %" PRIu64, k ? ", " : "{",
			fields[k].name, s.total);
	}
	fputs("},\n  \"guests\": [", file);
	for (i = 0; i < r->guests; i++) {
		fputs(i ? ",\n   " : "\n   ", file);
		json_guest(file, &results[i]);
	}
	fputs("]}", file);
}

/* The name is a file's: it may have anything in it. */
static void json_string(FILE *file, const char *s)
{
	fputc('"', file);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(file, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(file, "\\u%04x", *s);
		else
			fputc(*s, file);
	}
	fputc('"', file);
}

int sim_report_json(FILE *file, const struct sim_report *r)
{
	fputs("{\"trace\": ", file);
	json_string(file, r->trace_name);
	fprintf(file,
		",\n \"nr_guests\": %u, \"frames\": %" PRIu64
		", \"limit_frames\": %" PRIu64,
		r->guests, r->nr_frames, r->limit_frames);
	if (r->hints)
		json_side(file, r, "hints", r->hints);
	if (r->no_hints)
		json_side(file, r, "no_hints", r->no_hints);
	fputs("}\n", file);
	return finish(file);
}

uint64_t sim_report_failures(const struct sim_report *r)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < r->guests; i++) {
		n += r->hints ? r->hints[i].failures : 0;
		n += r->no_hints ? r->no_hints[i].failures : 0;
	}
	return n;
}
