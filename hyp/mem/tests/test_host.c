// SPDX-License-Identifier: GPL-2.0-only
/* Older hosts, as HYP_WITHOUT has them: the same memory, by other means. */
#include "hyp/mem/host.h"
#include "hyp/mem/tests/vm.h"

#define NR    1024u
#define LIMIT 256u

static void without(const char *list)
{
	if (list)
		setenv("HYP_WITHOUT", list, 1);
	else
		unsetenv("HYP_WITHOUT");
}

struct writer {
	struct vm *vm;
	pthread_t thread;
	uint64_t seed;
	uint64_t value[NR]; /* frame: what was written last */
};

/* Its own frames, more than may be resident: what is written is never lost. */
static void *write_and_check(void *arg)
{
	struct writer *w = arg;
	uint64_t gfn, val;
	unsigned int i;

	for (i = 1; i <= 4000; i++) {
		gfn = rnd(&w->seed) % NR;
		if (guest_access(w->vm->mem, word(w->vm, gfn), &val, 0))
			return "no access";
		if (val != w->value[gfn])
			return "lost write";
		val = w->value[gfn] = i;
		if (guest_access(w->vm->mem, word(w->vm, gfn), &val, 1))
			return "no access";
	}
	return NULL;
}

/* Page-out under writes, page-in, discards of all kinds. */
static void works(struct vm *vm)
{
	struct writer *w = calloc(1, sizeof(*w));
	void *err;
	uint64_t i;

	assert_non_null(w);
	w->vm = vm;
	w->seed = test_seed();
	pthread_create(&w->thread, NULL, write_and_check, w);
	pthread_join(w->thread, &err);
	if (err)
		fail_msg("%s", (const char *)err);
	free(w);
	assert_true(stats(vm).swapped_out > NR);
	assert_true(stats(vm).swapped_in > NR);
	assert_true(stats(vm).resident_peak <= LIMIT);
	for (i = NR; i < NR + 64; i++) {
		put(vm, i, i);
		guest_op(vm->mem, vm->table, i, ESSA_OP_SET_VOLATILE);
	}
	assert_int_equal(mem_set_limit(vm->mem, 0), 0);
	for (i = NR; i < NR + 64; i++)
		test_cmd(vm, ESSA_CMD_TEST_DISCARD, i);
	for (i = NR; i < NR + 64; i++) {
		assert_int_equal(try_get(vm, i), GUEST_DISCARDED);
		guest_op(vm->mem, vm->table, i, ESSA_OP_SET_STABLE);
		assert_int_equal(get(vm, i), 0);
	}
	assert_int_equal(atomic_load(&vm->fatal_calls), 0);
}

static void start(struct vm *vm, const char *list)
{
	without(list);
	vm_start(vm, CFG(.limit_bytes = LIMIT * MEM_PAGE_SIZE, .hinting = true,
			 .potential = true));
	without(NULL);
}

