// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/prom.h"

#include <string.h>

#include "hyp/cli/prom_text.h"
#include "hyp/util.h"

enum unit { ONE, PAGES, MS, US }; /* pages become bytes, times seconds */

struct metric {
	const char *counter; /* of hyp/stats.h */
	enum prom_type type;
	enum unit unit;
	const char *name, *help;
};

static const struct metric metrics[] = {
	{ "wall_ms", GAUGE, MS, "uptime_seconds",
	  "Time since the VM started." },
	{ "pauses", COUNTER, ONE, "pauses_total", "Times it was paused." },
	{ "paused_ms", COUNTER, MS, "paused_seconds_total", "Time it stood." },
	{ "mem_frames", GAUGE, PAGES, "memory_bytes", "Memory of the guest." },
	{ "mem_resident", GAUGE, PAGES, "resident_bytes",
	  "Memory of the guest that is resident." },
	{ "mem_resident_peak", GAUGE, PAGES, "resident_peak_bytes",
	  "The most that was resident." },
	{ "mem_preserved", GAUGE, PAGES, "preserved_bytes",
	  "Memory that is paged out." },
	{ "mem_zero", GAUGE, PAGES, "zero_bytes", "Memory without backing." },
	{ "mem_limit", GAUGE, PAGES, "limit_bytes",
	  "Limit of resident memory; 0: none." },
	{ "mem_discarded_unused", COUNTER, ONE, "discarded_unused_pages_total",
	  "Unused pages taken from the guest." },
	{ "mem_discarded_volatile", COUNTER, ONE,
	  "discarded_volatile_pages_total",
	  "Volatile pages taken from the guest." },
	{ "mem_discarded_potential", COUNTER, ONE,
	  "discarded_potential_pages_total",
	  "Clean, potentially volatile pages taken from the guest." },
	{ "mem_discard_lost", COUNTER, ONE, "discards_lost_total",
	  "Discards that the guest forestalled." },
	{ "mem_given_up", COUNTER, ONE, "given_up_pages_total",
	  "Pages that the guest gave up through the balloon." },
	{ "mem_swapped_out", COUNTER, ONE, "swapped_out_pages_total",
	  "Pages written to the swap file." },
	{ "mem_swapped_in", COUNTER, ONE, "swapped_in_pages_total",
	  "Pages read from the swap file." },
	{ "mem_swap_out_bytes", COUNTER, ONE, "swap_written_bytes_total",
	  "Bytes written to the swap file." },
	{ "mem_swap_in_bytes", COUNTER, ONE, "swap_read_bytes_total",
	  "Bytes read from the swap file." },
	{ "mem_readahead", COUNTER, ONE, "readahead_pages_total",
	  "Pages read when nobody waited for them." },
	{ "mem_readahead_hits", COUNTER, ONE, "readahead_hit_pages_total",
	  "Pages read ahead that were used, by a sample." },
	{ "mem_fault_zero", COUNTER, ONE, "zero_faults_total",
	  "Faults on pages without backing." },
	{ "mem_fault_preserved", COUNTER, ONE, "preserved_faults_total",
	  "Faults on pages that were paged out." },
	{ "mem_fault_stale", COUNTER, ONE, "stale_faults_total",
	  "Faults on pages that had come meanwhile." },
	{ "mem_fault_discard", COUNTER, ONE, "discard_faults_total",
	  "Accesses of the guest to pages that were discarded." },
	{ "mem_fault_write", COUNTER, ONE, "write_faults_total",
	  "Writes that found a page protected." },
	{ "mem_armed", COUNTER, ONE, "armed_pages_total",
	  "Pages whose next write is to be noticed." },
	{ "mem_device_fills", COUNTER, ONE, "device_filled_pages_total",
	  "Pages filled for an access of a device." },
	{ "mem_release_batches", COUNTER, ONE, "release_batches_total",
	  "Batches of pages released." },
	{ "mem_busy_waits", COUNTER, ONE, "busy_waits_total",
	  "Waits of the guest for a page." },
	{ "mem_scans", COUNTER, ONE, "reclaim_scans_total",
	  "Scans of memory by reclaim." },
	{ "mem_stall_us", COUNTER, US, "stall_seconds_total",
	  "Time that accesses of the guest waited for hyp." },
	{ "mem_reclaim_rounds", COUNTER, ONE, "reclaim_rounds_total",
	  "Rounds of reclaim." },
	{ "mem_reclaim_urgent", COUNTER, ONE, "reclaim_urgent_rounds_total",
	  "Rounds of reclaim that began above the limit or when somebody waited." },
	{ "mem_limit_waits", COUNTER, ONE, "limit_waits_total",
	  "Waits for room below the limit." },
	{ "mem_reclaim_failed", COUNTER, ONE, "reclaim_failed_total",
	  "Pages that were in use elsewhere or could not be written." },
	{ "mem_probation", GAUGE, PAGES, "probation_bytes",
	  "Resident memory whose next use is to be noticed." },
	{ "mem_parked", COUNTER, ONE, "parked_pages_total",
	  "Pages put into probation." },
	{ "mem_rescued_volatile", COUNTER, ONE, "rescued_volatile_pages_total",
	  "Volatile pages that were used in probation." },
	{ "mem_rescued_stable", COUNTER, ONE, "rescued_stable_pages_total",
	  "Stable pages that were used in probation." },
	{ "mem_refault_discarded_4m", COUNTER, ONE,
	  "refaults_discarded_4m_total",
	  "Discarded pages wanted when 4 MiB or less had gone." },
	{ "mem_refault_discarded_64m", COUNTER, ONE,
	  "refaults_discarded_64m_total",
	  "Discarded pages wanted when 64 MiB or less, and more than 4 MiB had gone." },
	{ "mem_refault_discarded_1g", COUNTER, ONE,
	  "refaults_discarded_1g_total",
	  "Discarded pages wanted when 1 GiB or less, and more than 64 MiB had gone." },
	{ "mem_refault_discarded_more", COUNTER, ONE,
	  "refaults_discarded_more_total",
	  "Discarded pages wanted when more than 1 GiB had gone." },
	{ "mem_refault_swapped_4m", COUNTER, ONE, "refaults_swapped_4m_total",
	  "Swapped pages wanted when 4 MiB or less had gone." },
	{ "mem_refault_swapped_64m", COUNTER, ONE, "refaults_swapped_64m_total",
	  "Swapped pages wanted when 64 MiB or less, and more than 4 MiB had gone." },
	{ "mem_refault_swapped_1g", COUNTER, ONE, "refaults_swapped_1g_total",
	  "Swapped pages wanted when 1 GiB or less, and more than 64 MiB had gone." },
	{ "mem_refault_swapped_more", COUNTER, ONE,
	  "refaults_swapped_more_total",
	  "Swapped pages wanted when more than 1 GiB had gone." },
	{ "disk_reads", COUNTER, ONE, "disk_reads_total", "Disk reads." },
	{ "disk_writes", COUNTER, ONE, "disk_writes_total", "Disk writes." },
	{ "disk_flushes", COUNTER, ONE, "disk_flushes_total", "Disk flushes." },
	{ "disk_discards", COUNTER, ONE, "disk_discards_total",
	  "Disk discards." },
	{ "disk_zeroes", COUNTER, ONE, "disk_zeroes_total",
	  "Requests to write zeroes to a disk." },
	{ "disk_errors", COUNTER, ONE, "disk_errors_total",
	  "Disk requests that failed." },
	{ "disk_read_bytes", COUNTER, ONE, "disk_read_bytes_total",
	  "Bytes read from disks." },
	{ "disk_write_bytes", COUNTER, ONE, "disk_written_bytes_total",
	  "Bytes written to disks." },
	{ "entropy_bytes", COUNTER, ONE, "entropy_bytes_total",
	  "Random bytes for the guest." },
	{ "balloon_target", GAUGE, ONE, "balloon_target_bytes",
	  "What the balloon is asked to hold." },
	{ "balloon_actual", GAUGE, ONE, "balloon_actual_bytes",
	  "What the balloon says it holds." },
	{ "balloon_inflated", COUNTER, ONE, "balloon_inflated_pages_total",
	  "Pages put into the balloon." },
	{ "balloon_deflated", COUNTER, ONE, "balloon_deflated_pages_total",
	  "Pages taken out of the balloon." },
	{ "balloon_reported", COUNTER, ONE, "balloon_reported_pages_total",
	  "Free pages that the guest reported." },
	{ "exit_io", COUNTER, ONE, "exits_io_total", "Exits for port I/O." },
	{ "exit_mmio", COUNTER, ONE, "exits_mmio_total", "Exits for MMIO." },
	{ "exit_hlt", COUNTER, ONE, "exits_hlt_total", "Exits for HLT." },
	{ "exit_hypercall", COUNTER, ONE, "exits_hypercall_total",
	  "Exits for hypercalls." },
	{ "exit_intr", COUNTER, ONE, "exits_intr_total",
	  "Exits for signals of the host." },
	{ "exit_sigbus", COUNTER, ONE, "exits_sigbus_total",
	  "Exits for pages that are not there." },
	{ "exit_shutdown", COUNTER, ONE, "exits_shutdown_total",
	  "Exits for triple faults." },
	{ "exit_other", COUNTER, ONE, "exits_other_total", "Other exits." },
	{ "emulation_retries", COUNTER, ONE, "emulation_retries_total",
	  "Instructions that KVM could not emulate and that ran again." },
	{ "discard_faults_injected", COUNTER, ONE,
	  "discard_faults_injected_total",
	  "Discard faults injected into the guest." },
	{ "kvm_exits", COUNTER, ONE, "kvm_exits_total", "Exits, by KVM." },
	{ "kvm_io_exits", COUNTER, ONE, "kvm_io_exits_total",
	  "Exits for port I/O, by KVM." },
	{ "kvm_mmio_exits", COUNTER, ONE, "kvm_mmio_exits_total",
	  "Exits for MMIO, by KVM." },
	{ "kvm_halt_exits", COUNTER, ONE, "kvm_halt_exits_total",
	  "Exits for HLT, by KVM." },
	{ "kvm_irq_exits", COUNTER, ONE, "kvm_irq_exits_total",
	  "Exits for interrupts of the host, by KVM." },
	{ "kvm_signal_exits", COUNTER, ONE, "kvm_signal_exits_total",
	  "Exits for signals, by KVM." },
	{ "kvm_hypercalls", COUNTER, ONE, "kvm_hypercalls_total",
	  "Hypercalls, by KVM." },
	{ "kvm_pf_taken", COUNTER, ONE, "kvm_page_faults_total",
	  "Page faults, by KVM." },
	{ "kvm_irq_injections", COUNTER, ONE, "kvm_irq_injections_total",
	  "Interrupts injected, by KVM." },
	{ "guest_swap_in", COUNTER, ONE, "guest_swap_in_bytes_total",
	  "Swapped in, by the guest." },
	{ "guest_swap_out", COUNTER, ONE, "guest_swap_out_bytes_total",
	  "Swapped out, by the guest." },
	{ "guest_major_faults", COUNTER, ONE, "guest_major_faults_total",
	  "Major faults, by the guest." },
	{ "guest_minor_faults", COUNTER, ONE, "guest_minor_faults_total",
	  "Minor faults, by the guest." },
	{ "guest_free_memory", GAUGE, ONE, "guest_free_bytes",
	  "Free memory, by the guest." },
	{ "guest_total_memory", GAUGE, ONE, "guest_total_bytes",
	  "Memory, by the guest." },
	{ "guest_available", GAUGE, ONE, "guest_available_bytes",
	  "Available memory, by the guest." },
	{ "guest_disk_caches", GAUGE, ONE, "guest_disk_cache_bytes",
	  "Page cache, by the guest." },
	{ "guest_htlb_allocs", COUNTER, ONE, "guest_hugetlb_allocs_total",
	  "Huge pages allocated, by the guest." },
	{ "guest_htlb_failures", COUNTER, ONE, "guest_hugetlb_failures_total",
	  "Huge pages it could not allocate, by the guest." },
	{ "guest_oom_kills", COUNTER, ONE, "guest_oom_kills_total",
	  "Processes killed for want of memory, by the guest." },
	{ "guest_alloc_stalls", COUNTER, ONE, "guest_alloc_stalls_total",
	  "Allocations that waited, by the guest." },
	{ "guest_async_scan", COUNTER, ONE, "guest_async_scan_pages_total",
	  "Pages kswapd scanned, by the guest." },
	{ "guest_direct_scan", COUNTER, ONE, "guest_direct_scan_pages_total",
	  "Pages direct reclaim scanned, by the guest." },
	{ "guest_async_reclaim", COUNTER, ONE,
	  "guest_async_reclaim_pages_total",
	  "Pages kswapd reclaimed, by the guest." },
	{ "guest_direct_reclaim", COUNTER, ONE,
	  "guest_direct_reclaim_pages_total",
	  "Pages direct reclaim reclaimed, by the guest." },
};

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool counter(const struct prom_vm *vm, const char *name, enum unit unit,
		    double *out)
{
	double page;

	if (!prom_number(get(get(vm->stat, "counters"), name), out))
		return false;
	if (unit == MS)
		*out /= 1000;
	if (unit == US)
		*out /= 1000000;
	if (unit != PAGES)
		return true;
	if (!prom_number(get(vm->stat, "page_bytes"), &page))
		return false;
	*out *= page;
	return true;
}

