// SPDX-License-Identifier: GPL-2.0-only
/* Claims about the resident limit, the order of reclaim and what ends a VM. */
#include <sys/mount.h>
#include <sys/stat.h>

#include "hyp/mem/tests/vm.h"

#define FRAMES 2048u /* 8 MiB */

static void fill_all(struct vm *vm)
{
	uint64_t i;

	for (i = 0; i < FRAMES; i++)
		put(vm, i, i + 1);
}

static void make(struct vm *vm, unsigned int op, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		guest_op(vm->mem, vm->table, first, op);
}

static uint64_t discarded(struct vm *vm, uint64_t first, uint64_t end)
{
	uint64_t n = 0;

	for (; first < end; first++)
		n += (state(vm, first) & ESSA_CONTENT_MASK) == ESSA_ZERO;
	return n;
}

static void limit_to(struct vm *vm, uint64_t frames)
{
	assert_int_equal(mem_set_limit(vm->mem, frames * MEM_PAGE_SIZE), 0);
	WAIT_UNTIL(stats(vm).resident <= frames);
	/* The round that got there is over when no frame is busy. */
	assert_true(mem_hypercall(vm->mem, ESSA_CMD_WAIT, 0, FRAMES, false) <=
		    0);
}

static void lowered_limit_is_reached_and_nothing_lost(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG());
	fill_all(&vm);
	assert_int_equal(stats(&vm).resident, FRAMES);
	limit_to(&vm, 256);
	for (i = 0; i < FRAMES; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_true(stats(&vm).resident <= 256);
	assert_int_equal(mem_set_limit(vm.mem, 0), 0);
	assert_int_equal(stats(&vm).limit, 0);
	assert_int_equal(mem_set_limit(vm.mem, 4096), -EINVAL);
	assert_int_equal(mem_set_limit(vm.mem, 4 * MIB + 1), -EINVAL);
	assert_int_equal(mem_set_limit(vm.mem, 16 * MIB), -EINVAL);
	vm_end(&vm);
}

static void unused_goes_first_then_longest_volatile_then_stable(void **s)
{
	struct mem_stats st;
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	fill_all(&vm);
	make(&vm, ESSA_OP_SET_UNUSED, 0, 256);
	make(&vm, ESSA_OP_SET_VOLATILE, 1024, 1536); /* old */
	limit_to(&vm, FRAMES - 100);
	st = stats(&vm);
	assert_true(st.discarded_unused >= 100);
	assert_int_equal(st.discarded_volatile, 0);
	make(&vm, ESSA_OP_SET_VOLATILE, 256, 768); /* young, below the old */
	limit_to(&vm, FRAMES - 600);
	assert_int_equal(discarded(&vm, 0, 256), 256);
	assert_in_range(discarded(&vm, 1024, 1536), 100, 512);
	assert_int_equal(discarded(&vm, 256, 768), 0);
	assert_int_equal(stats(&vm).swapped_out, 0);
	limit_to(&vm, 1000);
	assert_int_equal(stats(&vm).swapped_out, 0);
	limit_to(&vm, 512);
	assert_true(stats(&vm).swapped_out > 0);
	assert_int_equal(stats(&vm).discarded_volatile, 1024);
	for (i = 768; i < 1024; i++)
		assert_int_equal(get(&vm, i), i + 1);
	vm_end(&vm);
}

struct told {
	struct vm vm; /* first: a test VM's ctx is itself */
	_Atomic int now, changes;
};

static void on_pressure(void *ctx, bool on)
{
	struct told *told = ctx;

	atomic_store(&told->now, on);
	atomic_fetch_add(&told->changes, 1);
}

