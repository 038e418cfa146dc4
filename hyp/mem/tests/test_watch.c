// SPDX-License-Identifier: GPL-2.0-only
/* Claims about mem_watch(): what is news, that it is told once, and never lost. */
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hyp/mem/tests/vm.h"

#define FRAMES 2048u /* 8 MiB */
/* More is a call that was lost. */
#define PATIENCE_MS 60000
#define NR_ROUNDS   20000u
#define NR_MAKERS   2
/* Looks between two that give the processor away; time to arm, in loads. */
#define NR_SPINS 1024u
#define NR_LOADS 64u

struct told {
	struct vm vm; /* first: a test VM's ctx is itself */
	int fd;	      /* eventfd: counts the calls */
};

static void on_news(void *ctx)
{
	eventfd_write(((struct told *)ctx)->fd, 1);
}

static void told_start(struct told *t, struct mem_config cfg)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	cfg.news = on_news;
	vm_start(&t->vm, cfg); /* zeroes it, and nothing is armed yet */
	t->fd = fd;
}

static void told_end(struct told *t)
{
	vm_end(&t->vm);
	close(t->fd);
}

/* Calls since the last time; does not wait. */
static uint64_t calls(struct told *t)
{
	eventfd_t n = 0;

	return eventfd_read(t->fd, &n) ? 0 : n;
}

static void await_call(struct told *t)
{
	struct pollfd in = { .fd = t->fd, .events = POLLIN };

	assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
	assert_int_equal(calls(t), 1);
}

/* Everything is known, and resident may move by @band frames. */
static void arm(struct told *t, const struct mem_stats *seen, uint64_t band)
{
	struct mem_watch w = {
		.cost = mem_cost(seen),
		.resident_min = seen->resident > band ? seen->resident - band :
							0,
		.resident_max = seen->resident + band,
		.over = seen->limit && seen->charged > seen->limit,
	};

	mem_watch(t->vm.mem, &w);
}

static void arm_now(struct told *t, uint64_t band)
{
	struct mem_stats seen = stats(&t->vm);

	arm(t, &seen, band);
}

static void resident_is_news_outside_its_band_once(void **state)
{
	struct told t;
	uint64_t i;

	(void)state;
	told_start(&t, CFG(.hinting = true));
	for (i = 0; i < FRAMES / 2; i++)
		put(&t.vm, i, i + 1);
	assert_int_equal(calls(&t), 0);
	arm_now(&t, 512);
	for (; i < FRAMES / 2 + 256; i++)
		put(&t.vm, i, i + 1);
	assert_int_equal(calls(&t), 0);
	for (; i < FRAMES; i++)
		put(&t.vm, i, i + 1);
	assert_int_equal(calls(&t), 1);
	/* Downwards, when the guest gives it up: costs nobody anything. */
	assert_int_equal(mem_give_up(t.vm.mem, 0, FRAMES / 2), 0);
	assert_int_equal(calls(&t), 0);
	arm_now(&t, 512);
	assert_int_equal(mem_give_up(t.vm.mem, FRAMES / 2, 256), 0);
	assert_int_equal(calls(&t), 0);
	assert_int_equal(mem_give_up(t.vm.mem, FRAMES / 2, FRAMES / 2), 0);
	assert_int_equal(calls(&t), 1);
	/* Who does not want to know any more is not told. */
	arm_now(&t, 0);
	mem_watch(t.vm.mem, NULL);
	put(&t.vm, 0, 1);
	assert_int_equal(calls(&t), 0);
	told_end(&t);
}

/* One by one: the band is wider than all of them. */
static void what_costs_something_is_news(void **state)
{
	struct told t;

	(void)state;
	told_start(&t, CFG(.hinting = true));
	put(&t.vm, 0, 1);
	put(&t.vm, 1, 1);
	put(&t.vm, 2, 1);
	arm_now(&t, FRAMES);
	put(&t.vm, 3, 1);
	assert_int_equal(calls(&t), 0);
	assert_int_equal(test_cmd(&t.vm, ESSA_CMD_TEST_PAGE_OUT, 0), 0);
	assert_int_equal(calls(&t), 1); /* page-out */
	arm_now(&t, FRAMES);
	assert_int_equal(get(&t.vm, 0), 1);
	assert_int_equal(calls(&t), 1); /* fault on a preserved frame */
	guest_op(t.vm.mem, t.vm.table, 1, ESSA_OP_SET_VOLATILE);
	arm_now(&t, FRAMES);
	assert_int_equal(test_cmd(&t.vm, ESSA_CMD_TEST_DISCARD, 1), 0);
	assert_int_equal(calls(&t), 1); /* discard */
	arm_now(&t, FRAMES);
	assert_int_equal(try_get(&t.vm, 1), GUEST_DISCARDED);
	assert_int_equal(calls(&t), 1); /* discard fault */
	/* Nor does a discard need a page. */
	assert_int_equal(test_cmd(&t.vm, ESSA_CMD_TEST_PAGE_OUT, 2), 0);
	guest_op(t.vm.mem, t.vm.table, 2, ESSA_OP_SET_VOLATILE);
	arm_now(&t, FRAMES);
	assert_int_equal(test_cmd(&t.vm, ESSA_CMD_TEST_DISCARD, 2), 0);
	assert_int_equal(calls(&t), 1);
	assert_int_equal(stats(&t.vm).discarded_volatile, 2);
	told_end(&t);
}

