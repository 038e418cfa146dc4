// SPDX-License-Identifier: GPL-2.0-only
/* Claims about guest memory, one by one; races are in test_stress.c. */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "hyp/mem/tests/vm.h"

static void untouched_ram_reads_zero_and_becomes_resident(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	assert_int_equal(state(&vm, 100), ESSA_STABLE | ESSA_ZERO);
	assert_int_equal(get(&vm, 100), 0);
	assert_int_equal(state(&vm, 100), ESSA_STABLE | ESSA_RESIDENT);
	assert_true(stats(&vm).resident >= 1);
	vm_end(&vm);
}

static void content_is_in_no_core_dump_and_no_child(void **s)
{
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	/* RAM, what is on its way out of it, and what is on its way back. */
	const void *const maps[] = {
		vm.ram,
		vm.mem->probation.area,
		vm.mem->pager.in.buf,
		vm.mem->pager.in.ahead.pages,
		vm.mem->fill_buffer.pages,
	};
	for (i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		assert_true(has_vm_flag(maps[i], " dd"));
		assert_true(has_vm_flag(maps[i], " dc"));
	}
	vm_end(&vm);
}

static void touched_discarded_page_is_a_discard_fault(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 5, 0x1234);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 5), 0);
	assert_int_equal(state(&vm, 5), ESSA_VOLATILE | ESSA_ZERO);
	assert_int_equal(try_get(&vm, 5), GUEST_DISCARDED);
	assert_int_equal(try_get(&vm, 5), GUEST_DISCARDED);
	/* Reused, it reads as zeros: neither a fault nor old data. */
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_UNUSED);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_STABLE);
	assert_int_equal(get(&vm, 5), 0);
	assert_int_equal(state(&vm, 5), ESSA_STABLE | ESSA_RESIDENT);
	put(&vm, 5, 77);
	assert_int_equal(get(&vm, 5), 77);
	vm_end(&vm);
}

static void discarded_unused_page_reads_zero(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 9, 0x5ec2e7);
	guest_op(vm.mem, vm.table, 9, ESSA_OP_SET_UNUSED);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 9), 0);
	assert_int_equal(state(&vm, 9), ESSA_UNUSED | ESSA_ZERO);
	assert_int_equal(get(&vm, 9), 0);
	assert_int_equal(state(&vm, 9), ESSA_UNUSED | ESSA_RESIDENT);
	vm_end(&vm);
}

static void stable_and_pending_pages_are_not_discarded(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 3, 3);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_PENDING);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_STABLE);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	assert_int_equal(get(&vm, 3), 3);
	vm_end(&vm);
}