static void pressure_comes_before_the_limit(void **s)
{
	struct told told = { .now = -1 };
	struct vm *vm = &told.vm;
	uint64_t i;

	(void)s;
	vm_start(vm, CFG(.hinting = true, .pressure = on_pressure));
	for (i = 0; i < FRAMES / 2; i++)
		put(vm, i, i + 1);
	assert_int_equal(atomic_load(&told.changes), 0);
	/* 1024 frames are below three quarters of 1600 and above those of 1300. */
	assert_int_equal(mem_set_limit(vm->mem, 1600 * MEM_PAGE_SIZE), 0);
	assert_int_equal(atomic_load(&told.changes), 0);
	assert_int_equal(mem_set_limit(vm->mem, 1300 * MEM_PAGE_SIZE), 0);
	assert_int_equal(atomic_load(&told.now), 1);
	assert_int_equal(stats(vm).swapped_out, 0);
	/* Not until below two thirds, which 1024 are of 1537 and more. */
	assert_int_equal(mem_set_limit(vm->mem, 1500 * MEM_PAGE_SIZE), 0);
	assert_int_equal(atomic_load(&told.changes), 1);
	assert_int_equal(mem_set_limit(vm->mem, 0), 0);
	assert_int_equal(atomic_load(&told.now), 0);
	/* By filling, too. */
	assert_int_equal(mem_set_limit(vm->mem, 1600 * MEM_PAGE_SIZE), 0);
	assert_int_equal(atomic_load(&told.changes), 2);
	for (; i < FRAMES * 5 / 8; i++)
		put(vm, i, i + 1);
	assert_int_equal(atomic_load(&told.now), 1);
	vm_end(vm);
}

static void always_pressure_needs_no_limit(void **s)
{
	struct told told = { .now = -1 };

	(void)s;
	vm_start(&told.vm, CFG(.hinting = true, .pressure = on_pressure,
			       .always_pressure = true));
	put(&told.vm, 0, 1);
	assert_int_equal(atomic_load(&told.now), 1);
	assert_int_equal(mem_set_limit(told.vm.mem, 1600 * MEM_PAGE_SIZE), 0);
	assert_int_equal(mem_set_limit(told.vm.mem, 0), 0);
	assert_int_equal(atomic_load(&told.changes), 1);
	vm_end(&told.vm);
}

static void storm_takes_volatile_frames_without_a_limit(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .storm = true));
	fill_all(&vm);
	make(&vm, ESSA_OP_SET_VOLATILE, 100, 200);
	make(&vm, ESSA_OP_SET_UNUSED, 300, 400);
	WAIT_UNTIL(stats(&vm).discarded_volatile == 100 &&
		   stats(&vm).discarded_unused == 100);
	assert_int_equal(try_get(&vm, 150), GUEST_DISCARDED);
	assert_int_equal(get(&vm, 350), 0);
	assert_int_equal(get(&vm, 50), 51);
	vm_end(&vm);
}

/* TSan delivers no signal to a thread that sleeps in a page fault. */
#ifdef __SANITIZE_THREAD__
#define NEEDS_KICK() skip()
#else
#define NEEDS_KICK()                                                           \
	do {                                                                   \
	} while (0)
#endif

/* Writes frame after frame until something stops it. */
struct asked {
	_Atomic bool done;
	_Atomic uint64_t frames;
};

static void on_done(void *ctx, uint64_t nr_frames)
{
	struct asked *asked = ctx;

	atomic_store(&asked->frames, nr_frames);
	atomic_store(&asked->done, true);
}

static uint64_t ask(struct vm *vm, uint64_t nr)
{
	struct asked asked = { false, 0 };

	assert_int_equal(mem_discard(vm->mem, nr, on_done, &asked), 0);
	WAIT_UNTIL(atomic_load(&asked.done));
	return atomic_load(&asked.frames);
}

static void what_is_asked_for_is_discarded_and_nothing_else(void **s)
{
	uint64_t i, first, second;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	fill_all(&vm);
	assert_int_equal(ask(&vm, 100), 0);
	make(&vm, ESSA_OP_SET_UNUSED, 0, 256);
	make(&vm, ESSA_OP_SET_VOLATILE, 256, 1024);
	first = ask(&vm, 300);
	assert_true(first >= 300 && first < 300 + 2 * FRAME_BLOCK);
	assert_int_equal(stats(&vm).resident, FRAMES - first);
	assert_int_equal(discarded(&vm, 0, 256), 256);
	second = ask(&vm, FRAMES);
	assert_int_equal(first + second, 1024);
	assert_int_equal(ask(&vm, FRAMES), 0);
	assert_int_equal(mem_discard(vm.mem, 0, on_done, NULL), -EINVAL);
	for (i = 1024; i < FRAMES; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_int_equal(stats(&vm).swapped_out, 0);
	vm_end(&vm);
}

static void *eater(void *arg)
{
	struct vm *vm = arg;
	uint64_t i;

	for (i = 0; i < FRAMES; i++) {
		uint64_t val = i + 1;

		if (guest_access(vm->mem, word(vm, i), &val, 1) != GUEST_OK)
			return (void *)(uintptr_t)i;
	}
	return (void *)(uintptr_t)i;
}

static void expect_fatal(struct vm *vm, int err, const char *text)
{
	pthread_t thread;
	void *eaten;

	pthread_create(&thread, NULL, eater, vm);
	WAIT_UNTIL(atomic_load(&vm->fatal_calls));
	/* As the owner of the VM: kick the vCPU out, then stop. */
	sleep_ms(20);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &eaten);
	assert_true((uintptr_t)eaten < FRAMES);
	assert_int_equal(atomic_load(&vm->fatal_calls), 1);
	assert_int_equal(atomic_load(&vm->fatal_err), err);
	assert_non_null(strstr(atomic_load(&vm->fatal_what), text));
	assert_true(stats(vm).resident_peak <= 256);
}

