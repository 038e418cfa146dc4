// SPDX-License-Identifier: GPL-2.0-only
/*
 * Space runs out, disks fail: the guest waits, nothing is lost, and it goes on.
 * Errors are the kernel's own: small file systems, and other descriptors in
 * place of the swap file's.
 */
#include <fcntl.h>
#include <sys/mount.h>

#include "hyp/mem/tests/vm.h"

#define FRAMES 2048u /* 8 MiB */

struct eater {
	struct vm *vm;
	pthread_t thread;
	_Atomic uint64_t eaten;
};

/* Writes frame after frame. */
static void *eat(void *arg)
{
	struct eater *e = arg;
	uint64_t i;

	for (i = 0; i < FRAMES; i++) {
		uint64_t val = i + 1;

		if (guest_access(e->vm->mem, word(e->vm, i), &val, 1) !=
		    GUEST_OK)
			break;
		atomic_store(&e->eaten, i + 1);
	}
	return NULL;
}

static void eat_until_trouble(struct eater *e, struct vm *vm)
{
	*e = (struct eater){ .vm = vm };
	pthread_create(&e->thread, NULL, eat, e);
	WAIT_UNTIL(atomic_load(&vm->trouble_err));
	assert_true(atomic_load(&e->eaten) < FRAMES);
	assert_int_equal(atomic_load(&vm->trouble_calls), 1);
}

static void eat_all(struct eater *e, struct vm *vm)
{
	uint64_t i;

	pthread_join(e->thread, NULL);
	assert_int_equal(atomic_load(&e->eaten), FRAMES);
	for (i = 0; i < FRAMES; i++)
		assert_int_equal(get(vm, i), i + 1);
	assert_int_equal(atomic_load(&vm->trouble_err), 0);
	assert_int_equal(atomic_load(&vm->over_calls),
			 atomic_load(&vm->trouble_calls));
	assert_int_equal(atomic_load(&vm->fatal_calls), 0);
}

static void full_file_system_is_waited_for(void **s)
{
	char dir[] = "/tmp/hyp-test.XXXXXX";
	struct eater e;
	struct vm vm;
	unsigned int i;

	(void)s;
	assert_non_null(mkdtemp(dir));
	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m")) {
		rmdir(dir);
		skip();
	}
	vm_start(&vm, CFG(.limit_bytes = MIB, .swap_dir = dir,
			  .swap_bytes = 16 * MIB, .trouble = on_trouble));
	eat_until_trouble(&e, &vm);
	assert_int_equal(atomic_load(&vm.trouble_err), -ENOSPC);
	assert_non_null(strstr(atomic_load(&vm.trouble_what),
			       "free some in the swap directory"));
	/* Trying again is of no use yet, and is no news. */
	for (i = 0; i < 3; i++) {
		mem_retry(vm.mem);
		sleep_ms(20);
	}
	assert_int_equal(atomic_load(&vm.trouble_calls), 1);
	assert_int_equal(atomic_load(&vm.over_calls), 0);
	assert_true(stats(&vm).resident_peak <= 256);
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT, "size=64m"), 0);
	mem_retry(vm.mem);
	eat_all(&e, &vm);
	assert_true(stats(&vm).resident_peak <= 256);
	vm_end(&vm);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

static void full_swap_file_is_waited_for_until_the_limit_is_raised(void **s)
{
	struct eater e;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.limit_bytes = MIB, .swap_dir = swap_dir(),
			  .swap_bytes = 2 * MIB, .trouble = on_trouble));
	eat_until_trouble(&e, &vm);
	assert_int_equal(atomic_load(&vm.trouble_err), -ENOSPC);
	assert_non_null(strstr(atomic_load(&vm.trouble_what), "--swap-size"));
	mem_retry(vm.mem);
	sleep_ms(20);
	assert_true(atomic_load(&vm.trouble_err));
	assert_true(stats(&vm).resident_peak <= 256);
	assert_int_equal(stats(&vm).preserved, 512);
	assert_int_equal(mem_set_limit(vm.mem, 0), 0);
	WAIT_UNTIL(!atomic_load(&vm.trouble_err));
	eat_all(&e, &vm);
	vm_end(&vm);
}

static void failed_write_leaves_the_page_and_is_tried_again(void **s)
{
	struct vm vm;
	int file;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .trouble = on_trouble));
	put(&vm, 7, 7);
	/* It can be read, not written. */
	file = replace_by(&vm, "/dev/null", O_RDONLY);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), -EBUSY);
	assert_int_equal(atomic_load(&vm.trouble_calls), 1);
	assert_non_null(strstr(atomic_load(&vm.trouble_what), "cannot write"));
	assert_int_equal(state(&vm, 7), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(get(&vm, 7), 7);
	WAIT_UNTIL(!slots_used(&vm));
	assert_int_equal(stats(&vm).preserved, 0);
	restore(&vm, file);
	/* By itself, once a second. */
	WAIT_UNTIL(!atomic_load(&vm.trouble_err));
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), 0);
	assert_int_equal(get(&vm, 7), 7);
	assert_int_equal(atomic_load(&vm.trouble_calls), 1);
	assert_int_equal(atomic_load(&vm.over_calls), 1);
	vm_end(&vm);
}