static void hostile_hypercalls_are_refused(void **s)
{
	static const struct {
		uint64_t cmd, gfn, nr;
		int32_t ret;
	} calls[] = {
		{ ESSA_CMD_WAIT, 0, 0, -EINVAL },
		{ ESSA_CMD_WAIT, 0, 2049, -EINVAL },
		{ ESSA_CMD_WAIT, 2047, 2, -EINVAL },
		{ ESSA_CMD_WAIT, 2048, 1, -EINVAL },
		{ ESSA_CMD_WAIT, 1, UINT64_MAX, -EINVAL },
		{ ESSA_CMD_WAIT, UINT64_MAX, 1, -EINVAL },
		{ ESSA_CMD_WAIT, UINT64_MAX, 2, -EINVAL },
		{ ESSA_CMD_OP + 1, 1ull << 52, 1, -EINVAL },
		{ ESSA_CMD_OP + 1, 0, ESSA_CMD_MAX_FRAMES + 1, -EINVAL },
		{ ESSA_CMD_OP + 7, 0, 1, -ENOSYS },
		{ ESSA_CMD_OP + 8, 0, 1, -ENOSYS },
		{ ESSA_CMD_OP + 9, 0, 1, -ENOSYS },
		{ ESSA_CMD_ARM, 0, 1, -ENOSYS },
		{ ESSA_CMD_ARM + 1, 0, 1, -ENOSYS },
		{ 0x100000000ull, 0, 1, -ENOSYS },
		{ UINT64_MAX, 0, 1, -ENOSYS },
		{ ESSA_CMD_TEST_DISCARD, 0, 1, -ENOSYS },
		{ ESSA_CMD_TEST_PAGE_OUT, 0, 1, -ENOSYS },
		{ ESSA_CMD_ENABLE, 2, 0, -EINVAL },
		{ ESSA_CMD_ENABLE, ESSA_VERSION, 1u << 8, -EINVAL },
		/* Not offered, so refused. */
		{ ESSA_CMD_ENABLE, ESSA_VERSION, ESSA_FEAT_POTENTIAL, -EINVAL },
		{ ESSA_CMD_ENABLE, ESSA_VERSION, ESSA_FEAT_TEST, -EINVAL },
		{ ESSA_CMD_ENABLE, ESSA_VERSION, 1ull << 32, -EINVAL },
		{ ESSA_CMD_WAIT, 0, 2048, 0 },
	};
	unsigned int i;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (mem_hypercall(vm.mem, calls[i].cmd, calls[i].gfn,
				  calls[i].nr, false) != calls[i].ret)
			fail_msg("call %u", i);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_TEST_DISCARD, 0, 2,
				       true),
			 -EINVAL);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 0), -EINVAL);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 0), -EINVAL);
	vm_end(&vm);
}

static void without_hinting_there_is_no_slow_path(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG());
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ENABLE, ESSA_VERSION, 0,
				       true),
			 -ENOSYS);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_OP, 0), -ENOSYS);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 0), -ENOSYS);
	vm_end(&vm);
}

static void range_operation_stops_behind_a_refused_frame(void **s)
{
	struct vm vm;
	int32_t ret;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	for (i = 0; i < 8; i++)
		put(&vm, i, i + 1);
	/* Frame 4 has no content, so it cannot be volatile. */
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_OP + ESSA_OP_SET_UNUSED,
				       4, 1, false),
			 1 << 8 | ESSA_STABLE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 4), 0);
	ret = mem_hypercall(vm.mem, ESSA_CMD_OP + ESSA_OP_SET_VOLATILE, 0, 8,
			    false);
	assert_int_equal(ret, 5 << 8 | ESSA_UNUSED | ESSA_ZERO);
	assert_int_equal(state(&vm, 3), ESSA_VOLATILE);
	assert_int_equal(state(&vm, 4), ESSA_UNUSED | ESSA_ZERO);
	assert_int_equal(state(&vm, 5), ESSA_STABLE);
	/* Operation 5 makes resident. */
	ret = mem_hypercall(vm.mem, ESSA_CMD_OP + ESSA_OP_SET_STABLE_RESIDENT,
			    0, 8, false);
	assert_int_equal(ret >> 8, 8);
	assert_int_equal(state(&vm, 4), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(get(&vm, 3), 4);
	vm_end(&vm);
}

static void nothing_is_discarded_before_enable_or_after_disable(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 1, 1);
	put(&vm, 2, 2);
	put(&vm, 3, 3);
	guest_op(vm.mem, vm.table, 1, ESSA_OP_SET_VOLATILE);
	guest_op(vm.mem, vm.table, 2, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 1), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_DISABLE, 0), 0);
	assert_int_equal(state(&vm, 1), ESSA_STABLE | ESSA_ZERO);
	assert_int_equal(state(&vm, 2), ESSA_STABLE | ESSA_RESIDENT);
	/* What was discarded reads as zeros now: the marker is stale. */
	assert_int_equal(get(&vm, 1), 0);
	assert_int_equal(get(&vm, 2), 2);
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	/* Another CPU frees a frame behind the reset; the next kernel has it. */
	guest_op(vm.mem, vm.table, 2, ESSA_OP_SET_UNUSED);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       ESSA_FEAT_UNUSED, false),
			 0);
	assert_int_equal(state(&vm, 2), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(state(&vm, 3), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 2), -EBUSY);
	assert_int_equal(get(&vm, 2), 2);
	/* Enabling once more is no reset. */
	guest_op(vm.mem, vm.table, 3, ESSA_OP_SET_VOLATILE);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       ESSA_FEAT_UNUSED, false),
			 0);
	assert_int_equal(state(&vm, 3), ESSA_VOLATILE | ESSA_RESIDENT);
	/* Volatile was not among the features. */
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 3), -EBUSY);
	mem_reset(vm.mem);
	assert_int_equal(state(&vm, 3), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(get(&vm, 3), 3);
	vm_end(&vm);
}

