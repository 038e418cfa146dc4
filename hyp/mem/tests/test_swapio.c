// SPDX-License-Identifier: GPL-2.0-only
/* The swap file: its name, its slots, and transfers in flight. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hyp/mem/tests/vm.h"

static struct swap *swap_of(uint64_t slots)
{
	struct swap *swap;
	const char *why;

	assert_int_equal(
		swap_create(&swap, swap_dir(), slots * MEM_PAGE_SIZE, &why), 0);
	return swap;
}

static void file_never_has_a_name(void **s)
{
	char dir[] = "/tmp/hyp-test.XXXXXX";
	int in = inotify_init1(IN_NONBLOCK);
	char self[64], events[4096], path[64];
	struct stat st;
	struct vm vm;
	int fd;

	(void)s;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	if (fd < 0) {
		rmdir(dir);
		skip();
	}
	close(fd);
	assert_true(inotify_add_watch(
			    in, dir, IN_CREATE | IN_MOVED_TO | IN_DELETE) >= 0);
	vm_start(&vm, CFG(.hinting = true, .swap_dir = dir, .swap_bytes = MIB));
	put(&vm, 7, 7);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 7), 0);
	fd = vm.mem->swap->fd;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* And cannot be given one, not even by ourselves. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	snprintf(path, sizeof(path), "%s/linked", dir);
	assert_int_equal(
		linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW), -1);
	assert_int_equal(linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH), -1);
	vm_end(&vm);
	/* The directory has seen nobody come or go. */
	assert_int_equal(read(in, events, sizeof(events)), -1);
	assert_int_equal(errno, EAGAIN);
	close(in);
	assert_int_equal(rmdir(dir), 0);
}

static void slot_is_the_frame_s_own_where_it_is_free(void **s)
{
	struct swap *swap = swap_of(200);
	uint32_t slot;

	(void)s;
	assert_int_equal(swap_alloc(swap, 100, 10, &slot), 10);
	assert_int_equal(slot, 100);
	/* Neighbours that come later, on both sides. */
	assert_int_equal(swap_alloc(swap, 98, 2, &slot), 2);
	assert_int_equal(slot, 98);
	assert_int_equal(swap_alloc(swap, 97, 5, &slot), 1);
	assert_int_equal(slot, 97);
	/* Taken, and behind the end: behind what was taken last. */
	assert_int_equal(swap_alloc(swap, 105, 3, &slot), 3);
	assert_int_equal(slot, 110);
	assert_int_equal(swap_alloc(swap, 1ull << 33, 1, &slot), 1);
	assert_int_equal(slot, 113);
	assert_int_equal(swap_alloc(swap, 114, 1000, &slot), 86);
	assert_int_equal(swap_alloc(swap, 300, 1000, &slot), 97);
	assert_int_equal(slot, 0);
	assert_true(swap_is_full(swap));
	assert_int_equal(swap_alloc(swap, 100, 1, &slot), 0);
	swap_free(swap, 55, 1);
	assert_int_equal(swap_alloc(swap, 100, 2, &slot), 1);
	assert_int_equal(slot, 55);
	swap_destroy(swap);
}

struct reader {
	struct vm *vm;
	uint64_t gfn;
	pthread_t thread;
	_Atomic uint64_t val;
	_Atomic int done;
};

static void *read_word(void *arg)
{
	struct reader *r = arg;
	uint64_t val = 0;

	if (guest_access(r->vm->mem, word(r->vm, r->gfn), &val, 0) != GUEST_OK)
		val = 0;
	atomic_store(&r->val, val);
	atomic_store(&r->done, 1);
	return NULL;
}

static bool is_busy(struct vm *vm, uint64_t gfn)
{
	bool busy;

	frame_lock(vm->mem, gfn);
	busy = vm->mem->frames[gfn].busy == FRAME_FILL;
	frame_unlock(vm->mem, gfn);
	return busy;
}

