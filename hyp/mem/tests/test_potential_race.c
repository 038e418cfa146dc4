// SPDX-License-Identifier: GPL-2.0-only
/*
 * Potentially Volatile against reclaim, seeded.  Writers write to any frame at
 * any time, as through writable mappings, by vCPU and by device; owners arm,
 * check and commit, find discards, and use the frame again at once.
 *
 * The owner takes a change of the content for the dirty bit: seen as soon as the
 * write has happened, and no sooner.  A frame may have been discarded only if no
 * write has ended since it was saved.
 * STRESS_MS sets the length of a case.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "hyp/mem/tests/guest.h"

#define NR_OWNERS  2u
#define NR_WRITERS 2u
#define NR_FRAMES  1024u
#define GFN_SHIFT  40
/* What writers write is not what owners do, and more. */
#define BY_WRITER (1ull << 39)
#define WORDS	  (MEM_PAGE_SIZE / 8)

struct page {
	/* Writers hold it shared: a frame is reused when it is unmapped. */
	pthread_rwlock_t mapped;
	_Atomic uint64_t done;	/* writes */
	_Atomic uint64_t value; /* of the last of them, or 0 */
	/* The owner's: @done and the content when that was saved. */
	uint64_t saved, clean;
	bool potential;
};

struct race {
	struct mem *mem;
	uint8_t *table;
	uint8_t *ram;
	struct page page[NR_FRAMES];
	_Atomic bool stop;
	_Atomic uint64_t found, made, refused, written, hit;
	_Atomic int failures;
};

struct actor {
	struct race *r;
	unsigned int id;
	uint64_t seed, seq;
	pthread_t thread;
};

static volatile uint64_t *word_of(struct race *r, uint64_t gfn, unsigned int i)
{
	return (volatile uint64_t *)(r->ram + gfn * MEM_PAGE_SIZE) + i;
}

/* Each frame has one writer, so what it writes ascends. */
static void write_once(struct actor *a, uint64_t gfn)
{
	struct race *r = a->r;
	struct page *p = &r->page[gfn];
	uint64_t val = gfn << GFN_SHIFT | BY_WRITER | ++a->seq;
	bool ok;

	pthread_rwlock_rdlock(&p->mapped);
	if (rnd(&a->seed) % 4)
		ok = guest_access(r->mem, word_of(r, gfn, 0), &val, 1) ==
		     GUEST_OK;
	else
		ok = !mem_write(r->mem, gfn * MEM_PAGE_SIZE, &val, 8);
	if (ok) {
		atomic_store(&p->value, val);
		atomic_fetch_add(&p->done, 1);
	}
	pthread_rwlock_unlock(&p->mapped);
	atomic_fetch_add(ok ? &r->written : &r->hit, 1);
}

static void *writer(void *arg)
{
	struct actor *a = arg;
	uint64_t n;

	while (!atomic_load(&a->r->stop)) {
		n = rnd(&a->seed) % (NR_FRAMES / NR_WRITERS);
		write_once(a, n * NR_WRITERS + a->id);
		if (rnd(&a->seed) % 8 == 0)
			sched_yield();
	}
	return NULL;
}

static uint8_t op(struct actor *a, uint64_t gfn, unsigned int which)
{
	return guest_op(a->r->mem, a->r->table, gfn, which);
}

/* Not Volatile in any way, or a discard may come in between. */
static uint64_t content_of(struct actor *a, uint64_t gfn)
{
	uint64_t val = 0;

	CHECK(a->r,
	      guest_access(a->r->mem, word_of(a->r, gfn, 0), &val, 0) ==
		      GUEST_OK,
	      "gfn %lu: stable page not readable", gfn);
	return val;
}

/* A frame that nobody else has mapped gets new content. */
static void renew(struct actor *a, uint64_t gfn)
{
	struct page *p = &a->r->page[gfn];
	uint64_t val = gfn << GFN_SHIFT | ++a->seq;
	unsigned int i;

	for (i = 0; i < WORDS; i += WORDS - 1)
		CHECK(a->r,
		      guest_access(a->r->mem, word_of(a->r, gfn, i), &val, 1) ==
			      GUEST_OK,
		      "gfn %lu: stable page not writable", gfn);
	atomic_store(&p->value, 0);
	p->saved = atomic_load(&p->done);
	p->clean = val;
	p->potential = false;
}

