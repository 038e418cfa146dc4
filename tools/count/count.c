// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plugin for QEMU's TCG: counts the instructions that a guest executes between
 * marks (guest-tests/linux/mark.h), on all its CPUs.
 *
 *	-plugin count.so,out=FILE[,skip=START-END]...[,symbols=FILE,profile=FILE]
 *
 * Each region gives a line "region N INSTRUCTIONS REPETITIONS NOPS" in FILE.  Processors
 * retire a string instruction with a REP prefix once; the emulator executes it once for
 * each repetition, and all but the first are counted apart.  NOPS, which INSTRUCTIONS
 * include, are those of the kernel that static branches are made of.  Instructions at the
 * addresses of skip=, of the kernel, count nowhere: what simulates a host, say.
 *
 * With symbols (lines "address type name", sorted by address: a System.map), profile=
 * has lines "N FUNCTION INSTRUCTIONS" for each region.
 *
 * Needs one thread for all CPUs (-accel tcg,thread=single): the counters are plain.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-tests/linux/mark.h"
#include "tools/count/qemu-plugin.h"

#define MAX_SKIP    64u
#define MAX_SYMBOLS 400000u
#define KERNEL	    (1ull << 63)

int qemu_plugin_version = QEMU_PLUGIN_VERSION;

struct symbol {
	uint64_t start;
	uint64_t steps;
	uint64_t begin; /* of the region */
	uint64_t repeats;
	char name[64];
};

static struct {
	uint64_t start, end;
} skips[MAX_SKIP];
static unsigned int nr_skips;

static FILE *out, *profile;
static struct symbol user = { .name = "(user)" };
static struct symbol *symbols;
static size_t nr_symbols;

/* Executed by the emulator, and how many of these were repetitions. */
static uint64_t steps, repeats, nops;
static uint64_t begin_steps, begin_repeats, begin_nops;
static unsigned int region;
static bool in_region;

/* The last string instruction executed, and when. */
static uint64_t rep_vaddr, rep_steps;

static bool is_skipped(uint64_t vaddr)
{
	unsigned int i;

	for (i = 0; i < nr_skips; i++)
		if (vaddr >= skips[i].start && vaddr < skips[i].end)
			return true;
	return false;
}

static struct symbol *find_symbol(uint64_t vaddr)
{
	size_t low = 0, high = nr_symbols;

	if (!(vaddr & KERNEL) || !nr_symbols || vaddr < symbols[0].start)
		return &user;
	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (symbols[mid].start <= vaddr)
			low = mid;
		else
			high = mid;
	}
	return &symbols[low];
}

static void profile_begin(struct symbol *symbol)
{
	symbol->begin = symbol->steps - symbol->repeats;
}

static void profile_end(const struct symbol *symbol)
{
	uint64_t insns = symbol->steps - symbol->repeats - symbol->begin;

	if (insns)
		fprintf(profile, "%u %s %" PRIu64 "\n", region, symbol->name,
			insns);
}

static void mark_begin(unsigned int cpu, void *data)
{
	size_t i;

	(void)cpu;
	(void)data;
	in_region = true;
	begin_steps = steps;
	begin_repeats = repeats;
	begin_nops = nops;
	if (!profile)
		return;
	profile_begin(&user);
	for (i = 0; i < nr_symbols; i++)
		profile_begin(&symbols[i]);
}

static void mark_end(unsigned int cpu, void *data)
{
	uint64_t reps = repeats - begin_repeats;
	size_t i;

	(void)cpu;
	(void)data;
	if (!in_region)
		return;
	in_region = false;
	fprintf(out, "region %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", region,
		steps - begin_steps - reps, reps, nops - begin_nops);
	fflush(out);
	if (profile) {
		profile_end(&user);
		for (i = 0; i < nr_symbols; i++)
			profile_end(&symbols[i]);
		fflush(profile);
	}
	region++;
}

/* The same instruction twice in a row is a repetition. */
static void rep_executed(unsigned int cpu, void *data)
{
	uint64_t vaddr = (uintptr_t)data;

	(void)cpu;
	if (vaddr == rep_vaddr && steps == rep_steps + 1) {
		repeats++;
		find_symbol(vaddr)->repeats++;
	}
	rep_vaddr = vaddr;
	rep_steps = steps;
}