/* As a disk that does not answer until the test does. */
static void pager_goes_on_while_reads_are_in_flight(void **s)
{
	static const uint64_t gfns[] = { 10, 300, 301, 900 };
	struct reader r[4];
	uint64_t page[MEM_PAGE_SIZE / 8];
	int fds[2], file;
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	if (!vm.mem->pager.queue.has_ring) {
		vm_end(&vm);
		skip();
	}
	for (i = 0; i < 4; i++) {
		put(&vm, gfns[i], gfns[i]);
		assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, gfns[i]),
				 0);
	}
	assert_int_equal(pipe(fds), 0);
	file = replace(&vm, fds[0]);
	/* 301 comes along with 300: one fill. */
	for (i = 0; i < 4; i++) {
		r[i] = (struct reader){ .vm = &vm, .gfn = gfns[i] };
		pthread_create(&r[i].thread, NULL, read_word, &r[i]);
		WAIT_UNTIL(is_busy(&vm, gfns[i]));
	}
	WAIT_UNTIL(({
		bool waited;

		frame_lock(vm.mem, 301);
		waited = vm.mem->frames[301].waited;
		frame_unlock(vm.mem, 301);
		waited;
	}));
	/* Zeros, and writes to them, meanwhile. */
	for (i = 500; i < 600; i++)
		put(&vm, i, i);
	for (i = 0; i < 4; i++)
		assert_false(atomic_load(&r[i].done));
	assert_int_equal(stats(&vm).preserved, 4);
	memset(page, 0, sizeof(page));
	page[0] = 4711;
	for (i = 0; i < 4; i++)
		assert_int_equal(write(fds[1], page, sizeof(page)),
				 sizeof(page));
	for (i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		assert_int_equal(atomic_load(&r[i].val), 4711);
		settle(&vm, gfns[i]);
	}
	assert_int_equal(stats(&vm).preserved, 0);
	WAIT_UNTIL(!slots_used(&vm));
	restore(&vm, file);
	close(fds[0]);
	close(fds[1]);
	vm_end(&vm);
}

static bool is_empty(int fd)
{
	int nr = -1;

	return !ioctl(fd, FIONREAD, &nr) && !nr;
}

static void transfer_in_parts_is_put_together(void **s)
{
	uint64_t page[MEM_PAGE_SIZE / 8];
	struct reader r;
	int fds[2], file;
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	if (!vm.mem->pager.queue.has_ring) {
		vm_end(&vm);
		skip();
	}
	put(&vm, 1, 1);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 1), 0);
	for (i = 0; i < MEM_PAGE_SIZE / 8; i++)
		page[i] = i + 4711;
	assert_int_equal(pipe(fds), 0);
	file = replace(&vm, fds[0]);
	r = (struct reader){ .vm = &vm, .gfn = 1 };
	pthread_create(&r.thread, NULL, read_word, &r);
	WAIT_UNTIL(is_busy(&vm, 1));
	assert_int_equal(write(fds[1], page, 1000), 1000);
	WAIT_UNTIL(is_empty(fds[0]));
	assert_int_equal(write(fds[1], (char *)page + 1000, 3096), 3096);
	pthread_join(r.thread, NULL);
	settle(&vm, 1);
	assert_memory_equal(vm.ram + MEM_PAGE_SIZE, page, sizeof(page));
	restore(&vm, file);
	close(fds[0]);
	close(fds[1]);
	vm_end(&vm);
}

/* More faults than fills: who gets none waits, and is not forgotten. */
static void more_faults_than_reads_in_flight_all_end(void **s)
{
	enum { N = PAGER_FILLS + 8 };
	static struct reader r[N];
	uint64_t page[MEM_PAGE_SIZE / 8] = { 4711 };
	int fds[2], file;
	struct vm vm;
	unsigned int i, busy;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	if (!vm.mem->pager.queue.has_ring) {
		vm_end(&vm);
		skip();
	}
	for (i = 0; i < N; i++) {
		put(&vm, 64 * i, i + 1);
		assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 64 * i),
				 0);
	}
	assert_int_equal(pipe(fds), 0);
	file = replace(&vm, fds[0]);
	for (i = 0; i < N; i++) {
		r[i] = (struct reader){ .vm = &vm, .gfn = 64 * i };
		pthread_create(&r[i].thread, NULL, read_word, &r[i]);
	}
	WAIT_UNTIL(({
		for (busy = i = 0; i < N; i++)
			busy += is_busy(&vm, 64 * i);
		busy == PAGER_FILLS;
	}));
	sleep_ms(20);
	for (busy = i = 0; i < N; i++)
		busy += is_busy(&vm, 64 * i);
	assert_int_equal(busy, PAGER_FILLS);
	for (i = 0; i < N; i++)
		assert_int_equal(write(fds[1], page, sizeof(page)),
				 sizeof(page));
	for (i = 0; i < N; i++) {
		pthread_join(r[i].thread, NULL);
		assert_int_equal(atomic_load(&r[i].val), 4711);
	}
	restore(&vm, file);
	close(fds[0]);
	close(fds[1]);
	vm_end(&vm);
}