/* @more: further labels, with a comma in front, or "". */
static void print_sample(FILE *file, const char *name, const char *vm,
			 const char *more, double value)
{
	fprintf(file, "hyp_%s{", name);
	prom_label(file, "vm", vm);
	fprintf(file, "%s} ", more);
	prom_value(file, value);
}

static void print_metric(FILE *file, const struct prom_vm *vms, size_t nr,
			 const struct metric *m)
{
	bool head = false;
	double value;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!counter(&vms[i], m->counter, m->unit, &value))
			continue;
		if (!head)
			prom_head(file, m->name, m->type, m->help);
		head = true;
		print_sample(file, m->name, vms[i].name, "", value);
	}
}

static void print_state(FILE *file, const struct prom_vm *vms, size_t nr)
{
	const char *state;
	size_t i;

	prom_head(file, "up", GAUGE, "Does the VM answer?");
	for (i = 0; i < nr; i++)
		print_sample(file, "up", vms[i].name, "", vms[i].stat != NULL);
	prom_head(file, "paused", GAUGE, "Does the guest stand?");
	for (i = 0; i < nr; i++) {
		state = cJSON_GetStringValue(get(vms[i].stat, "state"));
		if (state)
			print_sample(file, "paused", vms[i].name, "",
				     strcmp(state, "running") != 0);
	}
}

