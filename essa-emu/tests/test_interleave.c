// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every interleaving of two guest CPUs and the host, for all pairs of programs
 * of the catalogue; then long random schedules.  Each rule of the interface is
 * broken once to see that its absence is noticed, by what it does to content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "essa-emu/emu/explore.h"

#define RANDOM_RUNS 4u

/* One thread only: nothing for the thread sanitizer, which takes minutes. */
#ifdef __SANITIZE_THREAD__
#define STRIDE	     37u
#define RANDOM_STEPS 30000u
#else
#define STRIDE	     1u
#define RANDOM_STEPS 300000u
#endif

static const char *guest_name(const struct emu_case *ec, unsigned int cpu)
{
	return emu_guest_programs[ec->guest[cpu]].name;
}

static void print_case(const struct emu_case *ec)
{
	printf("# guest \"%s\", guest \"%s\", host \"%s\", start %u\n",
	       guest_name(ec, 0), guest_name(ec, 1),
	       emu_host_programs[ec->host].name, (unsigned int)ec->start[0]);
}

static bool one_further(struct emu_case *ec)
{
	if (++ec->start[0] < EMU_NR_STARTS)
		return true;
	ec->start[0] = 0;
	if (++ec->host < emu_nr_host_programs)
		return true;
	ec->host = 0;
	if (++ec->guest[1] < emu_nr_guest_programs)
		return true;
	/* Both CPUs are alike: each pair once. */
	ec->guest[1] = ++ec->guest[0];
	return ec->guest[0] < emu_nr_guest_programs;
}

/* The next case of the catalogue.  Return: false behind the last one. */
static bool next_case(struct emu_case *ec, unsigned int stride)
{
	while (stride--)
		if (!one_further(ec))
			return false;
	return true;
}

static void all_interleavings_keep_the_invariants(void **s)
{
	struct emu_case ec = { .start = { 0, START_FREE } };
	unsigned int discarding[EMU_NR_STARTS] = { 0 };
	uint64_t cases = 0, states = 0, discards = 0;
	struct emu_result res;
	double schedules = 0;

	(void)s;
	do {
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
		discarding[ec.start[0]] += !!res.discards;
	} while (next_case(&ec, STRIDE));
	printf("# %llu cases, %llu states, %.3g interleavings, %llu discards in them\n",
	       (unsigned long long)cases, (unsigned long long)states, schedules,
	       (unsigned long long)discards);
	/* Not for lack of discards: each start sees some. */
	for (ec.start[0] = 0; ec.start[0] < EMU_NR_STARTS; ec.start[0]++)
		assert_true(discarding[ec.start[0]]);
}

static const struct broken {
	const char *name;
	uint32_t flag;
	unsigned int min_cases; /* about half of the cases that notice */
} broken[] = {
	{ "no late release", BREAK_HOST_NO_BUSY, 100 },
	{ "busy cleared before the release", BREAK_HOST_PUBLISH_FIRST, 100 },
	{ "released before the commit", BREAK_HOST_RELEASE_FIRST, 100 },
	{ "discard by a plain store", BREAK_HOST_STORE, 100 },
	{ "no marker for a discarded page", BREAK_HOST_NO_MARK, 100 },
	{ "old page kept", BREAK_HOST_KEEP, 100 },
	{ "fault does not wait for a release", BREAK_HOST_FILL_BUSY, 100 },
	{ "ESSA_CMD_WAIT returns early", BREAK_HOST_WAIT_EARLY, 100 },
	{ "volatile zeros paged out as zero", BREAK_HOST_ZERO_VOLATILE, 100 },
	{ "to Stable without a wait", BREAK_GUEST_NO_WAIT, 100 },
	{ "operation by a plain store", BREAK_GUEST_STORE, 100 },
	{ "written before it is Stable", BREAK_GUEST_WRITE_FIRST, 100 },
	{ "Unused after it was handed over", BREAK_GUEST_FREE_FIRST, 50 },
	{ "looked up without make stable", BREAK_GUEST_NO_STABLE, 100 },
	{ "volatile without a freeze", BREAK_GUEST_NO_FREEZE, 10 },
	{ "commit without pending", BREAK_GUEST_NO_PENDING, 10 },
	{ "map count before references", BREAK_GUEST_MAP_FIRST, 1 },
	{ "volatile without content", BREAK_GUEST_ZERO_VOLATILE, 10 },
};

/*
 * Lenient: the states alone would often give a broken variant away.  What has
 * to be seen is content that is lost, or a discard that nobody has made.
 */
