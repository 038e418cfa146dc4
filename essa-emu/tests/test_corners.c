// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every interleaving, as in test_interleave, for what its catalogue leaves out:
 * frames behind writable mappings that become Potentially Volatile; a kernel
 * that ends and another one that begins; a guest that scribbles on its table.
 * Each rule is broken once to see that its absence is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "essa-emu/emu/explore.h"

/* One thread only: nothing for the thread sanitizer, which takes minutes. */
#ifdef __SANITIZE_THREAD__
#define STRIDE 37u
#else
#define STRIDE 1u
#endif

#define MAX_LIST       16u
#define HOSTILE_ROUNDS 8u

/**
 * struct sweep - cases that go with each other
 * @first:   program of the first guest CPU
 * @second:  those of the second one, each in turn; NULL at the end
 * @start:   states of the first frame, each in turn
 * @nr_start: their number; 0: all of the catalogue
 * @hostile: the first CPU scribbles; the second one works on the same frame or
 *	     on the other one
 */
struct sweep {
	const char *first;
	const char *second[MAX_LIST + 1];
	enum emu_start start[3];
	unsigned int nr_start;
	bool hostile;
};

/* Nobody makes a frame Volatile that is mapped writable. */
static const struct sweep potential = {
	.first = "arm",
	.second = { "mapped write", "mapped read", "lookup", "if kept", "write",
		    "zap", "use, zap", "map", "evict", "arm", "alloc",
		    "read in" },
	.start = { START_STABLE, START_MAPPED, START_ARMED },
	.nr_start = 3,
};

static const struct sweep restart = {
	.first = "restart",
	.second = { "alloc", "read in", "lookup", "if kept", "write",
		    "volatile", "potential", "mapped read", "map", "zap",
		    "use, zap", "evict", "batch", "wait" },
};

static const struct sweep scribble = {
	.first = "scribble",
	.second = { "alloc", "read in", "lookup", "if kept", "write",
		    "volatile", "potential", "mapped read", "map", "zap",
		    "use, zap", "evict", "wait" },
	.hostile = true,
};

struct cursor {
	unsigned int second, host, start, where, round, nr;
};

static unsigned int guest(const char *name)
{
	unsigned int i = emu_find_program(emu_guest_programs,
					  emu_nr_all_guest_programs, name);

	assert_true(i < emu_nr_all_guest_programs);
	return i;
}

static bool one_further(const struct sweep *sw, struct cursor *at)
{
	at->nr++;
	if (++at->start < (sw->nr_start ? sw->nr_start : EMU_NR_STARTS))
		return true;
	at->start = 0;
	if (++at->host < emu_nr_host_programs)
		return true;
	at->host = 0;
	if (sw->hostile && ++at->where < 2)
		return true;
	at->where = 0;
	/* Several times, with other bytes. */
	if (sw->hostile && ++at->round < HOSTILE_ROUNDS)
		return true;
	at->round = 0;
	return sw->second[++at->second];
}

static bool next_case(const struct sweep *sw, struct cursor *at)
{
	unsigned int i;

	for (i = 0; i < STRIDE; i++)
		if (!one_further(sw, at))
			return false;
	return true;
}

static struct emu_case case_at(const struct sweep *sw, const struct cursor *at,
			       uint32_t broken)
{
	return (struct emu_case){
		.guest = { guest(sw->first), guest(sw->second[at->second]) },
		.host = at->host,
		.start = { sw->nr_start ? sw->start[at->start] : at->start,
			   START_FREE },
		.broken = broken,
		.lenient = !!broken,
		.second = at->where,
		.hostile = sw->hostile,
		/* Odd, so that each case has another one of the 256. */
		.scribble = (uint8_t)(at->nr * 91u),
	};
}

static void print_case(const struct emu_case *ec)
{
	printf("# \"%s\", \"%s\" on frame %u, host \"%s\", start %u, scribble %02x\n",
	       emu_guest_programs[ec->guest[0]].name,
	       emu_guest_programs[ec->guest[1]].name, ec->second,
	       emu_host_programs[ec->host].name, (unsigned int)ec->start[0],
	       ec->scribble);
}

