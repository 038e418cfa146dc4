// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every CPU moves pages of its own between the states as fast as it can while
 * the host discards what it may (hyp run --storm).  A page is either intact
 * or reported as discarded; one that was discarded is used again at once,
 * which is what the late-release rule is about.  One that is Potentially
 * Volatile and was written is not discarded at all.
 */
#include "guest-tests/lib/guest.h"

#define NR_PAGES	256    /* of each CPU */
#define MIN_TRANSITIONS 100000 /* of each CPU */
#define MIN_DISCARDS	500    /* of each CPU */
#define MIN_POTENTIAL	100    /* kept, and discarded, of each CPU */
#define MAX_STEPS	20000000

struct worker {
	struct rng rng;
	uint64_t salt[NR_PAGES];
	bool written[NR_PAGES]; /* while Potentially Volatile */
	uint64_t transitions;
	uint64_t found;	 /* discards seen in the state byte */
	uint64_t faults; /* and those seen as discard faults */
	uint64_t reused; /* pages unused and taken again */
	uint64_t clean;	 /* discards of Potentially Volatile pages */
	uint64_t kept;	 /* such pages that were written */
	uint64_t steps;
	/* The first thing that was wrong. */
	uint64_t bad_page, bad_word, bad_value, bad_want;
	bool bad, bad_discard, done;
};

static struct worker workers[MAX_CPUS];

static struct worker *me(void)
{
	return &workers[cpu_index()];
}

static uint64_t *my_page(unsigned int i)
{
	return scratch_page(cpu_index() * NR_PAGES + i);
}

static void note_discard(struct worker *w, unsigned int i, uint8_t state)
{
	w->clean += (state & ESSA_USAGE_MASK) == ESSA_POTENTIAL;
	if (!w->written[i] || w->bad)
		return;
	w->bad_page = i;
	w->bad_discard = true;
	w->bad = true;
}

static void refill(uint64_t gpa)
{
	uint64_t *page = (uint64_t *)(uintptr_t)gpa;
	struct worker *w = me();
	unsigned int i = (unsigned int)((page - my_page(0)) / PAGE_WORDS);

	w->faults++;
	note_discard(w, i, discards[cpu_index()].state);
	page_fill(page, w->salt[i]);
}

static void verify_word(struct worker *w, unsigned int i, unsigned int n)
{
	const volatile uint64_t *page = my_page(i);
	uint64_t want = page_word(my_page(i), w->salt[i], n);
	uint64_t have = page[n];

	if (have == want || w->bad)
		return;
	w->bad_page = i;
	w->bad_word = n;
	w->bad_value = have;
	w->bad_want = want;
	w->bad = true;
}

static void verify(struct worker *w, unsigned int i)
{
	unsigned int n;

	for (n = 0; n < PAGE_WORDS; n++)
		verify_word(w, i, n);
}

static uint8_t move(struct worker *w, unsigned int i, unsigned int op)
{
	w->transitions++;
	return essa_op(gfn_of(my_page(i)), op);
}

static void renew(struct worker *w, unsigned int i)
{
	w->salt[i] = rng_next(&w->rng);
	page_fill(my_page(i), w->salt[i]);
}

/* Take a page back; whoever finds it discarded uses the frame at once. */
static void make_stable(struct worker *w, unsigned int i, uint64_t r)
{
	uint8_t old = move(w, i, ESSA_OP_SET_STABLE_IF_KEPT);

	if (essa_is_discarded(old)) {
		w->found++;
		note_discard(w, i, old);
		move(w, i, ESSA_OP_SET_UNUSED);
		move(w, i, ESSA_OP_SET_STABLE);
		renew(w, i);
	} else if (r & 7) {
		verify_word(w, i, r >> 8 & (PAGE_WORDS - 1));
	} else {
		verify(w, i);
	}
	w->written[i] = false;
}

static void reuse(struct worker *w, unsigned int i)
{
	w->reused++;
	w->written[i] = false;
	move(w, i, ESSA_OP_SET_UNUSED);
	move(w, i, ESSA_OP_SET_STABLE);
	renew(w, i);
}

static void make_volatile(struct worker *w, unsigned int i, uint64_t r)
{
	if (r & 1) {
		/* Potentially Volatile as well. */
		w->written[i] = false;
		move(w, i, ESSA_OP_SET_VOLATILE);
	} else {
		move(w, i, ESSA_OP_SET_PENDING);
		move(w, i, ESSA_OP_COMMIT_VOLATILE);
	}
}

