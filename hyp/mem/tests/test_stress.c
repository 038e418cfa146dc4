// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest threads against reclaim, seeded: every frame carries stamps that name
 * it, so that lost data, silent zeros, invented discards and data of another
 * frame are all told apart.  STRESS_MS sets the length of a case.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/tests/guest.h"

#define NR_GUESTS 3u
#define NR_FRAMES 1536u
#define NR_STAMPS 4u

enum kind { FREE, STABLE, KEPT }; /* KEPT: volatile */

struct page {
	enum kind kind;
	uint64_t stamp;
};

struct stress {
	struct mem *mem;
	uint8_t *table;
	uint8_t *ram;
	struct page page[NR_FRAMES];
	_Atomic bool stop;
	_Atomic uint64_t found; /* discards of volatile content */
	_Atomic uint64_t discard_faults, verified, reused;
	_Atomic int failures;
};

struct guest {
	struct stress *st;
	unsigned int id;
	uint64_t seed;
	uint64_t seq;
	pthread_t thread;
};

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static volatile uint64_t *stamp_at(struct stress *st, uint64_t gfn,
				   unsigned int i)
{
	return (volatile uint64_t *)(st->ram + gfn * MEM_PAGE_SIZE +
				     i * (MEM_PAGE_SIZE - 8) / (NR_STAMPS - 1) /
					     8 * 8);
}

static uint8_t op(struct guest *g, uint64_t gfn, unsigned int which)
{
	int32_t ret;

	/* Now and then by the slow path, which must do the same. */
	if (which <= ESSA_OP_SET_STABLE_IF_KEPT && rnd(&g->seed) % 16 == 0) {
		ret = mem_hypercall(g->st->mem, ESSA_CMD_OP + which, gfn, 1,
				    false);
		CHECK(g->st, ret >= 0 && ret >> 8 == 1, "op %u: %d", which,
		      ret);
		return (uint8_t)ret;
	}
	return guest_op(g->st->mem, g->st->table, gfn, which);
}

/*
 * Read all stamps of a frame.  Return: false if it has been discarded, which
 * is only allowed where @kept.
 */
static bool verify(struct guest *g, uint64_t gfn, uint64_t want, bool kept)
{
	struct stress *st = g->st;
	unsigned int i;
	uint64_t val;

	for (i = 0; i < NR_STAMPS; i++) {
		switch (guest_access(st->mem, stamp_at(st, gfn, i), &val, 0)) {
		case GUEST_OK:
			CHECK(st, val == want,
			      "gfn %lu word %u: %lx, not %lx: %s", gfn, i, val,
			      want, kept ? "silent zeros" : "lost data");
			break;
		case GUEST_DISCARDED:
			CHECK(st, kept, "gfn %lu: invented discard", gfn);
			return !kept;
		default:
			CHECK(st, 0, "gfn %lu: fault loop", gfn);
		}
	}
	atomic_fetch_add(&st->verified, 1);
	return true;
}

static void scribe(struct guest *g, uint64_t gfn)
{
	struct page *p = &g->st->page[gfn];
	unsigned int i;

	p->stamp = gfn << 40 | ++g->seq;
	for (i = 0; i < NR_STAMPS; i++)
		CHECK(g->st,
		      guest_access(g->st->mem, stamp_at(g->st, gfn, i),
				   &p->stamp, 1) == GUEST_OK,
		      "gfn %lu: stable page not writable", gfn);
}

/* What was discarded is reused at once: this is what late release must bear. */
static void reuse(struct guest *g, uint64_t gfn)
{
	op(g, gfn, ESSA_OP_SET_UNUSED);
	op(g, gfn, ESSA_OP_SET_STABLE);
	g->st->page[gfn].kind = STABLE;
	scribe(g, gfn);
	atomic_fetch_add(&g->st->reused, 1);
}

static void lost(struct guest *g, uint64_t gfn)
{
	atomic_fetch_add(&g->st->found, 1);
	reuse(g, gfn);
}

static void make_volatile(struct guest *g, uint64_t gfn)
{
	uint8_t now;

	if (rnd(&g->seed) & 1) {
		op(g, gfn, ESSA_OP_SET_PENDING);
		op(g, gfn, ESSA_OP_COMMIT_VOLATILE);
	} else {
		op(g, gfn, ESSA_OP_SET_VOLATILE);
	}
	now = __atomic_load_n(&g->st->table[gfn], __ATOMIC_SEQ_CST);
	/* Refused only without content, and stamps are not zero. */
	CHECK(g->st, (now & ESSA_USAGE_MASK) == ESSA_VOLATILE,
	      "gfn %lu: not made volatile: %02x", gfn, now);
	g->st->page[gfn].kind = KEPT;
}

