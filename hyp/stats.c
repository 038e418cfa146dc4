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

#define MEM_FIELD(f)	{ "mem_" #f, offsetof(struct stats, mem.f) }
#define DISK_FIELD(f)	{ "disk_" #f, offsetof(struct stats, disk.f) }

/* Every field of the two structures, once. */
static const struct field summary_fields[] = {
	{ "wall_ms", offsetof(struct stats, ms) },
	MEM_FIELD(frames), MEM_FIELD(resident), MEM_FIELD(resident_peak),
	MEM_FIELD(preserved), MEM_FIELD(limit), MEM_FIELD(discarded_unused),
	MEM_FIELD(discarded_volatile), MEM_FIELD(discard_lost),
	MEM_FIELD(swapped_out), MEM_FIELD(swapped_in),
	MEM_FIELD(swap_out_bytes), MEM_FIELD(swap_in_bytes),
	MEM_FIELD(fault_zero), MEM_FIELD(fault_preserved),
	MEM_FIELD(fault_stale), MEM_FIELD(fault_discard),
	MEM_FIELD(device_fills), MEM_FIELD(release_batches),
	MEM_FIELD(busy_waits), MEM_FIELD(scans),
	DISK_FIELD(reads), DISK_FIELD(writes), DISK_FIELD(flushes),
	DISK_FIELD(errors), DISK_FIELD(read_bytes), DISK_FIELD(write_bytes),
};

/* The header below has the same order. */
static const size_t csv_fields[] = {
	offsetof(struct stats, mem.resident),
	offsetof(struct stats, mem.preserved),
	offsetof(struct stats, mem.limit),
	offsetof(struct stats, mem.discarded_unused),
	offsetof(struct stats, mem.discarded_volatile),
	offsetof(struct stats, mem.fault_discard),
	offsetof(struct stats, mem.swapped_out),
	offsetof(struct stats, mem.swapped_in),
	offsetof(struct stats, disk.read_bytes),
	offsetof(struct stats, disk.write_bytes),
	offsetof(struct stats, mem.swap_in_bytes),
	offsetof(struct stats, mem.swap_out_bytes),
};

static const char csv_header[] =
	"ms,Sr,Sp,Sz,Ur,Up,Uz,Vr,Vp,Vz,Pr,Pp,Pz,"
	"resident,preserved,limit,discarded_unused,discarded_volatile,"
	"discard_faults,swapped_out,swapped_in,disk_read_bytes,"
	"disk_write_bytes,swap_in_bytes,swap_out_bytes";

static uint64_t value(const struct stats *s, size_t offset)
{
	return *(const uint64_t *)((const char *)s + offset);
}

int stats_csv_header(FILE *file)
{
	unsigned int i;

	fputs(csv_header, file);
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		fprintf(file, ",%s", vcpu_count_names[i]);
	fputc('\n', file);
	return fflush(file) || ferror(file) ? -EIO : 0;
}

int stats_csv_line(FILE *file, const struct stats *s)
{
	unsigned int usage, content, i;

	fprintf(file, "%" PRIu64, s->ms);
	for (usage = 0; usage < 4; usage++)
		for (content = 0; content < 3; content++)
			fprintf(file, ",%" PRIu64, s->dist.n[usage][content]);
	for (i = 0; i < ARRAY_SIZE(csv_fields); i++)
		fprintf(file, ",%" PRIu64, value(s, csv_fields[i]));
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		fprintf(file, ",%" PRIu64, s->counts[i]);
	fputc('\n', file);
	return fflush(file) || ferror(file) ? -EIO : 0;
}

int stats_summary(FILE *file, const struct stats *s, int exit_code)
{
	static const char usages[] = "SUVP", contents[] = "rpz";
	unsigned int usage, content, i;

	fprintf(file, "exit_code %d\n", exit_code);
	for (i = 0; i < ARRAY_SIZE(summary_fields); i++)
		fprintf(file, "%s %" PRIu64 "\n", summary_fields[i].name,
			value(s, summary_fields[i].offset));
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		fprintf(file, "%s %" PRIu64 "\n", vcpu_count_names[i],
			s->counts[i]);
	for (usage = 0; usage < 4; usage++)
		for (content = 0; content < 3; content++)
			fprintf(file, "frames_%c%c %" PRIu64 "\n",
				usages[usage], contents[content],
				s->dist.n[usage][content]);
	return fflush(file) || ferror(file) ? -EIO : 0;
}

void stats_print(const struct stats *s)
{
	static const char *const names[] = { "stable", "unused", "volatile",
					     "potential" };
	unsigned int i;

	log_line("%" PRIu64 " ms: resident %" PRIu64 " of limit %" PRIu64
		 " frames, preserved %" PRIu64, s->ms, s->mem.resident,
		 s->mem.limit, s->mem.preserved);
	log_line("%-10s %10s %10s %10s", "", "resident", "preserved", "zero");
	for (i = 0; i < 4; i++)
		log_line("%-10s %10" PRIu64 " %10" PRIu64 " %10" PRIu64,
			 names[i], s->dist.n[i][0], s->dist.n[i][1],
			 s->dist.n[i][2]);
	log_line("discarded %" PRIu64 " unused, %" PRIu64
		 " volatile; discard faults %" PRIu64 "; swapped out %" PRIu64
		 ", in %" PRIu64, s->mem.discarded_unused,
		 s->mem.discarded_volatile, s->counts[VCPU_INJECTED],
		 s->mem.swapped_out, s->mem.swapped_in);
	for (i = 0; i < VCPU_NR_COUNTS; i++)
		log_line("%s %" PRIu64, vcpu_count_names[i], s->counts[i]);
}