static void each_broken_variant_is_caught(void **s)
{
	struct emu_case first = { .start = { 0 } };
	struct emu_result res, first_res = { 0 };
	unsigned int i, caught;
	struct emu_case ec;

	(void)s;
	if (STRIDE > 1)
		skip();
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		caught = 0;
		ec = (struct emu_case){
			.start = { 0, START_FREE },
			.broken = broken[i].flag,
			.lenient = true,
		};
		do {
			emu_explore(&ec, &res);
			if (!res.why)
				continue;
			if (!caught++) {
				first = ec;
				first_res = res;
			}
		} while (caught < broken[i].min_cases &&
			 next_case(&ec, STRIDE));
		if (caught < broken[i].min_cases)
			fail_msg("%s: noticed in %u cases only", broken[i].name,
				 caught);
		printf("# %s: %s: \"%s\" and \"%s\", %s\n", broken[i].name,
		       first_res.why, guest_name(&first, 0),
		       guest_name(&first, 1),
		       emu_host_programs[first.host].name);
	}
}

static void a_failure_prints_its_schedule(void **s)
{
	struct emu_case ec = {
		.start = { START_FREE, START_FREE },
		.broken = BREAK_HOST_NO_BUSY,
	};
	struct emu_result res;
	unsigned int lines = 0;
	size_t len, i;
	char *text;
	FILE *f;

	(void)s;
	ec.guest[0] = emu_find_program(emu_guest_programs,
				       emu_nr_guest_programs, "alloc");
	ec.guest[1] = emu_find_program(emu_guest_programs,
				       emu_nr_guest_programs, "wait");
	ec.host = emu_find_program(emu_host_programs, emu_nr_host_programs,
				   "discard");
	emu_explore(&ec, &res);
	assert_non_null(res.why);
	f = open_memstream(&text, &len);
	assert_non_null(f);
	emu_print(&ec, &res, f);
	fclose(f);
	fputs(text, stdout);
	for (i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, 1 + res.depth);
	assert_non_null(strstr(text, res.why));
	assert_non_null(strstr(text, "host 2 discard"));
	free(text);
}

static uint64_t seed(void)
{
	const char *env = getenv("SEED");
	uint64_t val = env ? strtoull(env, NULL, 0) :
			     (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();

	if (!val)
		val = 1;
	printf("# SEED=%llu\n", (unsigned long long)val);
	fflush(stdout);
	return val;
}

static void random_schedules_keep_the_invariants(void **s)
{
	struct emu_random run = { .steps = RANDOM_STEPS, .out = stdout };
	struct emu_random again;
	uint64_t base = seed();
	unsigned int i;

	(void)s;
	for (i = 0; i < RANDOM_RUNS; i++) {
		run.seed = base + i;
		emu_run_random(&run);
		if (run.why) {
			again = run;
			again.tail = 60;
			again.until = run.step;
			emu_run_random(&again);
			fail_msg("SEED=%llu: %s (frame %u, step %llu)",
				 (unsigned long long)run.seed, run.why,
				 run.frame, (unsigned long long)run.step);
		}
		printf("# %llu transitions, %llu discards, %llu noticed, %llu waits\n",
		       (unsigned long long)run.transitions,
		       (unsigned long long)run.discards,
		       (unsigned long long)run.seen,
		       (unsigned long long)run.waits);
		assert_true(run.transitions && run.discards && run.seen &&
			    run.waits);
	}
}

static void a_seed_gives_the_same_schedule_again(void **s)
{
	struct emu_random a = { .seed = seed(), .steps = 20000 };
	struct emu_random b = a;

	(void)s;
	emu_run_random(&a);
	emu_run_random(&b);
	assert_true(a.hash == b.hash);
	b.seed++;
	emu_run_random(&b);
	assert_true(a.hash != b.hash);
}

static void random_schedules_catch_a_broken_late_release(void **s)
{
	struct emu_random run = {
		.seed = seed(),
		.steps = 2000000,
		.broken = BREAK_HOST_NO_BUSY,
		.lenient = true,
	};
	struct emu_random again;

	(void)s;
	emu_run_random(&run);
	assert_non_null(run.why);
	printf("# %s at step %llu\n", run.why, (unsigned long long)run.step);
	again = run;
	emu_run_random(&again);
	assert_true(again.step == run.step && again.frame == run.frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_interleavings_keep_the_invariants),
		cmocka_unit_test(each_broken_variant_is_caught),
		cmocka_unit_test(a_failure_prints_its_schedule),
		cmocka_unit_test(random_schedules_keep_the_invariants),
		cmocka_unit_test(a_seed_gives_the_same_schedule_again),
		cmocka_unit_test(random_schedules_catch_a_broken_late_release),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