struct reader {
	struct vm *vm;
	uint64_t gfn;
	bool device;
	pthread_t thread;
	_Atomic int done;
	int err;
	uint64_t val;
};

static void *read_word(void *arg)
{
	struct reader *r = arg;

	if (r->device)
		r->err = mem_read(r->vm->mem, r->gfn * MEM_PAGE_SIZE, &r->val,
				  sizeof(r->val));
	else
		r->err = guest_access(r->vm->mem, word(r->vm, r->gfn), &r->val,
				      0);
	atomic_store(&r->done, 1);
	return NULL;
}

static void failed_read_keeps_who_wants_the_page_waiting(void **s)
{
	static const uint64_t gfns[] = { 1, 64, 3, 130 };
	struct reader r[4];
	struct vm vm;
	unsigned int i;
	int file;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .trouble = on_trouble));
	for (i = 0; i < 4; i++) {
		put(&vm, gfns[i], gfns[i]);
		assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, gfns[i]),
				 0);
	}
	file = replace_by(&vm, FAILS_TO_READ, O_RDWR);
	/* Two vCPUs and two devices. */
	for (i = 0; i < 4; i++) {
		r[i] = (struct reader){ .vm = &vm,
					.gfn = gfns[i],
					.device = i % 2 };
		pthread_create(&r[i].thread, NULL, read_word, &r[i]);
	}
	WAIT_UNTIL(atomic_load(&vm.trouble_err));
	assert_int_equal(atomic_load(&vm.trouble_err), -EIO);
	assert_non_null(strstr(atomic_load(&vm.trouble_what), "cannot read"));
	mem_retry(vm.mem);
	sleep_ms(20);
	for (i = 0; i < 4; i++)
		assert_false(atomic_load(&r[i].done));
	assert_int_equal(stats(&vm).preserved, 4);
	restore(&vm, file);
	mem_retry(vm.mem);
	for (i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		assert_int_equal(r[i].err, 0);
		assert_int_equal(r[i].val, gfns[i]);
	}
	WAIT_UNTIL(!atomic_load(&vm.trouble_err));
	assert_int_equal(stats(&vm).preserved, 0);
	WAIT_UNTIL(!slots_used(&vm));
	assert_int_equal(atomic_load(&vm.trouble_calls),
			 atomic_load(&vm.over_calls));
	assert_int_equal(atomic_load(&vm.fatal_calls), 0);
	vm_end(&vm);
}

static void cut_off_swap_file_is_not_waited_for(void **s)
{
	uint64_t val;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .trouble = on_trouble));
	put(&vm, 1, 11);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 1), 0);
	assert_int_equal(ftruncate(vm.mem->swap->fd, 0), 0);
	assert_int_equal(mem_read(vm.mem, 4096, &val, 8), -EIO);
	assert_int_equal(atomic_load(&vm.fatal_calls), 1);
	assert_non_null(strstr(atomic_load(&vm.fatal_what), "lost"));
	assert_int_equal(atomic_load(&vm.trouble_calls), 0);
	assert_int_equal(stats(&vm).preserved, 1);
	vm_end(&vm);
}

static void ending_vm_waits_for_nobody(void **s)
{
	struct reader r[2];
	uint64_t resident;
	struct vm vm;
	unsigned int i;
	int file;

	(void)s;
	vm_start(&vm, CFG(.hinting = true, .trouble = on_trouble));
	for (i = 0; i < 2; i++) {
		put(&vm, 64 * i, 1);
		assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 64 * i),
				 0);
		r[i] = (struct reader){ .vm = &vm,
					.gfn = 64 * i,
					.device = true };
	}
	resident = stats(&vm).resident;
	file = replace_by(&vm, FAILS_TO_READ, O_RDWR);
	pthread_create(&r[0].thread, NULL, read_word, &r[0]);
	WAIT_UNTIL(atomic_load(&vm.trouble_err));
	mem_bear_trouble(vm.mem, false);
	pthread_join(r[0].thread, NULL);
	assert_int_equal(r[0].err, -ECANCELED);
	/* And nobody begins to. */
	read_word(&r[1]);
	assert_true(r[1].err < 0);
	assert_int_equal(stats(&vm).preserved, 2);
	assert_int_equal(stats(&vm).resident, resident);
	assert_int_equal(vm.mem->limit.charged, resident);
	restore(&vm, file);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_file_system_is_waited_for),
		cmocka_unit_test(
			full_swap_file_is_waited_for_until_the_limit_is_raised),
		cmocka_unit_test(
			failed_write_leaves_the_page_and_is_tried_again),
		cmocka_unit_test(failed_read_keeps_who_wants_the_page_waiting),
		cmocka_unit_test(cut_off_swap_file_is_not_waited_for),
		cmocka_unit_test(ending_vm_waits_for_nobody),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
