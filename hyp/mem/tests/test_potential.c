// SPDX-License-Identifier: GPL-2.0-only
/*
 * Potentially Volatile, window by window: writes before arming, behind it,
 * behind the state, and behind the commit.  Races are in test_potential_race.c.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "hyp/mem/discard.h"
#include "hyp/mem/pageout.h"
#include "hyp/mem/tests/vm.h"
#include "hyp/mem/uffd.h"

/* Newer than the headers of Debian 12. */
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define TRACKED .hinting = true, .potential = true

static int32_t arm(struct vm *vm, uint64_t gfn, uint64_t nr)
{
	return mem_hypercall(vm->mem, ESSA_CMD_ARM, gfn, nr, false);
}

static bool is_armed(struct vm *vm, uint64_t gfn)
{
	bool armed;

	frame_lock(vm->mem, gfn);
	armed = vm->mem->frames[gfn].armed;
	frame_unlock(vm->mem, gfn);
	return armed;
}

/* Section 8.1 of SPEC.md, for a page that is clean. */
static void make_potential(struct vm *vm, uint64_t gfn)
{
	guest_op(vm->mem, vm->table, gfn, ESSA_OP_SET_PENDING);
	assert_int_equal(arm(vm, gfn, 1), 0);
	guest_op(vm->mem, vm->table, gfn, ESSA_OP_COMMIT_POTENTIAL);
	assert_int_equal(state(vm, gfn), ESSA_POTENTIAL | ESSA_RESIDENT);
}

static int32_t discard(struct vm *vm, uint64_t gfn)
{
	return test_cmd(vm, ESSA_CMD_TEST_DISCARD, gfn);
}

static void unwritten_page_is_discarded(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	make_potential(&vm, 5);
	/* A look is no write. */
	assert_int_equal(get(&vm, 5), 55);
	assert_int_equal(discard(&vm, 5), 0);
	assert_int_equal(state(&vm, 5), ESSA_POTENTIAL | ESSA_ZERO);
	assert_int_equal(try_get(&vm, 5), GUEST_DISCARDED);
	assert_int_equal(stats(&vm).discarded_potential, 1);
	assert_int_equal(stats(&vm).discarded_volatile, 0);
	assert_int_equal(stats(&vm).fault_write, 0);
	/* R-POT-4: the next content has to be armed anew. */
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_UNUSED);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_STABLE);
	put(&vm, 5, 56);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 56);
	vm_end(&vm);
}

static void page_that_was_not_armed_is_kept(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 55);
	vm_end(&vm);
}

static void written_page_is_kept(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	/* Between arming and the state. */
	put(&vm, 5, 55);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_PENDING);
	assert_int_equal(arm(&vm, 5, 1), 0);
	assert_true(is_armed(&vm, 5));
	put(&vm, 5, 56);
	assert_false(is_armed(&vm, 5));
	guest_op(vm.mem, vm.table, 5, ESSA_OP_COMMIT_POTENTIAL);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 56);
	assert_int_equal(stats(&vm).fault_write, 1);
	/* It is writable now. */
	put(&vm, 5, 57);
	assert_int_equal(stats(&vm).fault_write, 1);
	/* Behind the state: R-POT-7, it stays P, and is kept. */
	put(&vm, 6, 66);
	make_potential(&vm, 6);
	put(&vm, 6, 67);
	assert_int_equal(state(&vm, 6), ESSA_POTENTIAL | ESSA_RESIDENT);
	assert_int_equal(discard(&vm, 6), -EBUSY);
	assert_int_equal(get(&vm, 6), 67);
	/* The host may not take arming a P frame for a reason (R-POT-8). */
	assert_int_equal(arm(&vm, 6, 1), 0);
	assert_int_equal(discard(&vm, 6), -EBUSY);
	/* A write before arming is the guest's business. */
	guest_op(vm.mem, vm.table, 6, ESSA_OP_SET_STABLE);
	make_potential(&vm, 6);
	assert_int_equal(discard(&vm, 6), 0);
	vm_end(&vm);
}

struct writer {
	struct vm *vm;
	uint64_t gfn, val;
	enum guest_access result;
};

static void *write_it(void *arg)
{
	struct writer *w = arg;

	w->result = guest_access(w->vm->mem, word(w->vm, w->gfn), &w->val, 1);
	return NULL;
}

static bool is_waited(struct vm *vm, uint64_t idx)
{
	bool waited;

	frame_lock(vm->mem, idx);
	waited = vm->mem->frames[idx].waited;
	frame_unlock(vm->mem, idx);
	return waited;
}

/* The linker puts this in the place of uffd_unprotect(); Kbuild. */
int __real_uffd_unprotect(int fd, void *addr, size_t len);
int __wrap_uffd_unprotect(int fd, void *addr, size_t len);

static struct vm *_Atomic arm_in_between;