/* Without swap reclaim can do nothing about it: only the guest does. */
static void charges_that_reach_a_lowered_limit_are_news(void **state)
{
	struct told t;
	uint64_t i;

	(void)state;
	told_start(&t, CFG(NO_SWAP));
	for (i = 0; i < FRAMES; i++)
		put(&t.vm, i, i + 1);
	assert_int_equal(mem_set_limit(t.vm.mem, 4 * MIB), 0);
	arm_now(&t, FRAMES);
	assert_int_equal(mem_give_up(t.vm.mem, 0, FRAMES / 2 - 1), 0);
	assert_int_equal(calls(&t), 0);
	assert_int_equal(mem_give_up(t.vm.mem, FRAMES / 2, 1), 0);
	assert_int_equal(calls(&t), 1);
	/* Who has seen it there does not want to know that it falls on. */
	arm_now(&t, FRAMES);
	assert_int_equal(mem_give_up(t.vm.mem, FRAMES / 2, 64), 0);
	assert_int_equal(calls(&t), 0);
	told_end(&t);
}

static void what_happened_before_is_told_at_once(void **state)
{
	struct mem_stats seen;
	struct told t;

	(void)state;
	told_start(&t, CFG(.hinting = true));
	seen = stats(&t.vm);
	put(&t.vm, 0, 1);
	assert_int_equal(test_cmd(&t.vm, ESSA_CMD_TEST_PAGE_OUT, 0), 0);
	assert_int_equal(calls(&t), 0);
	arm(&t, &seen, FRAMES);
	assert_int_equal(calls(&t), 1);
	told_end(&t);
}

static void *get_first(void *arg)
{
	struct told *t = arg;

	assert_int_equal(get(&t->vm, 0), 7);
	return NULL;
}

/* A disk may take its time, and one that fails takes all there is. */
static void a_fault_is_news_before_its_page_is_read(void **state)
{
	pthread_t guest;
	struct told t;
	int file;

	(void)state;
	told_start(&t, CFG(.hinting = true, .trouble = on_trouble));
	put(&t.vm, 0, 7);
	assert_int_equal(test_cmd(&t.vm, ESSA_CMD_TEST_PAGE_OUT, 0), 0);
	arm_now(&t, FRAMES);
	file = replace_by(&t.vm, FAILS_TO_READ, O_RDWR);
	assert_int_equal(pthread_create(&guest, NULL, get_first, &t), 0);
	await_call(&t);
	assert_int_equal(stats(&t.vm).preserved, 1);
	restore(&t.vm, file);
	mem_retry(t.vm.mem);
	pthread_join(guest, NULL);
	told_end(&t);
}

struct maker {
	struct told *t;
	pthread_t thread;
	_Atomic uint64_t *seen;
};

/* Each change waits until it has been seen: one that is not told of hangs. */
static void *make_changes(void *arg)
{
	struct maker *m = arg;
	struct mem *mem = m->t->vm.mem;
	uint64_t mine, i, n;

	for (i = 0; i < NR_ROUNDS; i++) {
		mine = atomic_fetch_add(&mem->count.fault_discard, 1) + 1;
		watch_look(mem);
		for (n = 1; atomic_load(m->seen) < mine; n++)
			if (n % NR_SPINS == 0)
				sched_yield();
	}
	return NULL;
}

static void no_change_is_lost_whoever_is_faster(void **state)
{
	struct maker makers[NR_MAKERS];
	_Atomic uint64_t seen = 0;
	struct mem_stats now;
	struct told t;
	unsigned int i, n = 0;

	(void)state;
	told_start(&t, CFG(NO_SWAP));
	for (i = 0; i < NR_MAKERS; i++) {
		makers[i] = (struct maker){ .t = &t, .seen = &seen };
		assert_int_equal(pthread_create(&makers[i].thread, NULL,
						make_changes, &makers[i]),
				 0);
	}
	do {
		now = stats(&t.vm);
		/* Before it is armed: what comes in between must be told. */
		atomic_store(&seen, now.fault_discard);
		for (i = n++ % NR_LOADS; i; i--)
			atomic_load(&seen);
		arm(&t, &now, FRAMES);
		await_call(&t);
	} while (stats(&t.vm).fault_discard < NR_MAKERS * NR_ROUNDS);
	atomic_store(&seen, UINT64_MAX);
	for (i = 0; i < NR_MAKERS; i++)
		pthread_join(makers[i].thread, NULL);
	assert_int_equal(calls(&t), 0);
	told_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resident_is_news_outside_its_band_once),
		cmocka_unit_test(what_costs_something_is_news),
		cmocka_unit_test(charges_that_reach_a_lowered_limit_are_news),
		cmocka_unit_test(what_happened_before_is_told_at_once),
		cmocka_unit_test(a_fault_is_news_before_its_page_is_read),
		cmocka_unit_test(no_change_is_lost_whoever_is_faster),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