/* Clean, as it has no other user and is saved in @salt. */
static void make_potential(struct worker *w, unsigned int i)
{
	uint64_t gfn = gfn_of(my_page(i));

	move(w, i, ESSA_OP_SET_PENDING);
	if (essa_cmd(ESSA_CMD_ARM, gfn, 1))
		bail_out("ESSA_CMD_ARM failed");
	move(w, i, ESSA_OP_COMMIT_POTENTIAL);
}

/* New content for a page in whatever state but Volatile, which is not written. */
static void write(struct worker *w, unsigned int i)
{
	uint64_t *page = my_page(i);

	if ((essa_state(gfn_of(page)) & ESSA_USAGE_MASK) == ESSA_VOLATILE)
		return;
	w->salt[i] = rng_next(&w->rng);
	/* Here it may turn out to be gone: refilled, and Stable. */
	access_write(page, page_word(page, w->salt[i], 0));
	if ((essa_state(gfn_of(page)) & ESSA_USAGE_MASK) == ESSA_POTENTIAL) {
		w->written[i] = true;
		w->kept++;
	}
	page_fill(page, w->salt[i]);
}

static void step(struct worker *w)
{
	uint64_t r = rng_next(&w->rng);
	unsigned int i = (unsigned int)(r >> 16) % NR_PAGES;
	unsigned int n = (unsigned int)(r >> 32) & (PAGE_WORDS - 1);
	uint64_t what = r >> 48 & 63;

	w->steps++;
	if (what < 2 && (essa.features & ESSA_FEAT_POTENTIAL)) {
		make_potential(w, i);
		/* At once, as the storm leaves few of them for later. */
		if (r >> 40 & 1)
			write(w, i);
	} else if (what < 3)
		write(w, i);
	else if (what < 26)
		make_volatile(w, i, r);
	else if (what < 50)
		make_stable(w, i, r >> 20);
	else if (what < 51)
		reuse(w, i);
	else
		/* Stable, or a discard fault says that it is gone. */
		verify_word(w, i, n);
}

static bool enough(const struct worker *w)
{
	return w->transitions >= MIN_TRANSITIONS && w->found >= MIN_DISCARDS &&
	       w->faults >= MIN_DISCARDS &&
	       (!(essa.features & ESSA_FEAT_POTENTIAL) ||
		(w->clean >= MIN_POTENTIAL && w->kept >= MIN_POTENTIAL));
}

static void work(void)
{
	struct worker *w = me();
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		renew(w, i);
	while (!w->bad && !enough(w) && w->steps < MAX_STEPS)
		step(w);
	for (i = 0; i < NR_PAGES && !w->bad; i++) {
		make_stable(w, i, 0);
		verify(w, i);
	}
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
}

static void ap_work(void)
{
	work();
	for (;;)
		asm volatile("hlt");
}

static void check(const struct worker *w)
{
	print("# %lu transitions, %lu discards found, %lu discard faults, %lu reuses, %lu steps; potentially volatile: %lu discarded, %lu written\n",
	      w->transitions, w->found, w->faults, w->reused, w->steps,
	      w->clean, w->kept);
	expect(!w->bad_discard, "page %lu was written and discarded",
	       w->bad_page);
	expect(!w->bad || w->bad_discard, "page %lu word %lu is %lx, not %lx",
	       w->bad_page, w->bad_word, w->bad_value, w->bad_want);
	expect(w->transitions >= MIN_TRANSITIONS, "too few transitions");
	expect(w->found >= MIN_DISCARDS, "too few discards found");
	expect(w->faults >= MIN_DISCARDS, "too few discard faults");
	expect(w->bad || enough(w), "too few potentially volatile pages");
}

static void begin(unsigned int cpu)
{
	workers[cpu] = (struct worker){ .rng = { 0x1234567 + cpu } };
}

static void test_one_cpu(unsigned long arg)
{
	(void)arg;
	begin(0);
	work();
	check(&workers[0]);
}

static void test_two_cpus(unsigned long arg)
{
	(void)arg;
	if (essa.nr_info < 2) {
		test_skip("one CPU: hyp run --cpus 2");
		return;
	}
	begin(0);
	begin(1);
	expect(smp_start(1, ap_work), "CPU 1 does not start");
	work();
	/* It works as long as this one or longer, and not for ever. */
	while (!__atomic_load_n(&workers[1].done, __ATOMIC_ACQUIRE))
		cpu_relax();
	check(&workers[0]);
	check(&workers[1]);
}

static const struct test tests[] = {
	{ "one CPU against the host", test_one_cpu, 0 },
	{ "two CPUs against the host", test_two_cpus, 0 },
};

_Noreturn void guest_main(void)
{
	essa_need(false);
	if (essa_enable())
		bail_out("ESSA_CMD_ENABLE failed");
	discard_refill = refill;
	test_run(tests, ARRAY_SIZE(tests));
}