int __wrap_uffd_unprotect(int fd, void *addr, size_t len)
{
	struct vm *vm = atomic_exchange(&arm_in_between, NULL);

	if (vm)
		arm(vm, (uint64_t)((uint8_t *)addr - vm->ram) / MEM_PAGE_SIZE,
		    1);
	return __real_uffd_unprotect(fd, addr, len);
}

/*
 * The handler of a write has voided the mark and is about to unprotect; another
 * vCPU arms the frame.  If that worked, it would be armed and writable.
 */
static void arming_while_a_write_is_let_through_has_no_effect(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	make_potential(&vm, 5);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_STABLE);
	atomic_store(&arm_in_between, &vm);
	put(&vm, 5, 56);
	assert_null(atomic_load(&arm_in_between));
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
	put(&vm, 5, 57);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 57);
	vm_end(&vm);
}

static void write_behind_the_commit_is_a_discard_fault(void **s)
{
	struct discard_batch b = { .nr = 0 };
	struct writer w;
	pthread_t thread;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	make_potential(&vm, 5);
	frame_lock(vm.mem, 5);
	assert_int_equal(__discard_commit(vm.mem, &b, 5), 0);
	frame_unlock(vm.mem, 5);
	w = (struct writer){ &vm, 5, 56, GUEST_GAVE_UP };
	assert_int_equal(pthread_create(&thread, NULL, write_it, &w), 0);
	/* It has come to the handler, which leaves the page alone. */
	WAIT_UNTIL(is_waited(&vm, 5));
	assert_int_equal(*word(&vm, 5), 55);
	discard_flush(vm.mem, &b);
	pthread_join(thread, NULL);
	assert_int_equal(w.result, GUEST_DISCARDED);
	assert_int_equal(state(&vm, 5), ESSA_POTENTIAL | ESSA_ZERO);
	vm_end(&vm);
}

static void write_during_page_out_is_kept(void **s)
{
	uint64_t idx = 5;
	struct writer w;
	pthread_t thread;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	make_potential(&vm, 5);
	frame_lock(vm.mem, 5);
	assert_int_equal(__pageout_claim(vm.mem, 5), 0);
	frame_unlock(vm.mem, 5);
	w = (struct writer){ &vm, 5, 56, GUEST_GAVE_UP };
	assert_int_equal(pthread_create(&thread, NULL, write_it, &w), 0);
	WAIT_UNTIL(is_waited(&vm, 5));
	assert_int_equal(pageout_batch(vm.mem, &idx, 1, false), 0);
	pthread_join(thread, NULL);
	assert_int_equal(w.result, GUEST_OK);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 56);
	vm_end(&vm);
}

static void paged_out_page_is_not_armed_any_more(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	make_potential(&vm, 5);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 5), 0);
	assert_int_equal(state(&vm, 5), ESSA_POTENTIAL | ESSA_PRESERVED);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	/* Neither before it is back, nor then, when nothing protects it. */
	assert_int_equal(get(&vm, 5), 55);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	put(&vm, 5, 56);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 56);
	vm_end(&vm);
}

static void device_access_voids_the_mark(void **s)
{
	uint64_t val = 0;
	struct vm vm;
	void *hva;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	put(&vm, 5, 55);
	make_potential(&vm, 5);
	/* Void before the write, which needs no fault then. */
	assert_int_equal(mem_get(vm.mem, 5 * MEM_PAGE_SIZE, 8, &hva), 0);
	assert_false(is_armed(&vm, 5));
	*(volatile uint64_t *)hva = 56;
	assert_int_equal(stats(&vm).fault_write, 0);
	/* Nor can it be armed while a device may write. */
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_STABLE);
	assert_int_equal(arm(&vm, 5, 1), 0);
	assert_false(is_armed(&vm, 5));
	mem_put(vm.mem, 5 * MEM_PAGE_SIZE, 8);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	assert_int_equal(get(&vm, 5), 56);
	/* Copies of the host are device accesses. */
	put(&vm, 6, 66);
	make_potential(&vm, 6);
	val = 67;
	assert_int_equal(mem_write(vm.mem, 6 * MEM_PAGE_SIZE, &val, 8), 0);
	assert_int_equal(discard(&vm, 6), -EBUSY);
	assert_int_equal(get(&vm, 6), 67);
	vm_end(&vm);
}