static void device_range_must_be_ram(void **s)
{
	static const struct {
		uint64_t gpa;
		size_t len;
		int ret;
	} ranges[] = {
		{ 0, 1, 0 },
		{ 8 * MIB - 1, 1, 0 },
		{ 8 * MIB - 1, 2, -EFAULT },
		{ 8 * MIB, 1, -EFAULT },
		{ 0, 0, -EFAULT },
		{ 4096, SIZE_MAX, -EFAULT },
		{ UINT64_MAX, 1, -EFAULT },
		{ UINT64_MAX, 2, -EFAULT },
		{ 4ull << 30, 1, -EFAULT },
		{ 0, 8 * MIB + 1, -EFAULT },
	};
	unsigned int i;
	struct vm vm;
	void *hva;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		int ret = mem_get(vm.mem, ranges[i].gpa, ranges[i].len, &hva);

		if (ret != ranges[i].ret)
			fail_msg("range %u: %d", i, ret);
		if (!ret)
			mem_put(vm.mem, ranges[i].gpa, ranges[i].len);
	}
	vm_end(&vm);
}

static void pinned_page_is_neither_discarded_nor_paged_out(void **s)
{
	char buf[6000], back[6000];
	struct vm vm;
	void *hva;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(mem_write(vm.mem, 5 * 4096 + 100, buf, sizeof(buf)),
			 0);
	assert_int_equal(mem_get(vm.mem, 5 * 4096 + 100, 6000, &hva), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 6), -EBUSY);
	guest_op(vm.mem, vm.table, 6, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 6), -EBUSY);
	assert_memory_equal(hva, buf, sizeof(buf));
	mem_put(vm.mem, 5 * 4096 + 100, 6000);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 5), 0);
	assert_int_equal(mem_read(vm.mem, 5 * 4096 + 100, back, 6000), 0);
	assert_memory_equal(back, buf, sizeof(buf));
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 6), 0);
	assert_int_equal(mem_get(vm.mem, 5 * 4096, 6000, &hva), -EFAULT);
	/* The first page of the failed range is not left pinned. */
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 5), 0);
	vm_end(&vm);
}

static void ram_above_3g_is_seen_from_4g(void **s)
{
	const struct mem_region *r;
	uint64_t nr, val = 7;
	struct vm vm;
	size_t len;
	void *hva;

	(void)s;
	vm_start(&vm,
		 CFG(.size_bytes = (3ull << 30) + 8 * MIB, .hinting = true));
	assert_int_equal(mem_regions(vm.mem, &r), 2);
	assert_int_equal(r[0].size_bytes, 3ull << 30);
	assert_int_equal(r[1].gpa, 4ull << 30);
	assert_int_equal(r[1].size_bytes, 8 * MIB);
	mem_table(vm.mem, &len, &nr);
	assert_int_equal(nr, (4ull << 30 | 8 * MIB) / 4096);
	assert_int_equal(mem_write(vm.mem, 4ull << 30, &val, 8), 0);
	assert_int_equal(*(uint64_t *)r[1].hva, 7);
	assert_int_equal(state(&vm, 1u << 20), ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(mem_get(vm.mem, (3ull << 30) - 8, 16, &hva), -EFAULT);
	assert_int_equal(mem_get(vm.mem, 3ull << 30, 8, &hva), -EFAULT);
	guest_op(vm.mem, vm.table, 1u << 20, ESSA_OP_SET_VOLATILE);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 1u << 20), 0);
	assert_int_equal(guest_access(vm.mem, r[1].hva, &val, 0),
			 GUEST_DISCARDED);
	vm_end(&vm);
}