static void device_access(struct guest *g, uint64_t gfn)
{
	struct page *p = &g->st->page[gfn];
	uint64_t gpa = gfn * MEM_PAGE_SIZE;
	uint64_t val = 0;
	int err;

	err = mem_read(g->st->mem, gpa, &val, 8);
	if (p->kind == KEPT && err == -EFAULT) {
		atomic_fetch_add(&g->st->found, 1);
		reuse(g, gfn);
	} else if (p->kind != FREE) {
		CHECK(g->st, !err && val == p->stamp,
		      "gfn %lu: device read %d, %lx not %lx", gfn, err, val,
		      p->stamp);
	}
}

static void step_kept(struct guest *g, uint64_t gfn)
{
	struct page *p = &g->st->page[gfn];
	uint8_t old;

	switch (rnd(&g->seed) % 4) {
	case 0:
		if (!verify(g, gfn, p->stamp, true)) {
			atomic_fetch_add(&g->st->discard_faults, 1);
			lost(g, gfn);
		}
		break;
	case 1:
		old = op(g, gfn, ESSA_OP_SET_STABLE_IF_KEPT);
		if (essa_is_discarded(old)) {
			lost(g, gfn);
			break;
		}
		p->kind = STABLE;
		verify(g, gfn, p->stamp, false);
		break;
	case 2:
		old = op(g, gfn, ESSA_OP_SET_UNUSED);
		if (essa_is_discarded(old))
			atomic_fetch_add(&g->st->found, 1);
		p->kind = FREE;
		break;
	default:
		device_access(g, gfn);
	}
}

static void step_stable(struct guest *g, uint64_t gfn)
{
	struct page *p = &g->st->page[gfn];

	switch (rnd(&g->seed) % 8) {
	case 0:
		verify(g, gfn, p->stamp, false);
		scribe(g, gfn);
		break;
	case 1:
		verify(g, gfn, p->stamp, false);
		op(g, gfn, ESSA_OP_SET_UNUSED);
		p->kind = FREE;
		break;
	case 2:
		device_access(g, gfn);
		break;
	case 3:
		/* As stable, since nobody has armed it. */
		op(g, gfn, ESSA_OP_SET_POTENTIAL);
		verify(g, gfn, p->stamp, false);
		op(g, gfn, ESSA_OP_SET_STABLE);
		break;
	case 4:
		verify(g, gfn, p->stamp, false);
		break;
	default:
		make_volatile(g, gfn);
	}
}

static void step_free(struct guest *g, uint64_t gfn)
{
	struct page *p = &g->st->page[gfn];
	uint64_t val = 0;

	if (rnd(&g->seed) % 8 == 0) {
		/* No content: but never somebody else's. */
		guest_access(g->st->mem, stamp_at(g->st, gfn, 0), &val, 0);
		CHECK(g->st, !val || val >> 40 == gfn,
		      "gfn %lu: data of another frame: %lx", gfn, val);
		return;
	}
	op(g, gfn,
	   rnd(&g->seed) % 8 ? ESSA_OP_SET_STABLE :
			       ESSA_OP_SET_STABLE_RESIDENT);
	p->kind = STABLE;
	scribe(g, gfn);
}

/* The last look: afterwards the frame can no longer be discarded. */
static void account(struct guest *g, uint64_t gfn)
{
	if (essa_is_discarded(op(g, gfn, ESSA_OP_SET_STABLE_IF_KEPT)))
		lost(g, gfn);
	verify(g, gfn, g->st->page[gfn].stamp, false);
}

static void *guest_thread(void *arg)
{
	struct guest *g = arg;
	struct stress *st = g->st;
	uint64_t gfn;

	while (!atomic_load(&st->stop)) {
		gfn = rnd(&g->seed) % (NR_FRAMES / NR_GUESTS) * NR_GUESTS +
		      g->id;
		/* Frame 0 cannot be told from zero by its stamp alone. */
		if (!gfn)
			continue;
		switch (st->page[gfn].kind) {
		case FREE:
			step_free(g, gfn);
			break;
		case STABLE:
			step_stable(g, gfn);
			break;
		case KEPT:
			step_kept(g, gfn);
		}
	}
	/* All at once, after the race: whatever was damaged unseen. */
	for (gfn = g->id ? g->id : NR_GUESTS; gfn < NR_FRAMES;
	     gfn += NR_GUESTS) {
		struct page *p = &st->page[gfn];

		if (p->kind == STABLE)
			verify(g, gfn, p->stamp, false);
		else if (p->kind == KEPT)
			account(g, gfn);
	}
	return NULL;
}