static void full_swap_file_ends_the_vm_with_one_line(void **s)
{
	struct vm vm;

	(void)s;
	NEEDS_KICK();
	vm_start(&vm, CFG(.limit_bytes = MIB, .swap_dir = swap_dir(),
			  .swap_bytes = 2 * MIB));
	expect_fatal(&vm, -ENOSPC, "--swap-size");
	assert_int_equal(stats(&vm).preserved, 512);
	vm_end(&vm);
}

static void limit_without_swap_ends_the_vm_with_one_line(void **s)
{
	struct vm vm;

	(void)s;
	NEEDS_KICK();
	vm_start(&vm, CFG(.limit_bytes = MIB, NO_SWAP));
	expect_fatal(&vm, -ENOSPC, "--swap");
	vm_end(&vm);
}

static void limit_without_swap_is_held_by_discards_alone(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.limit_bytes = MIB, NO_SWAP, .hinting = true));
	for (i = 0; i < FRAMES; i++) {
		put(&vm, i, i + 1);
		if (i >= 100)
			make(&vm, ESSA_OP_SET_VOLATILE, i, i + 1);
	}
	for (i = 0; i < 100; i++)
		assert_int_equal(get(&vm, i), i + 1);
	assert_true(stats(&vm).discarded_volatile > FRAMES - 512);
	assert_true(stats(&vm).resident_peak <= 256);
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

static void full_disk_ends_the_vm_and_loses_nothing(void **s)
{
	char dir[] = "/tmp/hyp-test.XXXXXX";
	struct vm vm;
	uint64_t i;

	(void)s;
	assert_non_null(mkdtemp(dir));
	if (mount("tmpfs", dir, "tmpfs", 0, "size=64k")) {
		rmdir(dir);
		skip();
	}
	vm_start(&vm, CFG(.swap_dir = dir, .swap_bytes = MIB));
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	vm.mem->cfg.hinting = true; /* for the test hook only */
	for (i = 0; i < 64; i++)
		put(&vm, i, i + 1);
	for (i = 0; i < 64 && !atomic_load(&vm.fatal_calls); i++)
		test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, i);
	assert_in_range(i, 10, 17);
	assert_int_equal(atomic_load(&vm.fatal_err), -ENOSPC);
	assert_non_null(strstr(atomic_load(&vm.fatal_what), "space"));
	for (i = 0; i < 64; i++)
		assert_int_equal(get(&vm, i), i + 1);
	vm_end(&vm);
}

static void short_swap_file_is_an_error_not_zeros(void **s)
{
	uint64_t val = 1;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 1, 11);
	put(&vm, 2, 22);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 1), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 2), 0);
	assert_int_equal(ftruncate(vm.mem->swap->fd, 0), 0);
	assert_int_equal(mem_read(vm.mem, 4096, &val, 8), -EIO);
	assert_int_equal(mem_read(vm.mem, 8192, &val, 8), -EIO);
	assert_int_equal(atomic_load(&vm.fatal_calls), 1);
	assert_int_equal(atomic_load(&vm.fatal_err), -EIO);
	assert_int_equal(stats(&vm).preserved, 2);
	assert_int_equal(state(&vm, 1), ESSA_STABLE | ESSA_PRESERVED);
	vm_end(&vm);
}

