// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "hyp/util.h"

struct field {
	const char *name;
	size_t offset;
};

#define FIELD(name, f)                                                         \
	{                                                                      \
		name, offsetof(struct stats, f)                                \
	}
#define MEM_FIELD(f)  FIELD("mem_" #f, mem.f)
#define DISK_FIELD(f) FIELD("disk_" #f, disk.f)

/* Every field of the two structures, once. */
static const struct field summary_fields[] = {
	FIELD("wall_ms", ms),
	FIELD("pauses", pauses),
	FIELD("paused_ms", paused_ms),
	MEM_FIELD(frames),
	MEM_FIELD(resident),
	MEM_FIELD(resident_peak),
	MEM_FIELD(preserved),
	MEM_FIELD(zero),
	MEM_FIELD(limit),
	MEM_FIELD(discarded_unused),
	MEM_FIELD(discarded_volatile),
	MEM_FIELD(discarded_potential),
	MEM_FIELD(discard_lost),
	MEM_FIELD(given_up),
	MEM_FIELD(swapped_out),
	MEM_FIELD(swapped_in),
	MEM_FIELD(swap_out_bytes),
	MEM_FIELD(swap_in_bytes),
	MEM_FIELD(readahead),
	MEM_FIELD(readahead_hits),
	MEM_FIELD(fault_zero),
	MEM_FIELD(fault_preserved),
	MEM_FIELD(fault_stale),
	MEM_FIELD(fault_discard),
	MEM_FIELD(fault_write),
	MEM_FIELD(armed),
	MEM_FIELD(device_fills),
	MEM_FIELD(release_batches),
	MEM_FIELD(busy_waits),
	MEM_FIELD(scans),
	MEM_FIELD(stall_us),
	MEM_FIELD(reclaim_rounds),
	MEM_FIELD(reclaim_urgent),
	MEM_FIELD(limit_waits),
	MEM_FIELD(reclaim_failed),
	MEM_FIELD(probation),
	MEM_FIELD(parked),
	MEM_FIELD(rescued_volatile),
	MEM_FIELD(rescued_stable),
	FIELD("mem_refault_discarded_4m", mem.refault_discarded[0]),
	FIELD("mem_refault_discarded_64m", mem.refault_discarded[1]),
	FIELD("mem_refault_discarded_1g", mem.refault_discarded[2]),
	FIELD("mem_refault_discarded_more", mem.refault_discarded[3]),
	FIELD("mem_refault_swapped_4m", mem.refault_swapped[0]),
	FIELD("mem_refault_swapped_64m", mem.refault_swapped[1]),
	FIELD("mem_refault_swapped_1g", mem.refault_swapped[2]),
	FIELD("mem_refault_swapped_more", mem.refault_swapped[3]),
	DISK_FIELD(reads),
	DISK_FIELD(writes),
	DISK_FIELD(flushes),
	DISK_FIELD(discards),
	DISK_FIELD(zeroes),
	DISK_FIELD(errors),
	DISK_FIELD(read_bytes),
	DISK_FIELD(write_bytes),
	FIELD("entropy_bytes", entropy_bytes),
	FIELD("balloon_target", balloon.target_bytes),
	FIELD("balloon_actual", balloon.actual_bytes),
	FIELD("balloon_inflated", balloon.inflated),
	FIELD("balloon_deflated", balloon.deflated),
	FIELD("balloon_reported", balloon.reported),
};

static const struct field csv_fields[] = {
	FIELD("resident", mem.resident),
	FIELD("preserved", mem.preserved),
	FIELD("limit", mem.limit),
	FIELD("discarded_unused", mem.discarded_unused),
	FIELD("discarded_volatile", mem.discarded_volatile),
	FIELD("discarded_potential", mem.discarded_potential),
	FIELD("discard_faults", mem.fault_discard),
	FIELD("swapped_out", mem.swapped_out),
	FIELD("swapped_in", mem.swapped_in),
	FIELD("disk_read_bytes", disk.read_bytes),
	FIELD("disk_write_bytes", disk.write_bytes),
	FIELD("swap_in_bytes", mem.swap_in_bytes),
	FIELD("swap_out_bytes", mem.swap_out_bytes),
	FIELD("balloon_target", balloon.target_bytes),
	FIELD("balloon_actual", balloon.actual_bytes),
	FIELD("balloon_reported", balloon.reported),
};

/* Columns of struct mem_dist, in the order of its array. */
static const char *const dist_names[4][3] = {
	{ "Sr", "Sp", "Sz" },
	{ "Ur", "Up", "Uz" },
	{ "Vr", "Vp", "Vz" },
	{ "Pr", "Pp", "Pz" },
};

static uint64_t value(const struct stats *s, const struct field *field)
{
	return *(const uint64_t *)((const char *)s + field->offset);
}

static int finish(FILE *file)
{
	return fflush(file) || ferror(file) ? -EIO : 0;
}