/* REP or REPNE, other prefixes, and MOVS, CMPS, STOS, LODS or SCAS. */
static bool is_rep(const uint8_t *code, size_t size)
{
	bool rep = false;
	size_t i;

	for (i = 0; i < size; i++) {
		uint8_t byte = code[i];

		if (byte == 0xf2 || byte == 0xf3)
			rep = true;
		else if (byte != 0x66 && byte != 0x67 && (byte & 0xf0) != 0x40)
			return rep && byte >= 0xa4 && byte <= 0xaf &&
			       byte != 0xa8 && byte != 0xa9;
	}
	return false;
}

/* What the kernel writes where a static branch is not taken: nopl, or xchg %ax,%ax. */
static bool is_static_branch(const uint8_t *code, size_t size)
{
	return (size == 5 && !memcmp(code, "\x0f\x1f\x44\0", 5)) ||
	       (size == 2 && !memcmp(code, "\x66\x90", 2));
}

static uint32_t mark_of(const uint8_t *code, size_t size)
{
	uint32_t nopl = 0, mark;

	if (size != 7)
		return 0;
	memcpy(&nopl, code, 3);
	memcpy(&mark, code + 3, sizeof(mark));
	return nopl == COUNT_NOPL ? mark : 0;
}

static void translate_insn(struct qemu_plugin_insn *insn)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);
	uint64_t vaddr = qemu_plugin_insn_vaddr(insn);
	uint32_t mark = mark_of(code, size);

	if (mark == COUNT_MARK)
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, mark_begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
	else if (mark == (COUNT_MARK | COUNT_MARK_END))
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, mark_end, QEMU_PLUGIN_CB_NO_REGS, NULL);
	if (is_skipped(vaddr))
		return;
	if (is_rep(code, size))
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, rep_executed, QEMU_PLUGIN_CB_NO_REGS,
			(void *)(uintptr_t)vaddr);
	qemu_plugin_register_vcpu_insn_exec_inline(
		insn, QEMU_PLUGIN_INLINE_ADD_U64, &steps, 1);
	if ((vaddr & KERNEL) && is_static_branch(code, size))
		qemu_plugin_register_vcpu_insn_exec_inline(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, &nops, 1);
	if (profile)
		qemu_plugin_register_vcpu_insn_exec_inline(
			insn, QEMU_PLUGIN_INLINE_ADD_U64,
			&find_symbol(vaddr)->steps, 1);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < nr; i++)
		translate_insn(qemu_plugin_tb_get_insn(tb, i));
}

static int read_symbols(const char *name)
{
	FILE *file = fopen(name, "r");
	char type;

	if (!file)
		return -1;
	symbols = calloc(MAX_SYMBOLS, sizeof(*symbols));
	while (symbols && nr_symbols < MAX_SYMBOLS &&
	       fscanf(file, "%" SCNx64 " %c %63s%*[^\n]",
		      &symbols[nr_symbols].start, &type,
		      symbols[nr_symbols].name) == 3)
		/* Those of per-CPU variables are not addresses. */
		if (symbols[nr_symbols].start & KERNEL)
			nr_symbols++;
	fclose(file);
	return nr_symbols ? 0 : -1;
}

static int read_option(const char *option)
{
	if (!strncmp(option, "out=", 4)) {
		out = fopen(option + 4, "w");
		return out ? 0 : -1;
	}
	if (!strncmp(option, "profile=", 8)) {
		profile = fopen(option + 8, "w");
		return profile ? 0 : -1;
	}
	if (!strncmp(option, "symbols=", 8))
		return read_symbols(option + 8);
	if (!strncmp(option, "skip=", 5) && nr_skips < MAX_SKIP &&
	    sscanf(option + 5, "%" SCNx64 "-%" SCNx64, &skips[nr_skips].start,
		   &skips[nr_skips].end) == 2) {
		nr_skips++;
		return 0;
	}
	return -1;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
			char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (read_option(argv[i])) {
			fprintf(stderr, "count: cannot use %s\n", argv[i]);
			return -1;
		}
	}
	if (!out || (profile && !symbols)) {
		fputs("count: out=FILE, and symbols= for profile=, are needed\n",
		      stderr);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