static void print_frames(FILE *file, const struct prom_vm *vms, size_t nr)
{
	static const struct {
		const char *key, *label;
	} usages[] = { { "S", "stable" },
		       { "U", "unused" },
		       { "V", "volatile" },
		       { "P", "potential" } },
	  contents[] = { { "r", "resident" },
			 { "p", "preserved" },
			 { "z", "zero" } };
	unsigned int u, c;
	char labels[80];
	double value;
	size_t i;

	prom_head(file, "pages", GAUGE,
		  "Pages by what the guest says and the host has done.");
	for (i = 0; i < nr; i++) {
		for (u = 0; u < ARRAY_SIZE(usages); u++) {
			const cJSON *row =
				get(get(vms[i].stat, "frames"), usages[u].key);

			for (c = 0; c < ARRAY_SIZE(contents); c++) {
				if (!prom_number(get(row, contents[c].key),
						 &value))
					continue;
				snprintf(labels, sizeof(labels),
					 ",usage=\"%s\",content=\"%s\"",
					 usages[u].label, contents[c].label);
				print_sample(file, "pages", vms[i].name, labels,
					     value);
			}
		}
	}
}

static bool fit_for_a_name(const char *name)
{
	return *name && strlen(name) < 64 &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")];
}

/* Powers of two, where hyp's buckets end as well: the counts are exact. */
#define FIRST_BOUND_NS 1024.0
#define LAST_BOUND_NS  17179869184.0