static void device_range_beyond_the_limit_is_let_through(void **s)
{
	struct vm vm;
	void *hva;

	(void)s;
	vm_start(&vm, CFG(.limit_bytes = MIB));
	assert_int_equal(mem_get(vm.mem, 0, MIB + 16 * 4096, &hva), 0);
	memset(hva, 1, MIB + 16 * 4096);
	assert_true(stats(&vm).resident_peak <= 256 + 16);
	mem_put(vm.mem, 0, MIB + 16 * 4096);
	WAIT_UNTIL(stats(&vm).resident <= 256);
	vm_end(&vm);
}

struct call {
	struct vm *vm;
	uint64_t gfn;
	_Atomic int done;
	int ret;
};

static void *wait_call(void *arg)
{
	struct call *c = arg;

	c->ret = mem_hypercall(c->vm->mem, ESSA_CMD_WAIT, 5, 1, false);
	atomic_store(&c->done, 1);
	return NULL;
}

static void *get_call(void *arg)
{
	struct call *c = arg;
	uint64_t val;

	c->ret = mem_read(c->vm->mem, c->gfn * 4096, &val, 8);
	atomic_store(&c->done, 1);
	return NULL;
}

static void stop_ends_waits_for_busy_frames(void **s)
{
	struct call call[2];
	pthread_t thread[2];
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 5, 5);
	/* A release that does not end. */
	frame_lock(vm.mem, 5);
	vm.mem->frames[5].busy = FRAME_DISCARD;
	frame_unlock(vm.mem, 5);
	__atomic_fetch_or(&vm.table[5], ESSA_BUSY, __ATOMIC_SEQ_CST);
	for (i = 0; i < 2; i++) {
		call[i] = (struct call){ .vm = &vm, .gfn = 5 };
		pthread_create(&thread[i], NULL, i ? get_call : wait_call,
			       &call[i]);
	}
	WAIT_UNTIL(({
		unsigned int n;

		frame_lock(vm.mem, 5);
		n = vm.mem->stripes[0].sleepers;
		frame_unlock(vm.mem, 5);
		n == 2;
	}));
	assert_false(atomic_load(&call[0].done) || atomic_load(&call[1].done));
	mem_stop(vm.mem);
	for (i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(call[i].ret, -ECANCELED);
	}
	mem_destroy(vm.mem);
}

static void stop_ends_waits_for_room(void **s)
{
	struct mem *mem;
	struct vm vm;
	struct call call = { .vm = &vm, .gfn = FRAMES - 1 };
	pthread_t thread;

	(void)s;
	NEEDS_KICK();
	vm_start(&vm, CFG(.limit_bytes = MIB));
	mem = vm.mem;
	/* The limit is used up and reclaim may not run: it waits for this. */
	pthread_mutex_lock(&mem->pageout.lock);
	pthread_create(&thread, NULL, eater, &vm);
	WAIT_UNTIL(atomic_load(&mem->limit.waiters) == 1);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, get_call, &call);
	WAIT_UNTIL(atomic_load(&mem->limit.waiters) == 2);
	atomic_store(&mem->stopping, true);
	limit_stop(mem);
	frames_stop(mem);
	pthread_mutex_unlock(&mem->pageout.lock);
	mem_stop(mem);
	pthread_join(thread, NULL);
	assert_int_equal(call.ret, -ECANCELED);
	mem_destroy(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lowered_limit_is_reached_and_nothing_lost),
		cmocka_unit_test(
			unused_goes_first_then_longest_volatile_then_stable),
		cmocka_unit_test(pressure_comes_before_the_limit),
		cmocka_unit_test(always_pressure_needs_no_limit),
		cmocka_unit_test(storm_takes_volatile_frames_without_a_limit),
		cmocka_unit_test(
			what_is_asked_for_is_discarded_and_nothing_else),
		cmocka_unit_test(full_swap_file_ends_the_vm_with_one_line),
		cmocka_unit_test(limit_without_swap_ends_the_vm_with_one_line),
		cmocka_unit_test(limit_without_swap_is_held_by_discards_alone),
		cmocka_unit_test(full_disk_ends_the_vm_and_loses_nothing),
		cmocka_unit_test(short_swap_file_is_an_error_not_zeros),
		cmocka_unit_test(device_range_beyond_the_limit_is_let_through),
		cmocka_unit_test(stop_ends_waits_for_busy_frames),
		cmocka_unit_test(stop_ends_waits_for_room),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