static void on_fatal(void *ctx, int err, const char *what)
{
	struct stress *st = ctx;

	CHECK(st, 0, "fatal: %s (%d)", what, err);
}

static struct stress *stress_start(bool storm, uint64_t limit)
{
	struct stress *st = calloc(1, sizeof(*st));
	struct mem_config cfg = {
		.size_bytes = NR_FRAMES * MEM_PAGE_SIZE,
		.limit_bytes = limit,
		.swap_dir = swap_dir(),
		.swap_bytes = 2 * NR_FRAMES * MEM_PAGE_SIZE,
		.hinting = true,
		.potential = true,
		.storm = storm,
		.fatal = on_fatal,
		.ctx = st,
	};
	const struct mem_region *r;
	const char *why = "?";
	uint64_t nr;
	size_t len;

	assert_non_null(st);
	guest_init();
	if (mem_create(&st->mem, &cfg, &why))
		fail_msg("mem_create: %s", why);
	assert_int_equal(mem_start(st->mem), 0);
	st->table = mem_table(st->mem, &len, &nr);
	mem_regions(st->mem, &r);
	st->ram = r[0].hva;
	assert_int_equal(mem_hypercall(st->mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       mem_features(st->mem), false),
			 0);
	return st;
}

/* What is accounted for is what the host kernel has: no more, no less. */
static void expect_true_account(struct stress *st)
{
	unsigned char here[NR_FRAMES];
	struct mem_stats s;
	uint64_t i, n = 0;

	mem_get_stats(st->mem, &s);
	assert_int_equal(mincore(st->ram, sizeof(here) * MEM_PAGE_SIZE, here),
			 0);
	for (i = 0; i < NR_FRAMES; i++)
		n += here[i] & 1;
	assert_int_equal(n, s.resident - s.probation);
	assert_int_equal(mincore(st->mem->probation.area,
				 sizeof(here) * MEM_PAGE_SIZE, here),
			 0);
	for (i = 0, n = 0; i < NR_FRAMES; i++)
		n += here[i] & 1;
	assert_int_equal(n, s.probation);
}

static void stress_end(struct stress *st)
{
	mem_stop(st->mem);
	expect_true_account(st);
	mem_destroy(st->mem);
	free(st);
}

static void race(bool storm, uint64_t limit, bool vary)
{
	struct stress *st = stress_start(storm, limit);
	uint64_t seed = test_seed();
	struct guest g[NR_GUESTS];
	struct mem_stats s;
	uint64_t end = now_ns() + stress_ms() * 1000000;
	unsigned int i;
	int failures;

	for (i = 0; i < NR_GUESTS; i++) {
		g[i] = (struct guest){ .st = st,
				       .id = i,
				       .seed = seed + i * 7919 + 1 };
		pthread_create(&g[i].thread, NULL, guest_thread, &g[i]);
	}
	while (now_ns() < end) {
		sleep_ms(5);
		if (vary)
			mem_set_limit(st->mem,
				      MIB + rnd(&seed) % (NR_FRAMES - 256) *
						      MEM_PAGE_SIZE);
	}
	atomic_store(&st->stop, true);
	for (i = 0; i < NR_GUESTS; i++)
		pthread_join(g[i].thread, NULL);
	/* Returns when no discard is in flight any more: counters are final. */
	mem_hypercall(st->mem, ESSA_CMD_DISABLE, 0, 0, false);
	mem_get_stats(st->mem, &s);
	printf("# verified %lu reused %lu found %lu by fault %lu; host: volatile %lu unused %lu swapped out %lu in %lu waits %lu lost %lu stale %lu\n",
	       st->verified, st->reused, st->found, st->discard_faults,
	       s.discarded_volatile, s.discarded_unused, s.swapped_out,
	       s.swapped_in, s.busy_waits, s.discard_lost, s.fault_stale);
	failures = atomic_load(&st->failures);
	if (!failures) {
		assert_true(st->verified > 100);
		assert_true(s.discarded_volatile > 100);
		assert_true(st->discard_faults > 0);
		/* Each discard is seen by the guest exactly once. */
		assert_int_equal(s.discarded_volatile, st->found);
		if (limit)
			assert_true(s.resident_peak <=
				    (vary ? NR_FRAMES : limit / MEM_PAGE_SIZE));
	}
	stress_end(st);
	assert_int_equal(failures, 0);
}

static void nothing_is_lost_in_a_storm(void **s)
{
	(void)s;
	race(true, 0, false);
}

static void nothing_is_lost_at_the_limit(void **s)
{
	(void)s;
	race(false, 1 * MIB, false);
}

static void nothing_is_lost_when_the_limit_moves_in_a_storm(void **s)
{
	(void)s;
	race(true, 2 * MIB, true);
}