int stats_csv_header(FILE *file)
{
	unsigned int usage, content, i;

	fputs("ms", file);
	for (usage = 0; usage < 4; usage++)
		for (content = 0; content < 3; content++)
			fprintf(file, ",%s", dist_names[usage][content]);
	for (i = 0; i < ARRAY_SIZE(csv_fields); i++)
		fprintf(file, ",%s", csv_fields[i].name);
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		fprintf(file, ",%s", vcpu_count_names[i]);
	fputc('\n', file);
	return finish(file);
}

int stats_csv_line(FILE *file, const struct stats *s)
{
	unsigned int usage, content, i;

	fprintf(file, "%" PRIu64, s->ms);
	for (usage = 0; usage < 4; usage++)
		for (content = 0; content < 3; content++)
			fprintf(file, ",%" PRIu64, s->dist.n[usage][content]);
	for (i = 0; i < ARRAY_SIZE(csv_fields); i++)
		fprintf(file, ",%" PRIu64, value(s, &csv_fields[i]));
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		fprintf(file, ",%" PRIu64, s->counts[i]);
	fputc('\n', file);
	return finish(file);
}

void stats_each(const struct stats *s,
		void (*fn)(void *ctx, const char *name, uint64_t value),
		void *ctx)
{
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(summary_fields); i++)
		fn(ctx, summary_fields[i].name, value(s, &summary_fields[i]));
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		fn(ctx, vcpu_count_names[i], s->counts[i]);
	for (i = 0; i < KVMSTATS_NR; i++) {
		snprintf(name, sizeof(name), "kvm_%s", kvmstats_names[i]);
		fn(ctx, name, s->kvm[i]);
	}
	/* What the guest has said of itself, if it did. */
	for (i = 0; i < BALLOON_NR_STATS; i++) {
		if (!(s->balloon.stats_valid & 1u << i))
			continue;
		snprintf(name, sizeof(name), "guest_%s", balloon_stat_names[i]);
		fn(ctx, name, s->balloon.stats[i]);
	}
}

/* For --summary; hyp stat has all buckets. */
static void print_waits(FILE *file,
			const struct mem_latency waits[MEM_NR_WAITS])
{
	unsigned int i;

	for (i = 0; i < MEM_NR_WAITS; i++)
		fprintf(file,
			"wait_%s_count %" PRIu64 "\nwait_%s_ns %" PRIu64
			"\nwait_%s_p50_ns %" PRIu64 "\nwait_%s_p99_ns %" PRIu64
			"\n",
			mem_wait_names[i], waits[i].count, mem_wait_names[i],
			waits[i].sum_ns, mem_wait_names[i],
			mem_latency_quantile(&waits[i], 500), mem_wait_names[i],
			mem_latency_quantile(&waits[i], 990));
}

static void print_pair(void *ctx, const char *name, uint64_t value)
{
	fprintf(ctx, "%s %" PRIu64 "\n", name, value);
}

int stats_summary(FILE *file, const struct stats *s, int exit_code)
{
	unsigned int usage, content;

	fprintf(file, "exit_code %d\n", exit_code);
	stats_each(s, print_pair, file);
	for (usage = 0; usage < 4; usage++)
		for (content = 0; content < 3; content++)
			fprintf(file, "frames_%s %" PRIu64 "\n",
				dist_names[usage][content],
				s->dist.n[usage][content]);
	print_waits(file, s->waits);
	return finish(file);
}

void stats_mark(unsigned int number, const struct stats *s)
{
	char line[1024];
	size_t at = 0;
	unsigned int i;

	/* 19 pairs of a name that is known and at most 20 digits: they fit. */
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at,
				       " %s %" PRIu64, vcpu_count_names[i],
				       s->counts[i]);
	for (i = 0; i < KVMSTATS_NR; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at,
				       " kvm_%s %" PRIu64, kvmstats_names[i],
				       s->kvm[i]);
	log_line("mark %u%s", number, line);
}

void stats_print(const struct stats *s)
{
	static const char *const names[] = { "stable", "unused", "volatile",
					     "potential" };
	unsigned int i;

	log_line("%" PRIu64 " ms: resident %" PRIu64 " of limit %" PRIu64
		 " frames, preserved %" PRIu64,
		 s->ms, s->mem.resident, s->mem.limit, s->mem.preserved);
	log_line("%-10s %10s %10s %10s", "", "resident", "preserved", "zero");
	for (i = 0; i < 4; i++)
		log_line("%-10s %10" PRIu64 " %10" PRIu64 " %10" PRIu64,
			 names[i], s->dist.n[i][0], s->dist.n[i][1],
			 s->dist.n[i][2]);
	log_line("discarded %" PRIu64 " unused, %" PRIu64 " volatile, %" PRIu64
		 " potentially volatile; discard faults %" PRIu64
		 "; swapped out %" PRIu64 ", in %" PRIu64,
		 s->mem.discarded_unused, s->mem.discarded_volatile,
		 s->mem.discarded_potential, s->counts[VCPU_INJECTED],
		 s->mem.swapped_out, s->mem.swapped_in);
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		log_line("%s %" PRIu64, vcpu_count_names[i], s->counts[i]);
}