static void lost(struct actor *a, uint64_t gfn)
{
	struct page *p = &a->r->page[gfn];
	pthread_rwlock_wrlock(&p->mapped);
	CHECK(a->r, p->potential, "gfn %lu: invented discard", gfn);
	CHECK(a->r, atomic_load(&p->done) == p->saved,
	      "gfn %lu: a page was discarded that had been written", gfn);
	atomic_fetch_add(&a->r->found, 1);
	op(a, gfn, ESSA_OP_SET_UNUSED);
	op(a, gfn, ESSA_OP_SET_STABLE);
	renew(a, gfn);
	pthread_rwlock_unlock(&p->mapped);
}

static void verify(struct actor *a, uint64_t gfn)
{
	struct race *r = a->r;
	struct page *p = &r->page[gfn];
	uint64_t least = atomic_load(&p->value);
	uint64_t val;
	unsigned int i;

	for (i = 0; i < WORDS; i += WORDS - 1)
		switch (guest_access(r->mem, word_of(r, gfn, i), &val, 0)) {
		case GUEST_OK:
			CHECK(r,
			      val >> GFN_SHIFT == gfn &&
				      (i || !least || val >= least),
			      "gfn %lu word %u: %lx, at least %lx: lost write",
			      gfn, i, val, least);
			break;
		case GUEST_DISCARDED:
			lost(a, gfn);
			return;
		default:
			CHECK(r, 0, "gfn %lu: fault loop", gfn);
		}
}

/* Return: it has content, and no discard can take that from now on. */
static bool make_stable(struct actor *a, uint64_t gfn)
{
	if (essa_is_discarded(op(a, gfn, ESSA_OP_SET_STABLE_IF_KEPT))) {
		lost(a, gfn);
		return false;
	}
	a->r->page[gfn].potential = false;
	return true;
}

/* Write-back, with the page write-protected. */
static void save(struct actor *a, uint64_t gfn)
{
	struct page *p = &a->r->page[gfn];

	if (!make_stable(a, gfn))
		return;
	pthread_rwlock_wrlock(&p->mapped);
	p->saved = atomic_load(&p->done);
	p->clean = content_of(a, gfn);
	pthread_rwlock_unlock(&p->mapped);
}

static void pause_a_bit(struct actor *a)
{
	if (rnd(&a->seed) % 4 == 0)
		sched_yield();
}

/* SPEC.md, 8.1. */
static void make_potential(struct actor *a, uint64_t gfn)
{
	struct page *p = &a->r->page[gfn];
	int32_t ret;

	op(a, gfn, ESSA_OP_SET_PENDING);
	pause_a_bit(a);
	ret = mem_hypercall(a->r->mem, ESSA_CMD_ARM, gfn, 1, false);
	CHECK(a->r, !ret, "gfn %lu: ARM: %d", gfn, ret);
	pause_a_bit(a);
	if (content_of(a, gfn) != p->clean) {
		op(a, gfn, ESSA_OP_SET_STABLE_IF_KEPT);
		atomic_fetch_add(&a->r->refused, 1);
		return;
	}
	pause_a_bit(a);
	op(a, gfn, ESSA_OP_COMMIT_POTENTIAL);
	p->potential = true;
	atomic_fetch_add(&a->r->made, 1);
}

static void step(struct actor *a, uint64_t gfn)
{
	struct page *p = &a->r->page[gfn];

	switch (rnd(&a->seed) % 8) {
	case 0:
		verify(a, gfn);
		break;
	case 1:
		mem_hypercall(a->r->mem, ESSA_CMD_TEST_PAGE_OUT, gfn, 1, true);
		break;
	case 2:
		mem_hypercall(a->r->mem, ESSA_CMD_TEST_DISCARD, gfn, 1, true);
		break;
	case 3:
		make_stable(a, gfn);
		break;
	default:
		if (p->potential ? atomic_load(&p->done) != p->saved :
				   rnd(&a->seed) % 2)
			save(a, gfn);
		if (!p->potential)
			make_potential(a, gfn);
	}
}

static void *owner(void *arg)
{
	struct actor *a = arg;
	uint64_t n;

	while (!atomic_load(&a->r->stop)) {
		n = rnd(&a->seed) % (NR_FRAMES / NR_OWNERS);
		/* Other than the writers': each has some of each. */
		step(a, n + a->id * (NR_FRAMES / NR_OWNERS));
	}
	return NULL;
}