static bool uses(struct vm *vm, const char *name)
{
	const char *names[MEM_MAX_HOST];
	unsigned int i, nr = mem_host(vm->mem, names);

	for (i = 0; i < nr; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void end(struct vm *vm)
{
	works(vm);
	vm_end(vm);
}

static void all_that_the_host_has_is_used(void **s)
{
	struct vm vm;

	(void)s;
	start(&vm, NULL);
	if (!uffd_can_move())
		printf("# this host has no UFFDIO_MOVE\n");
	assert_int_equal(uses(&vm, "move"), uffd_can_move());
	assert_int_equal(uses(&vm, "io_uring"),
			 vm.mem->pager.in.queue.has_ring);
	assert_int_equal(uses(&vm, "direct"), vm.mem->swap->direct);
	assert_true(uses(&vm, "poison"));
	end(&vm);
}

#define HOT 8u

struct hot_writer {
	struct vm *vm;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic uint64_t turns;
};

/* Counts in each page, without a pause: it is always just being written to. */
static void *count_up(void *arg)
{
	struct hot_writer *w = arg;
	uint64_t n, val;
	unsigned int i;

	for (n = 1; !atomic_load(&w->stop); n++) {
		for (i = 0; i < HOT; i++) {
			if (guest_access(w->vm->mem, word(w->vm, i), &val, 0))
				return "no access";
			if (val != n - 1)
				return "lost write";
			val = n;
			if (guest_access(w->vm->mem, word(w->vm, i), &val, 1))
				return "no access";
		}
		atomic_fetch_add(&w->turns, 1);
	}
	return NULL;
}

static void copied_page_has_what_was_written_last(void **s)
{
	struct hot_writer w = { .stop = false };
	unsigned int i, done = 0;
	struct vm vm;
	void *err;

	(void)s;
	start(&vm, "move");
	w.vm = &vm;
	for (i = 0; i < HOT; i++)
		put(&vm, i, 0);
	pthread_create(&w.thread, NULL, count_up, &w);
	WAIT_UNTIL(atomic_load(&w.turns) > 1000);
	for (i = 0; i < 3000; i++)
		done += !test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, i % HOT);
	atomic_store(&w.stop, true);
	pthread_join(w.thread, &err);
	if (err)
		fail_msg("%s", (const char *)err);
	assert_true(done > 100);
	vm_end(&vm);
}

static void pages_are_copied_without_move(void **s)
{
	struct vm vm;

	(void)s;
	start(&vm, "move");
	assert_false(uffd_can_move());
	assert_true(mem_features(vm.mem) & ESSA_FEAT_POTENTIAL);
	end(&vm);
}

static void nothing_is_potential_without_wp(void **s)
{
	struct vm vm;

	(void)s;
	without(NULL);
	start(&vm, "wp");
	if (!uffd_can_move()) {
		vm_end(&vm);
		skip();
	}
	assert_false(mem_features(vm.mem) & ESSA_FEAT_POTENTIAL);
	end(&vm);
}

static void transfers_are_one_by_one_without_io_uring(void **s)
{
	struct vm vm;

	(void)s;
	start(&vm, "io_uring");
	assert_false(vm.mem->pager.in.queue.has_ring);
	assert_false(vm.mem->pageout.queue.has_ring);
	end(&vm);
}

static void oldest_host_has_none_of_them(void **s)
{
	struct vm vm;

	(void)s;
	start(&vm, "move,process_madvise,io_uring,direct");
	assert_false(uffd_can_move());
	assert_false(uses(&vm, "move"));
	assert_true(uses(&vm, "wp"));
	assert_false(uses(&vm, "io_uring") || uses(&vm, "direct") ||
		     uses(&vm, "process_madvise"));
	assert_false(vm.mem->has_process_madvise);
	assert_false(vm.mem->pager.in.queue.has_ring);
	assert_false(vm.mem->swap->direct);
	end(&vm);
}

static void refused(const char *list, const char *line)
{
	const struct mem_config cfg = { .size_bytes = 8 * MIB };
	const char *why = "?";
	struct mem *mem;

	without(list);
	assert_true(mem_create(&mem, &cfg, &why) < 0);
	without(NULL);
	if (!strstr(why, line))
		fail_msg("%s: %s", list, why);
}

static void too_old_a_host_is_told_in_a_line(void **s)
{
	(void)s;
	refused("poison", "the host needs Linux 6.6 or newer");
	refused("wp,move", "the host needs Linux 6.6 or newer");
	refused("wings", "HYP_WITHOUT must be some of");
	refused("poisonous", "HYP_WITHOUT must be some of");
	refused("io_uring,,direct", "HYP_WITHOUT must be some of");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_the_host_has_is_used),
		cmocka_unit_test(pages_are_copied_without_move),
		cmocka_unit_test(copied_page_has_what_was_written_last),
		cmocka_unit_test(nothing_is_potential_without_wp),
		cmocka_unit_test(transfers_are_one_by_one_without_io_uring),
		cmocka_unit_test(oldest_host_has_none_of_them),
		cmocka_unit_test(too_old_a_host_is_told_in_a_line),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