/* Whoever stops the VM waits for the disk: it writes to the pager's memory. */
static void *stop(void *arg)
{
	mem_stop(((struct vm *)arg)->mem);
	return NULL;
}

static void stop_waits_for_reads_in_flight(void **s)
{
	uint64_t page[MEM_PAGE_SIZE / 8] = { 4711 };
	struct reader r;
	pthread_t stopper;
	int fds[2], file;
	struct vm vm;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	if (!vm.mem->pager.queue.has_ring) {
		vm_end(&vm);
		skip();
	}
	put(&vm, 1, 1);
	assert_int_equal(test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, 1), 0);
	assert_int_equal(pipe(fds), 0);
	file = replace(&vm, fds[0]);
	r = (struct reader){ .vm = &vm, .gfn = 1 };
	pthread_create(&r.thread, NULL, read_word, &r);
	WAIT_UNTIL(is_busy(&vm, 1));
	pthread_create(&stopper, NULL, stop, &vm);
	WAIT_UNTIL(mem_is_stopping(vm.mem));
	assert_int_equal(write(fds[1], page, sizeof(page)), sizeof(page));
	pthread_join(stopper, NULL);
	pthread_join(r.thread, NULL);
	assert_int_equal(atomic_load(&r.val), 4711);
	restore(&vm, file);
	close(fds[0]);
	close(fds[1]);
	mem_destroy(vm.mem);
}

static void round_trip(struct vm *vm)
{
	uint64_t i, turn;

	for (turn = 0; turn < 3; turn++)
		for (i = 0; i < 1024; i++) {
			if (turn)
				assert_int_equal(get(vm, i), i + turn);
			put(vm, i, i + turn + 1);
		}
	assert_true(stats(vm).swapped_out > 1024);
	assert_true(stats(vm).swapped_in > 1024);
	assert_int_equal(atomic_load(&vm->fatal_calls), 0);
}

static void *confined(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};
	struct vm *vm = arg;

	/* Of this thread and those it creates. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return "cannot confine";
	vm_start(vm, CFG(.limit_bytes = MIB));
	return NULL;
}

static void works_where_io_uring_is_refused(void **s)
{
	pthread_t thread;
	struct vm vm;
	void *err;

	(void)s;
	pthread_create(&thread, NULL, confined, &vm);
	pthread_join(thread, &err);
	assert_null(err);
	assert_false(vm.mem->pager.queue.has_ring);
	assert_false(vm.mem->pageout.queue.has_ring);
	round_trip(&vm);
	vm_end(&vm);
}

static void works_with_the_page_cache_and_without(void **s)
{
	struct vm vm;
	int flags;

	(void)s;
	vm_start(&vm, CFG(.limit_bytes = MIB));
	flags = fcntl(vm.mem->swap->fd, F_GETFL);
	assert_int_equal(!!(flags & O_DIRECT), vm.mem->swap->direct);
	round_trip(&vm);
	assert_int_equal(fcntl(vm.mem->swap->fd, F_SETFL, flags & ~O_DIRECT),
			 0);
	round_trip(&vm);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_never_has_a_name),
		cmocka_unit_test(slot_is_the_frame_s_own_where_it_is_free),
		cmocka_unit_test(pager_goes_on_while_reads_are_in_flight),
		cmocka_unit_test(transfer_in_parts_is_put_together),
		cmocka_unit_test(more_faults_than_reads_in_flight_all_end),
		cmocka_unit_test(stop_waits_for_reads_in_flight),
		cmocka_unit_test(works_where_io_uring_is_refused),
		cmocka_unit_test(works_with_the_page_cache_and_without),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