static void keeps_the_invariants(const struct sweep *sw)
{
	uint64_t cases = 0, states = 0, discards = 0;
	struct cursor at = { 0 };
	struct emu_result res;
	struct emu_case ec;
	double schedules = 0;

	do {
		ec = case_at(sw, &at, 0);
		emu_explore(&ec, &res);
		if (res.why) {
			print_case(&ec);
			emu_print(&ec, &res, stdout);
			fail_msg("%s", res.why);
		}
		cases++;
		states += res.states;
		schedules += res.schedules;
		discards += res.discards;
	} while (next_case(sw, &at));
	printf("# %llu cases, %llu states, %.3g interleavings, %llu discards in them\n",
	       (unsigned long long)cases, (unsigned long long)states, schedules,
	       (unsigned long long)discards);
	assert_true(discards);
}

static const struct broken {
	const char *name;
	uint32_t flag;
	const struct sweep *sweep;
	unsigned int min_cases; /* about half of the cases that notice */
} broken[] = {
	{ "P taken like V", BREAK_HOST_TAKE_ALL_P, &potential, 3 },
	{ "a write does not void arming", BREAK_HOST_WRITE_UNSEEN, &potential,
	  3 },
	{ "a fill does not void arming", BREAK_HOST_ARM_KEPT, &potential, 1 },
	{ "checked, then armed", BREAK_GUEST_CHECK_THEN_ARM, &potential, 2 },
	{ "commits while disabled", BREAK_HOST_ALWAYS_ON, &restart, 100 },
	{ "disable does not wait", BREAK_HOST_RESET_NO_WAIT, &restart, 100 },
	{ "enable keeps states", BREAK_HOST_ENABLE_KEEPS, &restart, 100 },
	{ "a marker alone is a fault", BREAK_HOST_TRUST_MARK, &restart, 100 },
	{ "other CPUs run on", BREAK_GUEST_CPUS_RUNNING, &restart, 100 },
	{ "filled as the byte says", BREAK_HOST_TRUST_TABLE, &scribble, 100 },
	{ "waits for the byte", BREAK_HOST_TRUST_BUSY, &scribble, 100 },
	{ "scribble is not put right", BREAK_HOST_NO_REPAIR, &scribble, 100 },
};

/* Lenient: content lost, a fault that nobody made, or no end has to be seen. */
static void each_broken_variant_is_caught(void **s)
{
	struct emu_case first = { .start = { 0 } };
	struct emu_result res, first_res = { 0 };
	unsigned int i, caught;
	struct cursor at;
	struct emu_case ec;

	(void)s;
	if (STRIDE > 1)
		skip();
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		const struct broken *b = &broken[i];

		caught = 0;
		memset(&at, 0, sizeof(at));
		do {
			ec = case_at(b->sweep, &at, b->flag);
			emu_explore(&ec, &res);
			if (res.why && !caught++) {
				first = ec;
				first_res = res;
			}
		} while (caught < b->min_cases && next_case(b->sweep, &at));
		if (caught < b->min_cases)
			fail_msg("%s: noticed in %u cases only", b->name,
				 caught);
		printf("# %s: %s\n", b->name, first_res.why);
		print_case(&first);
	}
}

static void potentially_volatile_is_taken_only_unwritten(void **s)
{
	(void)s;
	keeps_the_invariants(&potential);
}

static void the_next_kernel_keeps_what_it_writes(void **s)
{
	(void)s;
	keeps_the_invariants(&restart);
}

static void a_scribbling_guest_harms_only_itself(void **s)
{
	(void)s;
	keeps_the_invariants(&scribble);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(potentially_volatile_is_taken_only_unwritten),
		cmocka_unit_test(the_next_kernel_keeps_what_it_writes),
		cmocka_unit_test(a_scribbling_guest_harms_only_itself),
		cmocka_unit_test(each_broken_variant_is_caught),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