static void scribble(struct vm *vm, uint64_t gfn, uint8_t byte)
{
	__atomic_store_n(&vm->table[gfn], byte, __ATOMIC_SEQ_CST);
}

static void scribbled_byte_is_put_right(void **s)
{
	uint64_t val = 0;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	put(&vm, 1, 11);
	/* Resident, says discarded and busy: WAIT neither hangs nor lies. */
	scribble(&vm, 1, ESSA_VOLATILE | ESSA_ZERO | ESSA_BUSY);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_WAIT, 1, 1, false), 0);
	assert_int_equal(state(&vm, 1), ESSA_VOLATILE | ESSA_RESIDENT);
	/* Resident, says discarded: a device still gets at it. */
	scribble(&vm, 1, ESSA_VOLATILE | ESSA_ZERO);
	assert_int_equal(mem_read(vm.mem, 4096, &val, 8), 0);
	assert_int_equal(val, 11);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_OP, 1, 1, false),
			 1 << 8 | ESSA_VOLATILE | ESSA_ZERO);
	/* A refused discard puts the byte right, the next one succeeds. */
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 1), -EBUSY);
	assert_int_equal(state(&vm, 1), ESSA_VOLATILE | ESSA_RESIDENT);
	/* Never touched, says discarded: zeros, not a fault for ever. */
	scribble(&vm, 1000, ESSA_VOLATILE | ESSA_ZERO);
	assert_int_equal(get(&vm, 1000), 0);
	/* Discarded, says resident and stable: zeros. */
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_DISCARD, 1), 0);
	scribble(&vm, 1, ESSA_STABLE | ESSA_RESIDENT);
	assert_int_equal(get(&vm, 1), 0);
	/* Preserved, says discarded: its content. */
	put(&vm, 2, 22);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 2), 0);
	scribble(&vm, 2, ESSA_VOLATILE | ESSA_ZERO);
	assert_int_equal(get(&vm, 2), 22);
	assert_int_equal(state(&vm, 2), ESSA_VOLATILE | ESSA_RESIDENT);
	/* Says busy: it can be paged out all the same, or it were unpageable. */
	scribble(&vm, 2, ESSA_STABLE | ESSA_RESIDENT | ESSA_BUSY);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 2), 0);
	assert_int_equal(state(&vm, 2), ESSA_STABLE | ESSA_PRESERVED);
	scribble(&vm, 2, ESSA_STABLE | ESSA_PRESERVED | ESSA_BUSY);
	assert_int_equal(get(&vm, 2), 22);
	assert_int_equal(state(&vm, 2), ESSA_STABLE | ESSA_RESIDENT);
	vm_end(&vm);
}

struct toucher {
	struct vm *vm;
	uint64_t gfn;
	enum guest_access result;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;

	t->result = try_get(t->vm, t->gfn);
	return NULL;
}

/*
 * The wake rule of frame.h: the access sleeps in the kernel, its page arrives
 * (or is poisoned) without a wake-up, and the message is read only then.
 */