static void enable_disable_and_reset_void_all_marks(void **s)
{
	struct vm vm;
	unsigned int how;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	for (how = 0; how < 3; how++) {
		put(&vm, 5, 55);
		put(&vm, 700, 77);
		make_potential(&vm, 5);
		make_potential(&vm, 700);
		switch (how) {
		case 0:
			break;
		case 1:
			assert_int_equal(test_cmd(&vm, ESSA_CMD_DISABLE, 0), 0);
			assert_int_equal(arm(&vm, 5, 1), -ENOSYS);
			break;
		default:
			mem_reset(vm.mem);
		}
		assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ENABLE,
					       ESSA_VERSION,
					       mem_features(vm.mem), false),
				 0);
		guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
		guest_op(vm.mem, vm.table, 700, ESSA_OP_SET_POTENTIAL);
		assert_int_equal(discard(&vm, 5), -EBUSY);
		assert_int_equal(discard(&vm, 700), -EBUSY);
		/* What is still protected is found by a write, and harmless. */
		put(&vm, 5, 56);
		assert_int_equal(get(&vm, 5), 56);
		guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_STABLE);
		guest_op(vm.mem, vm.table, 700, ESSA_OP_SET_STABLE);
	}
	vm_end(&vm);
}

/* A range with one frame of each kind: the others are armed, and no error. */
static void frames_that_cannot_be_armed_are_left_out(void **s)
{
	static const bool armed[] = { true,  false, false, false, false,
				      false, false, true,  false, true };
	struct vm vm;
	uint64_t i;
	void *hva;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	for (i = 60; i < 70; i++)
		put(&vm, i, i);
	guest_op(vm.mem, vm.table, 61, ESSA_OP_SET_UNUSED);
	guest_op(vm.mem, vm.table, 62, ESSA_OP_SET_VOLATILE);
	guest_op(vm.mem, vm.table, 63, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(mem_get(vm.mem, 64 * MEM_PAGE_SIZE, 8, &hva), 0);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 65), 0);
	guest_op(vm.mem, vm.table, 66, ESSA_OP_SET_VOLATILE);
	assert_int_equal(discard(&vm, 66), 0);
	guest_op(vm.mem, vm.table, 67, ESSA_OP_SET_PENDING);
	/*
	 * Whoever makes it writable is between the mark, which is void, and the
	 * protection, which goes in a moment: armed now, it would be writable.
	 */
	frame_lock(vm.mem, 68);
	vm.mem->frames[68].busy = FRAME_UNPROTECT;
	frame_unlock(vm.mem, 68);
	assert_int_equal(arm(&vm, 60, 10), 0);
	for (i = 60; i < 70; i++)
		if (is_armed(&vm, i) != armed[i - 60])
			fail_msg("frame %lu", (unsigned long)i);
	assert_int_equal(stats(&vm).armed, 3);
	frame_lock(vm.mem, 68);
	__frame_publish(vm.mem, 68);
	frame_unlock(vm.mem, 68);
	mem_put(vm.mem, 64 * MEM_PAGE_SIZE, 8);
	for (i = 60; i < 70; i++)
		if (i != 66)
			put(&vm, i, 2 * i);
	assert_int_equal(stats(&vm).fault_write, 3);
	/* All of RAM, twice, and nothing is the worse for it. */
	for (i = 0; i < 2; i++)
		assert_int_equal(arm(&vm, 0, vm.nr_frames), 0);
	for (i = 60; i < 70; i++)
		if (i != 66)
			assert_int_equal(get(&vm, i), 2 * i);
	assert_int_equal(arm(&vm, 0, 0), -EINVAL);
	assert_int_equal(arm(&vm, 0, vm.nr_frames + 1), -EINVAL);
	assert_int_equal(arm(&vm, vm.nr_frames, 1), -EINVAL);
	assert_int_equal(arm(&vm, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(arm(&vm, 1, UINT64_MAX), -EINVAL);
	vm_end(&vm);
}

/* Runs longer than a block, and than a system call takes. */
static void long_ranges_are_armed_wholly(void **s)
{
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	for (i = 3; i < 1203; i++)
		put(&vm, i, i);
	assert_int_equal(arm(&vm, 3, 1200), 0);
	for (i = 3; i < 1203; i++)
		guest_op(vm.mem, vm.table, i, ESSA_OP_SET_POTENTIAL);
	for (i = 3; i < 1203; i += 7)
		put(&vm, i, i + 1);
	for (i = 3; i < 1203; i++)
		assert_int_equal(discard(&vm, i), (i - 3) % 7 ? 0 : -EBUSY);
	for (i = 3; i < 1203; i += 7)
		assert_int_equal(get(&vm, i), i + 1);
	assert_int_equal(stats(&vm).fault_write, 172);
	vm_end(&vm);
}

/* Unused, Volatile, clean P; what is Stable, or written, stays. */
static void reclaim_takes_clean_pages_before_stable_ones(void **s)
{
	struct mem_stats st;
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(TRACKED));
	for (i = 0; i < 2000; i++)
		put(&vm, i, i + 1);
	for (i = 500; i < 1000; i++)
		guest_op(vm.mem, vm.table, i, ESSA_OP_SET_VOLATILE);
	assert_int_equal(arm(&vm, 1000, 1000), 0);
	for (i = 1000; i < 2000; i++)
		guest_op(vm.mem, vm.table, i, ESSA_OP_SET_POTENTIAL);
	for (i = 1000; i < 1500; i++)
		put(&vm, i, i + 2);
	assert_int_equal(mem_set_limit(vm.mem, 1200 * MEM_PAGE_SIZE), 0);
	WAIT_UNTIL(stats(&vm).resident <= 1200);
	/* Reclaim counts what it did before it says that there is room. */
	st = stats(&vm);
	assert_int_equal(st.discarded_volatile, 500);
	assert_true(st.discarded_potential >= 300);
	assert_true(st.discarded_potential < 500);
	assert_int_equal(st.swapped_out, 0);
	for (i = 0; i < 500; i++)
		assert_int_equal(get(&vm, i), i + 1);
	for (i = 1000; i < 1500; i++)
		assert_int_equal(get(&vm, i), i + 2);
	/* Nothing else is left: they go to the swap file, and come back. */
	assert_int_equal(mem_set_limit(vm.mem, 600 * MEM_PAGE_SIZE), 0);
	WAIT_UNTIL(stats(&vm).resident <= 600);
	st = stats(&vm);
	assert_int_equal(st.discarded_potential, 500);
	assert_true(st.swapped_out >= 400);
	for (i = 1000; i < 1500; i++)
		assert_int_equal(get(&vm, i), i + 2);
	vm_end(&vm);
}

