// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest CPUs and the host of the emulation, each on a thread of its own, on one
 * table.  What it adds to test_interleave: real atomics on real processors, and
 * a thread sanitizer that knows nothing of the protocol.
 */
#include <pthread.h>
#include <sched.h>
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

#include <essa/random.h>

#include "essa-emu/emu/emu.h"

#define NR_FRAMES 64
#define NR_GUESTS 2
#define NR_CPUS	  (NR_GUESTS + 1)

#ifdef __SANITIZE_THREAD__
#define TRANSITIONS 100000u
#else
#define TRANSITIONS 1000000u
#endif
#define MIN_DISCARDS 1000u
#define MAX_PROGRAMS 200000000u /* ends a run that finds nothing */

struct world {
	uint8_t table[NR_FRAMES] __attribute__((aligned(64)));
	struct emu_frame frame[NR_FRAMES];
	struct emu_vm vm;
	struct emu_mem m;
	uint64_t guest_transitions; /* that a guest makes before it ends */
	uint64_t discards;	    /* that the host has made so far */
	unsigned int running;	    /* guests */
	bool stop;
	struct cpu {
		struct world *w;
		struct emu e;
		struct emu_cpu c;
		struct rng rng;
		bool host;
		pthread_t thread;
	} cpu[NR_CPUS];
};

static bool stopped(const struct world *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_RELAXED);
}

/* One program, to its end.  Return: false if all have to stop. */
static bool run_program(struct cpu *cpu)
{
	const struct emu_program *p;
	struct emu_cpu *c = &cpu->c;
	enum emu_ret ret;

	memset(c, 0, sizeof(*c));
	c->prog = (uint8_t)rng_below(&cpu->rng, cpu->host ?
							emu_nr_host_programs :
							emu_nr_guest_programs);
	c->f = (uint16_t)rng_below(&cpu->rng, NR_FRAMES);
	c->g = (uint16_t)((c->f + 1) % NR_FRAMES);
	p = cpu->host ? &emu_host_programs[c->prog] :
			&emu_guest_programs[c->prog];
	do {
		ret = p->run(&cpu->e);
		if (ret == EMU_BAD)
			__atomic_store_n(&cpu->w->stop, true, __ATOMIC_RELAXED);
		/*
		 * A processor of its own for each is too much to ask: without
		 * this, threads that share one change places only where the
		 * time slice ends.
		 */
		if (ret == EMU_BLOCKED || !rng_below(&cpu->rng, 128))
			sched_yield();
		if (stopped(cpu->w))
			return false;
	} while (ret == EMU_RAN || ret == EMU_BLOCKED);
	return true;
}

static void *guest_thread(void *arg)
{
	struct cpu *cpu = arg;
	struct world *w = cpu->w;
	unsigned int n = 0;

	/* As long as it takes for both sides to have done their share. */
	while (n++ < MAX_PROGRAMS && run_program(cpu) &&
	       (cpu->e.transitions < w->guest_transitions ||
		__atomic_load_n(&w->discards, __ATOMIC_RELAXED) < MIN_DISCARDS))
		;
	__atomic_fetch_sub(&w->running, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *host_thread(void *arg)
{
	struct cpu *cpu = arg;
	struct world *w = cpu->w;

	while (__atomic_load_n(&w->running, __ATOMIC_RELAXED) &&
	       run_program(cpu))
		__atomic_store_n(&w->discards, cpu->e.discards,
				 __ATOMIC_RELAXED);
	return NULL;
}

static struct world *run(uint64_t seed, uint32_t broken, uint64_t transitions)
{
	struct world *w;
	unsigned int i;

	w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	assert_non_null(w);
	memset(w, 0, sizeof(*w));
	w->m = (struct emu_mem){
		.table = w->table,
		.frame = w->frame,
		.vm = &w->vm,
		.nr = NR_FRAMES,
		.broken = broken,
	};
	w->running = NR_GUESTS;
	w->guest_transitions = transitions / NR_GUESTS;
	for (i = 0; i < NR_FRAMES; i++)
		emu_init_frame(&w->m, i, i % EMU_NR_STARTS);
	for (i = 0; i < NR_CPUS; i++) {
		struct cpu *cpu = &w->cpu[i];

		cpu->w = w;
		cpu->e = (struct emu){ .m = &w->m, .c = &cpu->c };
		cpu->rng.s = (seed + i) * 0x9e3779b97f4a7c15ull | 1;
		cpu->host = i >= NR_GUESTS;
		assert_int_equal(pthread_create(&cpu->thread, NULL,
						cpu->host ? host_thread :
							    guest_thread,
						cpu),
				 0);
	}
	for (i = 0; i < NR_CPUS; i++)
		pthread_join(w->cpu[i].thread, NULL);
	return w;
}

static const char *failure_of(const struct world *w)
{
	unsigned int i;

	for (i = 0; i < NR_CPUS; i++)
		if (w->cpu[i].e.why)
			return w->cpu[i].e.why;
	return NULL;
}

static uint64_t seed(void)
{
	const char *env = getenv("SEED");
	uint64_t val = env ? strtoull(env, NULL, 0) :
			     (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();

	printf("# SEED=%llu\n", (unsigned long long)val);
	fflush(stdout);
	return val;
}

static void threads_keep_the_invariants(void **s)
{
	struct world *w = run(seed(), 0, TRANSITIONS);
	struct emu sum = { .m = NULL };
	unsigned int i, f;

	(void)s;
	for (i = 0; i < NR_CPUS; i++) {
		const struct emu *e = &w->cpu[i].e;

		if (e->why)
			fail_msg("%s (cpu %u, frame %u)", e->why, i,
				 w->cpu[i].c.f);
		sum.transitions += e->transitions;
		sum.discards += e->discards;
		sum.seen += e->seen;
		sum.waits += e->waits;
	}
	printf("# %llu transitions, %llu discards, %llu noticed by the guest, %llu waits for a release\n",
	       (unsigned long long)sum.transitions,
	       (unsigned long long)sum.discards, (unsigned long long)sum.seen,
	       (unsigned long long)sum.waits);
	sum.why = emu_check(&w->m, &f);
	if (!sum.why)
		sum.why = emu_check_end(&w->m, &f);
	if (sum.why)
		fail_msg("%s (frame %u)", sum.why, f);
	assert_true(sum.transitions >= TRANSITIONS);
	assert_true(sum.discards >= MIN_DISCARDS);
	assert_true(sum.seen);
	free(w);
}

/* Both are data races as well, which is what a thread sanitizer would say. */
static void threads_catch(uint32_t broken)
{
	struct world *w;
	const char *why;

#ifdef __SANITIZE_THREAD__
	skip();
#endif
	w = run(seed(), broken, UINT64_MAX);
	why = failure_of(w);
	assert_non_null(why);
	printf("# %s after %llu discards\n", why,
	       (unsigned long long)w->cpu[NR_GUESTS].e.discards);
	free(w);
}

static void threads_catch_a_broken_late_release(void **s)
{
	(void)s;
	threads_catch(BREAK_HOST_NO_BUSY);
}

static void threads_catch_an_allocator_that_does_not_wait(void **s)
{
	(void)s;
	threads_catch(BREAK_GUEST_NO_WAIT);
}

static void threads_catch_plain_stores(void **s)
{
	(void)s;
	threads_catch(BREAK_GUEST_STORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_keep_the_invariants),
		cmocka_unit_test(threads_catch_a_broken_late_release),
		cmocka_unit_test(threads_catch_an_allocator_that_does_not_wait),
		cmocka_unit_test(threads_catch_plain_stores),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