static void *scribbler(void *arg)
{
	struct guest *g = arg;
	struct stress *st = g->st;

	while (!atomic_load(&st->stop)) {
		uint64_t r = rnd(&g->seed);

		__atomic_store_n(&st->table[r % NR_FRAMES], (uint8_t)(r >> 32),
				 __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* A guest that does not keep to its own states: only its own data may go. */
static void *victim(void *arg)
{
	struct guest *g = arg;
	struct stress *st = g->st;
	enum guest_access a;
	uint64_t r, gfn, val;
	int32_t ret;

	while (!atomic_load(&st->stop)) {
		r = rnd(&g->seed);
		gfn = r % (NR_FRAMES / NR_GUESTS) * NR_GUESTS + g->id;
		val = gfn << 40 | 1;
		a = guest_access(st->mem, stamp_at(st, gfn, r >> 32 & 3), &val,
				 r >> 40 & 1);
		CHECK(st, a != GUEST_GAVE_UP, "gfn %lu: fault loop", gfn);
		if (a == GUEST_OK)
			CHECK(st, !val || val >> 40 == gfn,
			      "gfn %lu: data of another frame: %lx", gfn, val);
		atomic_fetch_add(&st->verified, 1);
		switch (r >> 48 & 7) {
		case 0:
			ret = mem_hypercall(st->mem, ESSA_CMD_WAIT,
					    r % NR_FRAMES, r >> 33 & 63, false);
			CHECK(st, ret == 0 || ret == -EINVAL, "wait: %d", ret);
			break;
		case 1:
			mem_hypercall(st->mem, ESSA_CMD_OP + (r >> 51) % 7,
				      r % NR_FRAMES, r >> 33 & 63, false);
			break;
		case 2:
			mem_read(st->mem, gfn * MEM_PAGE_SIZE, &val, 8);
			break;
		case 3:
			/* Whatever states they are in. */
			ret = mem_hypercall(st->mem, ESSA_CMD_ARM,
					    r % NR_FRAMES, r >> 33 & 255,
					    false);
			CHECK(st, ret == 0 || ret == -EINVAL, "arm: %d", ret);
			break;
		}
	}
	return NULL;
}

static void hostile_table_harms_only_its_own_guest(void **s)
{
	struct stress *st = stress_start(true, 2 * MIB);
	uint64_t seed = test_seed();
	struct guest g[NR_GUESTS + 1];
	struct mem_stats stats;
	struct mem_dist dist;
	unsigned int i, k;
	uint64_t gfn, val, sum = 0;
	int failures;

	(void)s;
	for (i = 0; i <= NR_GUESTS; i++) {
		g[i] = (struct guest){ .st = st,
				       .id = i,
				       .seed = seed + i * 7919 + 1 };
		pthread_create(&g[i].thread, NULL,
			       i < NR_GUESTS ? victim : scribbler, &g[i]);
	}
	sleep_ms((long)stress_ms());
	atomic_store(&st->stop, true);
	for (i = 0; i <= NR_GUESTS; i++)
		pthread_join(g[i].thread, NULL);
	/* And afterwards everything works as if nothing had happened. */
	assert_int_equal(mem_hypercall(st->mem, ESSA_CMD_DISABLE, 0, 0, false),
			 0);
	for (gfn = 0; gfn < NR_FRAMES; gfn++) {
		val = gfn;
		assert_int_equal(guest_access(st->mem, stamp_at(st, gfn, 0),
					      &val, 1),
				 GUEST_OK);
	}
	for (gfn = 0; gfn < NR_FRAMES; gfn++) {
		assert_int_equal(guest_access(st->mem, stamp_at(st, gfn, 0),
					      &val, 0),
				 GUEST_OK);
		assert_int_equal(val, gfn);
	}
	mem_get_dist(st->mem, &dist);
	for (i = 0; i < 4; i++)
		for (k = 0; k < 3; k++)
			sum += dist.n[i][k];
	assert_int_equal(sum, NR_FRAMES);
	mem_get_stats(st->mem, &stats);
	printf("# accesses %lu, armed %lu, written %lu, discarded as clean %lu\n",
	       st->verified, stats.armed, stats.fault_write,
	       stats.discarded_potential);
	assert_true(stats.fault_write > 0);
	assert_true(stats.discarded_potential > 0);
	failures = atomic_load(&st->failures);
	stress_end(st);
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_in_a_storm),
		cmocka_unit_test(nothing_is_lost_at_the_limit),
		cmocka_unit_test(
			nothing_is_lost_when_the_limit_moves_in_a_storm),
		cmocka_unit_test(hostile_table_harms_only_its_own_guest),
	};

	alarm(600);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