static void on_fatal(void *ctx, int err, const char *what)
{
	struct race *r = ctx;

	CHECK(r, 0, "fatal: %s (%d)", what, err);
}

static void start(struct race *r, bool storm, uint64_t limit)
{
	struct mem_config cfg = {
		.size_bytes = NR_FRAMES * MEM_PAGE_SIZE,
		.limit_bytes = limit,
		.swap_dir = swap_dir(),
		.swap_bytes = 2 * NR_FRAMES * MEM_PAGE_SIZE,
		.hinting = true,
		.potential = true,
		.storm = storm,
		.fatal = on_fatal,
		.ctx = r,
	};
	const struct mem_region *regions;
	const char *why = "?";
	uint64_t nr, i;
	size_t len;

	guest_init();
	if (mem_create(&r->mem, &cfg, &why))
		fail_msg("mem_create: %s", why);
	assert_int_equal(mem_start(r->mem), 0);
	r->table = mem_table(r->mem, &len, &nr);
	mem_regions(r->mem, &regions);
	r->ram = regions[0].hva;
	for (i = 0; i < NR_FRAMES; i++)
		pthread_rwlock_init(&r->page[i].mapped, NULL);
	assert_int_equal(mem_hypercall(r->mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       mem_features(r->mem), false),
			 0);
}

static void race(bool storm, uint64_t limit)
{
	struct race *r = calloc(1, sizeof(*r));
	struct actor a[NR_OWNERS + NR_WRITERS];
	uint64_t seed = test_seed();
	struct timespec pause = { 0 };
	struct mem_stats s;
	unsigned int i;
	uint64_t gfn;
	int failures;

	assert_non_null(r);
	start(r, storm, limit);
	for (i = 0; i < NR_OWNERS + NR_WRITERS; i++)
		a[i] = (struct actor){ .r = r,
				       .id = i < NR_OWNERS ? i : i - NR_OWNERS,
				       .seed = seed + i * 7919 + 1 };
	for (gfn = 0; gfn < NR_FRAMES; gfn++)
		renew(&a[0], gfn);
	for (i = 0; i < NR_OWNERS + NR_WRITERS; i++)
		pthread_create(&a[i].thread, NULL,
			       i < NR_OWNERS ? owner : writer, &a[i]);
	pause.tv_sec = (time_t)(stress_ms() / 1000);
	pause.tv_nsec = (long)(stress_ms() % 1000) * 1000000;
	nanosleep(&pause, NULL);
	atomic_store(&r->stop, true);
	for (i = 0; i < NR_OWNERS + NR_WRITERS; i++)
		pthread_join(a[i].thread, NULL);
	/* Nothing that was written is missing, nor anything discarded. */
	for (gfn = 0; gfn < NR_FRAMES; gfn++)
		if (make_stable(&a[0], gfn))
			verify(&a[0], gfn);
	mem_hypercall(r->mem, ESSA_CMD_DISABLE, 0, 0, false);
	mem_get_stats(r->mem, &s);
	printf("# made %lu, dirty %lu, found %lu, written %lu, too late %lu; host: discarded %lu armed %lu write faults %lu swapped out %lu in %lu lost %lu\n",
	       r->made, r->refused, r->found, r->written, r->hit,
	       s.discarded_potential, s.armed, s.fault_write, s.swapped_out,
	       s.swapped_in, s.discard_lost);
	failures = atomic_load(&r->failures);
	if (!failures) {
		assert_true(r->made > 100 && r->refused > 0);
		assert_true(s.fault_write > 0);
		assert_true(s.discarded_potential > 50);
		/* Each is found once. */
		assert_int_equal(s.discarded_potential, r->found);
		assert_int_equal(s.discarded_volatile, 0);
	}
	mem_stop(r->mem);
	mem_destroy(r->mem);
	for (gfn = 0; gfn < NR_FRAMES; gfn++)
		pthread_rwlock_destroy(&r->page[gfn].mapped);
	free(r);
	assert_int_equal(failures, 0);
}

static void no_write_is_lost_in_a_storm(void **s)
{
	(void)s;
	race(true, 0);
}

static void no_write_is_lost_at_the_limit(void **s)
{
	(void)s;
	race(false, 2 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_is_lost_in_a_storm),
		cmocka_unit_test(no_write_is_lost_at_the_limit),
	};

	alarm(600);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