/* Waits of at most @bound_ns among all of @kind. */
static double waits_within(const cJSON *kind, double bound_ns)
{
	const cJSON *bucket;
	double bound, n, sum = 0;

	cJSON_ArrayForEach(bucket, get(kind, "buckets"))
	{
		if (prom_number(cJSON_GetArrayItem(bucket, 0), &bound) &&
		    prom_number(cJSON_GetArrayItem(bucket, 1), &n) &&
		    bound <= bound_ns)
			sum += n;
	}
	return sum;
}

static void print_wait(FILE *file, const char *vm, const cJSON *kind)
{
	double count, sum, bound;
	char labels[120];

	if (!prom_number(get(kind, "count"), &count) ||
	    !prom_number(get(kind, "sum_ns"), &sum))
		return;
	for (bound = FIRST_BOUND_NS; bound <= LAST_BOUND_NS; bound *= 2) {
		snprintf(labels, sizeof(labels), ",kind=\"%s\",le=\"%.10g\"",
			 kind->string, bound / 1e9);
		print_sample(file, "wait_seconds_bucket", vm, labels,
			     waits_within(kind, bound));
	}
	snprintf(labels, sizeof(labels), ",kind=\"%s\",le=\"+Inf\"",
		 kind->string);
	print_sample(file, "wait_seconds_bucket", vm, labels, count);
	snprintf(labels, sizeof(labels), ",kind=\"%s\"", kind->string);
	print_sample(file, "wait_seconds_sum", vm, labels, sum / 1e9);
	print_sample(file, "wait_seconds_count", vm, labels, count);
}

