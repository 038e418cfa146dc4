// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two CPUs and the host race on the same frames (race/race.h): the host
 * discards what it may (hyp run --storm), pages out what is asked for
 * (--test-hooks) or what is over the --limit.  What it took and what was found
 * has to add up; selftests/test_race.sh compares the line of totals with the
 * host's counters.
 *
 * Options (hyp run --cmdline): seed=N; transitions=N in all; ballast=MIB of
 * other pages to touch, so that a limit has an effect; break=N (enum broken).
 */
#include "guest-tests/race/race.h"

#define MIN_DISCARDS	1000
#define MIN_FAULTS	100
#define STEPS_OF_TARGET 20 /* steps for each transition, at most */
#define HOT_SHIFT	12
#define HOT_ONE_IN	16

struct race race;

static struct {
	const char *what;
	unsigned int cpu, frame;
	uint64_t step, have, want;
	uint32_t ref;
	uint8_t state;
} wrong;

void race_wrong(struct race_worker *w, const char *what, unsigned int i,
		uint64_t have, uint64_t want)
{
	if (__atomic_exchange_n(&race.stop, true, __ATOMIC_SEQ_CST))
		return;
	wrong.what = what;
	wrong.cpu = (unsigned int)(w - race.workers);
	wrong.frame = i;
	wrong.step = w->steps;
	wrong.have = have;
	wrong.want = want;
	wrong.ref = race.frames[i].ref;
	wrong.state = essa_state(gfn_of(race_page(i)));
}

/* Keep a reference for longer, as device or get_user_pages() would. */
static void hold(struct race_worker *w, unsigned int i, uint64_t r)
{
	uint32_t *held = &w->held[r % NR_HELD];
	uint8_t state;

	if (*held == NOT_HELD) {
		if (race_get(w, i))
			*held = i;
		return;
	}
	i = *held;
	race_verify(w, i, !(r & 0xf00));
	if (r & 0x7000)
		return;
	state = essa_op(gfn_of(race_page(i)), ESSA_OP_GET);
	/* Broken variants have to be found by what happens to content. */
	if ((state & ESSA_USAGE_MASK) != ESSA_STABLE && !race.broken)
		race_wrong(w, "a page with a reference is not Stable", i, state,
			   0);
	*held = NOT_HELD;
	race_put(i);
}

/* Back and forth: most of the transitions, and the host rarely sees it. */
static void cycle(struct race_worker *w, unsigned int i)
{
	race_make_volatile(w, i);
	race_dawdle(w);
	if (race_get(w, i)) {
		race_verify(w, i, one_in(w, 256));
		race_put(i);
	}
}

static void touch_ballast(struct race_worker *w)
{
	uint64_t i = rng_next(&w->rng) % race.nr_ballast;
	uint64_t *page = scratch_page(NR_FRAMES + i);

	if (*(volatile uint64_t *)page != page_word(page, 1, 0))
		race_wrong(w, "ballast lost", 0, *page, page_word(page, 1, 0));
}

static void ask_host(struct race_worker *w, unsigned int i, uint64_t r)
{
	if (!(r & 1) && race.nr_ballast)
		touch_ballast(w);
	else if (!essa_cmd(ESSA_CMD_TEST_PAGE_OUT, gfn_of(race_page(i)), 1))
		w->page_outs++;
}

static void rarely(struct race_worker *w, unsigned int i, uint64_t r)
{
	switch (r >> 8 & 63) {
	case 0:
		race_free_block(w, i & ~7u);
		break;
	case 1 ... 3:
		race_free(w, i);
		break;
	case 4 ... 9:
		race_take_back(w, i, r & 1);
		break;
	case 10 ... 19:
		race_set_usage(w, i, ESSA_OP_SET_VOLATILE);
		break;
	case 20 ... 22:
		race_set_usage(w, i, ESSA_OP_SET_POTENTIAL);
		break;
	case 23 ... 62:
		race_make_volatile(w, i);
		break;
	default:
		if (r & 1)
			ask_host(w, i, r >> 1);
	}
}

/*
 * Discards cost a thousand times what a transition does.  So the host sees many
 * Volatile frames in one phase of this many only.
 */
static bool is_hot(const struct race_worker *w)
{
	return (w->steps >> HOT_SHIFT) % HOT_ONE_IN == 0;
}

static void step(struct race_worker *w)
{
	uint64_t r = rng_next(&w->rng);
	unsigned int i = (unsigned int)(r >> 32) % NR_FRAMES;

	w->steps++;
	switch (r >> 16 & 63) {
	case 0 ... 47:
		if (is_hot(w) && (r & 1))
			race_make_volatile(w, i);
		else
			cycle(w, i);
		break;
	case 48 ... 53:
		race_touch(w, i);
		break;
	case 54 ... 57:
		hold(w, i, r);
		break;
	case 58 ... 60:
		if (r & 3)
			race_alloc(w, i);
		else
			race_alloc_block(w, i & ~7u);
		break;
	default:
		rarely(w, i, r);
	}
}