static void without_the_feature_potential_is_stable(void **s)
{
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	assert_int_equal(mem_features(vm.mem),
			 ESSA_FEAT_UNUSED | ESSA_FEAT_VOLATILE);
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       ESSA_FEAT_POTENTIAL, false),
			 -EINVAL);
	put(&vm, 5, 55);
	assert_int_equal(arm(&vm, 5, 1), -ENOSYS);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	put(&vm, 5, 56);
	assert_int_equal(stats(&vm).fault_write, 0);
	vm_end(&vm);
	/* Offered but not in use: the same. */
	vm_start(&vm, CFG(TRACKED));
	assert_int_equal(mem_hypercall(vm.mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       ESSA_FEAT_VOLATILE, false),
			 0);
	put(&vm, 5, 55);
	assert_int_equal(arm(&vm, 5, 1), -ENOSYS);
	guest_op(vm.mem, vm.table, 5, ESSA_OP_SET_POTENTIAL);
	assert_int_equal(discard(&vm, 5), -EBUSY);
	vm_end(&vm);
}

/* KSM would take the protection away; a service manager may want it for all. */
static void tracked_memory_is_not_merged(void **s)
{
	struct vm vm;

	(void)s;
	/* The kernel would walk all of a sanitizer's shadow: minutes. */
	if (SANITIZED || prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		skip();
	vm_start(&vm, CFG(.hinting = true));
	assert_true(has_vm_flag(vm.ram, " mg"));
	vm_end(&vm);
	vm_start(&vm, CFG(TRACKED));
	assert_false(has_vm_flag(vm.ram, " mg"));
	vm_end(&vm);
	assert_int_equal(prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0), 0);
}

/* What uffd_open() relies on where the host cannot protect. */
static void refused_features_may_be_asked_for_again(void **s)
{
	struct uffdio_api api = { .api = UFFD_API };
	bool protect = false;
	const char *why;
	int fd;

	(void)s;
	assert_int_equal(uffd_open(&fd, &protect, &why), 0);
	assert_false(protect);
	close(fd);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	assert_true(fd >= 0);
	api.features = 1ull << 63;
	assert_true(ioctl(fd, UFFDIO_API, &api) < 0);
	assert_int_equal(errno, EINVAL);
	api = (struct uffdio_api){ .api = UFFD_API };
	assert_int_equal(ioctl(fd, UFFDIO_API, &api), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unwritten_page_is_discarded),
		cmocka_unit_test(page_that_was_not_armed_is_kept),
		cmocka_unit_test(written_page_is_kept),
		cmocka_unit_test(
			arming_while_a_write_is_let_through_has_no_effect),
		cmocka_unit_test(write_behind_the_commit_is_a_discard_fault),
		cmocka_unit_test(write_during_page_out_is_kept),
		cmocka_unit_test(paged_out_page_is_not_armed_any_more),
		cmocka_unit_test(device_access_voids_the_mark),
		cmocka_unit_test(enable_disable_and_reset_void_all_marks),
		cmocka_unit_test(frames_that_cannot_be_armed_are_left_out),
		cmocka_unit_test(long_ranges_are_armed_wholly),
		cmocka_unit_test(reclaim_takes_clean_pages_before_stable_ones),
		cmocka_unit_test(without_the_feature_potential_is_stable),
		cmocka_unit_test(tracked_memory_is_not_merged),
		cmocka_unit_test(refused_features_may_be_asked_for_again),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