static void print_waits(FILE *file, const struct prom_vm *vms, size_t nr)
{
	const cJSON *kind, *waits;
	bool head = false;
	size_t i;

	for (i = 0; i < nr; i++) {
		waits = get(vms[i].stat, "waits");
		cJSON_ArrayForEach(kind, waits)
		{
			if (!kind->string || !fit_for_a_name(kind->string) ||
			    get(waits, kind->string) != kind)
				continue;
			if (!head)
				prom_head(
					file, "wait_seconds", HISTOGRAM,
					"How long accesses of the guest waited for hyp.");
			head = true;
			print_wait(file, vms[i].name, kind);
		}
	}
}

static bool known(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(metrics); i++)
		if (!strcmp(metrics[i].counter, name))
			return true;
	return false;
}

/* With the first VM, and the first item, that has it. */
static void print_others(FILE *file, const struct prom_vm *vms, size_t nr)
{
	const cJSON *item, *counters;
	char name[80];
	size_t i, j;

	for (i = 0; i < nr; i++) {
		counters = get(vms[i].stat, "counters");
		cJSON_ArrayForEach(item, counters)
		{
			struct metric m = { item->string, UNTYPED, ONE, name,
					    "A counter of another version." };

			if (!item->string || known(item->string) ||
			    !fit_for_a_name(item->string) ||
			    get(counters, item->string) != item)
				continue;
			for (j = 0; j < i; j++)
				if (get(get(vms[j].stat, "counters"),
					item->string))
					break;
			snprintf(name, sizeof(name), "other_%s", item->string);
			if (j == i)
				print_metric(file, vms + i, nr - i, &m);
		}
	}
}

void prom_print(FILE *file, const struct prom_vm *vms, size_t nr)
{
	unsigned int i;

	print_state(file, vms, nr);
	print_frames(file, vms, nr);
	for (i = 0; i < ARRAY_SIZE(metrics); i++)
		print_metric(file, vms, nr, &metrics[i]);
	print_waits(file, vms, nr);
	print_others(file, vms, nr);
}