static uint64_t sum_of(size_t offset)
{
	uint64_t sum = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < RACE_CPUS; cpu++)
		sum += __atomic_load_n(
			(uint64_t *)((char *)&race.workers[cpu] + offset),
			__ATOMIC_RELAXED);
	return sum;
}
#define SUM(field) sum_of(offsetof(struct race_worker, field))

static bool enough(void)
{
	unsigned int cpu;

	if (SUM(transitions) < race.target || SUM(discards) < MIN_DISCARDS ||
	    SUM(by_fault) < MIN_FAULTS)
		return false;
	for (cpu = 0; cpu < RACE_CPUS; cpu++)
		if (__atomic_load_n(&race.workers[cpu].transitions,
				    __ATOMIC_RELAXED) < race.target / 10)
			return false;
	return true;
}

static bool is_over(const struct race_worker *w)
{
	return __atomic_load_n(&race.stop, __ATOMIC_SEQ_CST) ||
	       w->steps > race.target * STEPS_OF_TARGET ||
	       (w->steps % 64 == 0 && enough());
}

static void work(void)
{
	struct race_worker *w = &race.workers[cpu_index()];
	unsigned int k;

	while (!is_over(w))
		step(w);
	for (k = 0; k < NR_HELD; k++)
		if (w->held[k] != NOT_HELD)
			hold(w, 0, k);
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
}

static void ap_work(void)
{
	work();
	for (;;)
		asm volatile("hlt");
}

static void report(void)
{
	print("TOTALS: transitions %lu steps %lu discards %lu by_state %lu "
	      "by_fault %lu by_free %lu faults %lu reuses %lu blocks %lu "
	      "page_outs %lu exits %lu lookups %lu\n",
	      SUM(transitions), SUM(steps), SUM(discards), SUM(by_state),
	      SUM(by_fault), SUM(by_free), SUM(faults), SUM(reuses),
	      SUM(blocks), SUM(page_outs), SUM(slow_ops), SUM(lookups));
	if (wrong.what)
		print("# wrong: %s: CPU %u step %lu frame %u: %lx, not %lx; state %x, references %x\n",
		      wrong.what, wrong.cpu, wrong.step, wrong.frame,
		      wrong.have, wrong.want, wrong.state, wrong.ref);
	expect(!wrong.what, "the seed is above");
	expect(wrong.what || enough(), "too few transitions or discards");
	expect_eq(SUM(by_state) + SUM(by_fault) + SUM(by_free), SUM(discards));
}

static void begin(uint64_t seed)
{
	struct race_worker *w;
	unsigned int cpu, k;
	uint64_t i;

	for (cpu = 0; cpu < RACE_CPUS; cpu++) {
		w = &race.workers[cpu];
		w->rng.s = (seed + cpu) * 0x9e3779b97f4a7c15ull | 1;
		for (k = 0; k < NR_HELD; k++)
			w->held[k] = NOT_HELD;
	}
	for (i = 0; i < NR_FRAMES; i++)
		race_init(&race.workers[0], (unsigned int)i);
	for (i = 0; i < race.nr_ballast; i++)
		*scratch_page(NR_FRAMES + i) =
			page_word(scratch_page(NR_FRAMES + i), 1, 0);
}

static void test_race(unsigned long arg)
{
	uint64_t seed = guest_option("seed", 1);
	unsigned int i;

	(void)arg;
	if (essa.nr_info < RACE_CPUS) {
		test_skip("one CPU: hyp run --cpus 2");
		return;
	}
	race.target = guest_option("transitions", 1000000);
	race.broken = (enum broken)guest_option("break", BREAK_NOTHING);
	race.nr_ballast = guest_option("ballast", 0) * (1048576 / PAGE_SIZE);
	print("# seed=%lu transitions=%lu break=%u\n", seed, race.target,
	      (unsigned int)race.broken);
	begin(seed);
	discard_found = race_fault;
	expect(smp_start(1, ap_work), "CPU 1 does not start");
	work();
	/* It stops as this one does: enough, something wrong, or its steps. */
	while (!__atomic_load_n(&race.workers[1].done, __ATOMIC_ACQUIRE))
		cpu_relax();
	for (i = 0; i < NR_FRAMES && !race.stop; i++)
		race_sweep(&race.workers[0], i);
	report();
}

static const struct test tests[] = {
	{ "two CPUs and the host on the same frames", test_race, 0 },
};

_Noreturn void guest_main(void)
{
	essa_need(false);
	if (essa_enable())
		bail_out("ESSA_CMD_ENABLE failed");
	test_run(tests, ARRAY_SIZE(tests));
}