static void late_message_is_answered_with_a_wake(void **s)
{
	static uint8_t page[MEM_PAGE_SIZE]
		__attribute__((aligned(MEM_PAGE_SIZE)));
	struct vm vm;
	int poison;

	(void)s;
	for (poison = 0; poison < 2; poison++) {
		struct toucher t = { .vm = &vm, .gfn = 64 };
		struct uffdio_copy copy = {
			.src = (uintptr_t)page,
			.len = MEM_PAGE_SIZE,
			.mode = UFFDIO_COPY_MODE_DONTWAKE,
		};
		/* struct uffdio_poison, which Debian 12 does not know */
		struct {
			uint64_t start, len, mode, updated;
		} mark = {
			.len = MEM_PAGE_SIZE,
			.mode = 1 /* DONTWAKE */,
		};
		pthread_t thread;

		vm_start(&vm, CFG(.hinting = true));
		frame_lock(vm.mem, t.gfn);
		pthread_create(&thread, NULL, touch, &t);
		/* Too short a pause makes the test weaker, not wrong. */
		sleep_ms(100);
		copy.dst = (uintptr_t)word(&vm, t.gfn);
		mark.start = copy.dst;
		if (poison) {
			assert_int_equal(ioctl(vm.mem->uffd,
					       _IOWR(UFFDIO, 8, mark), &mark),
					 0);
			vm.mem->frames[t.gfn].poisoned = 1;
		} else {
			assert_int_equal(
				ioctl(vm.mem->uffd, UFFDIO_COPY, &copy), 0);
			vm.mem->frames[t.gfn].content = FRAME_RESIDENT;
			assert_true(limit_try_charge(vm.mem, 1));
		}
		frame_unlock(vm.mem, t.gfn);
		pthread_join(thread, NULL);
		assert_int_equal(t.result, GUEST_OK);
		assert_true(stats(&vm).fault_stale >= 1);
		vm_end(&vm);
	}
}

static void bad_configuration_has_one_line_of_why(void **s)
{
	static const struct mem_config cfgs[] = {
		{ .size_bytes = 0 },
		{ .size_bytes = 8 * MIB + 1 },
		{ .size_bytes = 2ull << 40 },
		{ .size_bytes = 8 * MIB, .limit_bytes = 16 * MIB },
		{ .size_bytes = 8 * MIB, .limit_bytes = 4096 },
		{ .size_bytes = 8 * MIB, .limit_bytes = 2 * MIB + 1 },
		{ .size_bytes = 8 * MIB,
		  .swap_dir = "/nonexistent",
		  .swap_bytes = MIB },
		{ .size_bytes = 8 * MIB,
		  .swap_dir = "/proc",
		  .swap_bytes = MIB },
		{ .size_bytes = 8 * MIB, .swap_dir = "/tmp" },
		{ .size_bytes = 8 * MIB,
		  .swap_dir = "/tmp",
		  .swap_bytes = 1ull << 60 },
	};
	unsigned int i;

	(void)s;
	for (i = 0; i < sizeof(cfgs) / sizeof(cfgs[0]); i++) {
		const char *why = NULL;
		struct mem *mem;

		if (mem_create(&mem, &cfgs[i], &why) >= 0)
			fail_msg("configuration %u accepted", i);
		assert_non_null(why);
		assert_null(strchr(why, '\n'));
	}
	mem_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untouched_ram_reads_zero_and_becomes_resident),
		cmocka_unit_test(content_is_in_no_core_dump_and_no_child),
		cmocka_unit_test(touched_discarded_page_is_a_discard_fault),
		cmocka_unit_test(discarded_unused_page_reads_zero),
		cmocka_unit_test(stable_and_pending_pages_are_not_discarded),
		cmocka_unit_test(hostile_hypercalls_are_refused),
		cmocka_unit_test(without_hinting_there_is_no_slow_path),
		cmocka_unit_test(range_operation_stops_behind_a_refused_frame),
		cmocka_unit_test(
			nothing_is_discarded_before_enable_or_after_disable),
		cmocka_unit_test(device_range_must_be_ram),
		cmocka_unit_test(
			pinned_page_is_neither_discarded_nor_paged_out),
		cmocka_unit_test(ram_above_3g_is_seen_from_4g),
		cmocka_unit_test(scribbled_byte_is_put_right),
		cmocka_unit_test(late_message_is_answered_with_a_wake),
		cmocka_unit_test(bad_configuration_has_one_line_of_why),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
