// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each thread may do: every probe in every role, in a process of its own
 * where it may be its last.  They get descriptor -1 or no argument at all: that a
 * call fails does not matter here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/mem/uffd_abi.h"
#include "hyp/sandbox.h"
#include "hyp/sandbox_roles.h"
#include "hyp/thread.h"
#include "hyp/uring.h"

#ifdef __SANITIZE_THREAD__
#define TSAN 1
#else
#define TSAN 0
#endif

#define ALL    "vcpu blk balloon entropy vcon pager reclaim record main hypd"
#define ACCESS "vcpu blk balloon entropy vcon"
#define NOBODY ""

/* Arguments that nobody looks at are 0. */
#define IOCTL(request)                                                         \
	SYS_ioctl,                                                             \
	{                                                                      \
		-1, (long)(request)                                            \
	}

#define FILE_OF(flags)                                                         \
	SYS_openat,                                                            \
	{                                                                      \
		-1, 0, flags                                                   \
	}

static const struct probe {
	const char *name;
	long nr;
	long args[6];
	const char *roles; /* that survive it */
} probes[] = {
	{ "read", SYS_read, { -1 }, ALL },
	{ "write", SYS_write, { -1 }, ALL },
	{ "futex", SYS_futex, { 0, 1 }, ALL },
	{ "brk", SYS_brk, { 0 }, ALL },
	{ "give memory back", SYS_madvise, { 0, 0, MADV_DONTNEED }, ALL },
	{ "other advice", SYS_madvise, { 0, 0, MADV_DODUMP }, NOBODY },
	{ "advice of others",
	  SYS_process_madvise,
	  { -1, 0, 0, MADV_DONTNEED },
	  "balloon reclaim" },
	{ "other advice of others",
	  SYS_process_madvise,
	  { -1, 0, 0, MADV_COLD },
	  NOBODY },

	{ "KVM_RUN", IOCTL(KVM_RUN), "vcpu" },
	{ "KVM_GET_REGS", IOCTL(KVM_GET_REGS), "vcpu" },
	{ "KVM_SET_VCPU_EVENTS", IOCTL(KVM_SET_VCPU_EVENTS), "vcpu" },
	{ "KVM_IRQ_LINE", IOCTL(KVM_IRQ_LINE), ACCESS " main" },
	{ "KVM_SET_REGS", IOCTL(KVM_SET_REGS), NOBODY },
	{ "KVM_SET_USER_MEMORY_REGION", IOCTL(KVM_SET_USER_MEMORY_REGION),
	  NOBODY },
	{ "KVM_CREATE_VCPU", IOCTL(KVM_CREATE_VCPU), NOBODY },
	{ "UFFDIO_COPY", IOCTL(UFFDIO_COPY), ACCESS " pager reclaim" },
	{ "UFFDIO_WAKE", IOCTL(UFFDIO_WAKE), ACCESS " pager reclaim" },
	{ "UFFDIO_WRITEPROTECT", IOCTL(UFFDIO_WRITEPROTECT),
	  ACCESS " pager reclaim" },
	{ "UFFDIO_POISON", IOCTL(UFFDIO_POISON), "balloon reclaim" },
	{ "UFFDIO_MOVE", IOCTL(UFFDIO_MOVE), ACCESS " pager reclaim" },
	{ "UFFDIO_REGISTER", IOCTL(UFFDIO_REGISTER), NOBODY },
	{ "TCSETS", IOCTL(TCSETS), "main" },
	{ "TIOCSTI", IOCTL(TIOCSTI), NOBODY },
	/* The kernel looks at 32 bits: neither more nor fewer matter. */
	{ "KVM_RUN with high bits",
	  SYS_ioctl,
	  { -1, (long)(KVM_RUN | 1ull << 40) },
	  "vcpu" },

	{ "pread64", SYS_pread64, { -1 }, ACCESS " pager reclaim main" },
	{ "pwrite64", SYS_pwrite64, { -1 }, "reclaim" },
	{ "io_uring_enter", SYS_io_uring_enter, { -1 }, "blk pager reclaim" },
	{ "io_uring_setup", SYS_io_uring_setup, { 1 }, NOBODY },
	{ "io_uring_register", SYS_io_uring_register, { -1 }, NOBODY },
	{ "poll", SYS_poll, { 0 }, "balloon entropy vcon pager main hypd" },
	{ "epoll_wait", SYS_epoll_wait, { -1 }, "main hypd" },
	{ "epoll_ctl", SYS_epoll_ctl, { -1 }, "vcpu main hypd" },
	{ "timerfd_settime", SYS_timerfd_settime, { -1 }, "vcpu main hypd" },
	{ "getrandom", SYS_getrandom, { 0 }, "entropy" },
	{ "rt_sigtimedwait", SYS_rt_sigtimedwait, { 0 }, "vcpu" },
	{ "accept4", SYS_accept4, { -1 }, "vcon main hypd" },
	{ "sendto", SYS_sendto, { -1 }, "main hypd" },
	{ "size of a send buffer",
	  SYS_setsockopt,
	  { -1, SOL_SOCKET, SO_SNDBUF },
	  "main" },
	{ "other options of a socket",
	  SYS_setsockopt,
	  { -1, SOL_SOCKET, SO_RCVBUF },
	  NOBODY },
	{ "close", SYS_close, { -1 }, "vcon main hypd" },
	{ "wait4", SYS_wait4, { -1 }, "main hypd" },

	{ "new pages",
	  SYS_mmap,
	  { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
	  "balloon reclaim record main hypd" },
	{ "executable pages",
	  SYS_mmap,
	  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
	  NOBODY },
	{ "pages of a file",
	  SYS_mmap,
	  { 0, 4096, PROT_READ, MAP_SHARED, -1 },
	  NOBODY },
	{ "mprotect", SYS_mprotect, { 0, 0, PROT_EXEC }, NOBODY },
	{ "mremap", SYS_mremap, { 0 }, "balloon reclaim record main hypd" },
	{ "open", SYS_open, { 0 }, NOBODY },
	{ "a file to read", FILE_OF(O_RDONLY | O_CLOEXEC), "hypd" },
	{ "a directory to read", FILE_OF(O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	  "hypd" },
	{ "a file to write", FILE_OF(O_WRONLY), NOBODY },
	{ "a file to read and write", FILE_OF(O_RDWR), NOBODY },
	{ "a file of neither", FILE_OF(O_ACCMODE), NOBODY },
	{ "a new file", FILE_OF(O_RDONLY | O_CREAT), NOBODY },
	{ "a file to empty", FILE_OF(O_RDONLY | O_TRUNC), NOBODY },
	{ "a file without a name", FILE_OF(O_TMPFILE | O_RDWR), NOBODY },
	{ "openat2", SYS_openat2, { -1 }, NOBODY },
	{ "open by handle", SYS_open_by_handle_at, { -1 }, NOBODY },
	{ "getdents64", SYS_getdents64, { -1 }, "hypd" },
	{ "creat", SYS_creat, { 0 }, NOBODY },
	{ "unlink", SYS_unlink, { 0 }, NOBODY },
	{ "unlinkat", SYS_unlinkat, { -1 }, NOBODY },
	{ "rename", SYS_rename, { 0 }, NOBODY },
	{ "renameat2", SYS_renameat2, { -1, 0, -1 }, NOBODY },
	{ "linkat", SYS_linkat, { -1, 0, -1 }, NOBODY },
	{ "symlinkat", SYS_symlinkat, { 0, -1 }, NOBODY },
	{ "mkdirat", SYS_mkdirat, { -1 }, NOBODY },
	{ "fchmod", SYS_fchmod, { -1 }, NOBODY },
	{ "ftruncate", SYS_ftruncate, { -1 }, NOBODY },
	{ "a local socket", SYS_socket, { AF_UNIX, -1 }, "hypd" },
	{ "a socket of IPv4", SYS_socket, { AF_INET, -1 }, NOBODY },
	{ "a socket of IPv6", SYS_socket, { AF_INET6, -1 }, NOBODY },
	{ "a socket of the kernel", SYS_socket, { AF_NETLINK, -1 }, NOBODY },
	{ "a socket of guests", SYS_socket, { AF_VSOCK, -1 }, NOBODY },
	{ "a socket of no family", SYS_socket, { -1 }, NOBODY },
	{ "socketpair", SYS_socketpair, { -1 }, NOBODY },
	{ "connect", SYS_connect, { -1 }, "hypd" },
	{ "listen", SYS_listen, { -1 }, NOBODY },
	{ "bind", SYS_bind, { -1 }, NOBODY },
	{ "sendmsg", SYS_sendmsg, { -1 }, NOBODY },
	{ "clone", SYS_clone, { CLONE_THREAD }, NOBODY },
	{ "clone3", SYS_clone3, { 0 }, NOBODY },
	{ "fork", SYS_fork, { 0 }, NOBODY },
	{ "vfork", SYS_vfork, { 0 }, NOBODY },
	{ "execve", SYS_execve, { 0 }, NOBODY },
	{ "execveat", SYS_execveat, { -1 }, NOBODY },
	{ "ptrace", SYS_ptrace, { -1 }, NOBODY },
	{ "process_vm_readv", SYS_process_vm_readv, { 0 }, NOBODY },
	{ "process_vm_writev", SYS_process_vm_writev, { 0 }, NOBODY },
	{ "pidfd_open", SYS_pidfd_open, { -1 }, "hypd" },
	{ "pidfd_getfd", SYS_pidfd_getfd, { -1 }, NOBODY },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, { -1 }, NOBODY },
	{ "kill", SYS_kill, { -1, 999 }, NOBODY },
	{ "prctl", SYS_prctl, { -1 }, NOBODY },
	{ "seccomp", SYS_seccomp, { -1 }, NOBODY },
	{ "setuid", SYS_setuid, { -1 }, NOBODY },
};

/* _exit() for a confined child: with ASan that makes other calls before. */
static void leave(int code)
{
	syscall(SYS_exit_group, code);
}

/* Return: status of a child that calls @fn, which does not return if all is well. */
static int status_of(void (*fn)(const void *ctx), const void *ctx)
{
	int status;
	pid_t pid;

	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		fn(ctx);
		leave(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool was_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool was_well(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What does not hold in a child. */
static void must(bool holds, int code)
{
	if (!holds)
		leave(code);
}

/* hypd's role is no thread's of hyp: it is the last. */
#define NR_ROLES (SANDBOX_NR_ROLES + 1)

static const char *role_name(size_t i)
{
	return i < SANDBOX_NR_ROLES ? sandbox_roles[i].name :
				      sandbox_manager.name;
}

static int enter(const char *role)
{
	struct why why = { "" };

	return strcmp(role, sandbox_manager.name) ? sandbox_enter(role) :
						    sandbox_enter_manager(&why);
}

struct attempt {
	const char *role;
	const struct probe *probe;
};

static void attempt(const void *ctx)
{
	const struct attempt *a = ctx;
	const long *arg = a->probe->args;

	must(!enter(a->role), 1);
	syscall(a->probe->nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	leave(0);
}

static bool is_word_of(const char *word, const char *text)
{
	size_t len = strlen(word);
	const char *p = text;

	while ((p = strstr(p, word))) {
		if ((p == text || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
		p += len;
	}
	return false;
}

static void every_role_may_do_its_own_and_nothing_else(void **s)
{
	struct why why = { "" };
	size_t role, i;

	(void)s;
	assert_int_equal(sandbox_prepare(false, &why), 0);
	for (role = 0; role < NR_ROLES; role++) {
		for (i = 0; i < ARRAY_SIZE(probes); i++) {
			struct attempt a = { role_name(role), &probes[i] };
			bool may = is_word_of(a.role, probes[i].roles);
			int status = status_of(attempt, &a);

			if (may ? !was_well(status) : !was_killed(status))
				fail_msg("%s: %s: status 0x%x", a.role,
					 probes[i].name, (unsigned int)status);
		}
	}
}

static void prepare(bool hooks)
{
	struct why why = { "" };

	must(!sandbox_prepare(hooks, &why), 2);
}

static void signal_itself(const void *role)
{
	prepare(false);
	must(!enter(role), 1);
	must(!syscall(SYS_tgkill, getpid(), gettid(), 0), 3);
	leave(0);
}

static void signal_parent(const void *role)
{
	pid_t parent = getppid();

	prepare(false);
	must(!enter(role), 1);
	syscall(SYS_tgkill, parent, parent, 0);
	leave(0);
}

static void signals_reach_this_process_only(void **s)
{
	size_t i;

	(void)s;
	for (i = 0; i < NR_ROLES; i++) {
		assert_true(was_well(status_of(signal_itself, role_name(i))));
		assert_true(was_killed(status_of(signal_parent, role_name(i))));
	}
}

static void move_with_hooks(const void *role)
{
	prepare(true);
	must(!sandbox_enter(role), 1);
	ioctl(-1, UFFDIO_POISON, NULL);
	syscall(SYS_io_uring_enter, -1);
	leave(0);
}

static void test_hooks_are_for_vcpus(void **s)
{
	(void)s;
	assert_true(was_well(status_of(move_with_hooks, "vcpu3")));
	assert_true(was_killed(status_of(move_with_hooks, "vcon")));
}

static void *open_socket(void *arg)
{
	syscall(SYS_socket, -1, 0, 0);
	return arg;
}

static void start_one(const void *ctx)
{
	pthread_t thread;

	(void)ctx;
	prepare(false);
	if (!thread_start(&thread, "pager", open_socket, NULL))
		pthread_join(thread, NULL);
	leave(0);
}

static void threads_begin_confined(void **s)
{
	(void)s;
	assert_true(was_killed(status_of(start_one, NULL)));
}

static void start_unknown(const void *name)
{
	pthread_t thread;

	prepare(false);
	/* What assert() has to say is not for this test's log. */
	close(STDERR_FILENO);
	thread_start(&thread, name, open_socket, NULL);
	leave(0);
}

static void a_thread_without_a_role_does_not_start(void **s)
{
	int status = status_of(start_unknown, "pagers");

	(void)s;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = status_of(start_unknown, "");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_null(sandbox_role_of("vcpu1x"));
	assert_string_equal(sandbox_role_of("vcpu15")->name, "vcpu");
}

/* From here on, @call fails. */
static void refuse(long call, unsigned int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 4);
	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 4);
}

static void *exit_7(void *arg)
{
	leave(7);
	return arg;
}

static void start_refused(const void *ctx)
{
	pthread_t thread;

	(void)ctx;
	prepare(false);
	refuse(SYS_seccomp, ENOMEM);
	must(thread_start(&thread, "pager", exit_7, NULL) == -ENOMEM, 5);
	leave(0);
}

static void prepare_refused(const void *ctx)
{
	struct why why = { "" };

	(void)ctx;
	refuse(SYS_seccomp, ENOSYS);
	must(sandbox_prepare(false, &why) == -ENOSYS, 5);
	must(strstr(why.text, "--no-sandbox"), 6);
	/* As --no-sandbox, then: nothing is half done. */
	must(!sandbox_enter("main") && socket(-1, 0, 0) < 0, 7);
	leave(0);
}

static void without_its_filter_no_thread_runs(void **s)
{
	(void)s;
	assert_true(was_well(status_of(start_refused, NULL)));
	assert_true(was_well(status_of(prepare_refused, NULL)));
}

static void *sleep_for_ever(void *arg)
{
	sem_t never;

	sem_init(&never, 0, 0);
	for (;;)
		sem_wait(&never);
	return arg;
}

static void finish_beside_another(const void *ctx)
{
	struct why why = { "" };
	pthread_t thread;

	(void)ctx;
	prepare(false);
	must(!pthread_create(&thread, NULL, sleep_for_ever, NULL), 4);
	must(sandbox_finish(&why) == -EPERM, 5);
	must(strstr(why.text, "all threads are confined"), 6);
	leave(0);
}

static void finish_beside_good_ones(const void *ctx)
{
	struct why why = { "" };
	pthread_t a, b;

	(void)ctx;
	prepare(false);
	must(!thread_start(&a, "reclaim", sleep_for_ever, NULL), 4);
	must(!thread_start(&b, "vcpu7", sleep_for_ever, NULL), 4);
	must(!sandbox_finish(&why), 5);
	leave(0);
}

/* They have main's filter, which is none yet, and run in the kernel only. */
static void finish_beside_a_worker(const void *ctx)
{
	struct io_uring_sqe *sqe;
	struct why why = { "" };
	struct io_uring ring;
	char byte;
	int fds[2];

	(void)ctx;
	prepare(false);
	if (pipe(fds) || io_uring_queue_init(4, &ring, 0))
		leave(0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fds[0], &byte, 1, 0);
	sqe->flags |= IOSQE_ASYNC;
	must(io_uring_submit(&ring) == 1, 4);
	must(!sandbox_finish(&why), 5);
	leave(0);
}

static void main_finds_threads_that_others_started(void **s)
{
	(void)s;
	assert_true(was_well(status_of(finish_beside_another, NULL)));
	if (TSAN)
		return; /* it has a thread of its own, without a filter */
	assert_true(was_well(status_of(finish_beside_a_worker, NULL)));
	assert_true(was_well(status_of(finish_beside_good_ones, NULL)));
}

/* Of @pid.  Return: 0, or the errno of an attempt to look at a descriptor of it. */
static int look_at_descriptor(pid_t pid)
{
	char path[64], target[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)pid);
	return readlink(path, target, sizeof(target)) < 0 ? errno : 0;
}

static int look_at_memory(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* As another user than root, who may look at everything. */
static void become_nobody(void)
{
	if (geteuid() == 0)
		must(!setresgid(65534, 65534, 65534) &&
			     !setresuid(65534, 65534, 65534),
		     10);
	/* A change of credentials has the effect that is looked for here. */
	must(!prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 11);
}

static void finish_when_told(int go, int done)
{
	struct why why = { "" };
	char byte = 0;

	prepare(false);
	must(write(done, &byte, 1) == 1 && read(go, &byte, 1) == 1, 12);
	must(!sandbox_finish(&why), 13);
	must(write(done, &byte, 1) == 1 && read(go, &byte, 1) >= 0, 14);
	leave(0);
}

static void look_at_a_neighbour(const void *ctx)
{
	int go[2], done[2];
	char byte = 0;
	pid_t pid;

	(void)ctx;
	become_nobody();
	must(!pipe(go) && !pipe(done), 20);
	pid = fork();
	if (!pid) {
		close(go[1]);
		close(done[0]);
		finish_when_told(go[0], done[1]);
	}
	/* So that its end, if it comes too early, ends reads as well. */
	close(go[0]);
	close(done[1]);
	must(read(done[0], &byte, 1) == 1, 21);
	/* Or this test would show nothing. */
	must(!look_at_descriptor(pid), 22);
	must(write(go[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 1, 23);
	must(look_at_descriptor(pid) == EACCES, 24);
	must(look_at_memory(pid) == EACCES, 25);
	must(write(go[1], &byte, 1) == 1 && waitpid(pid, NULL, 0) == pid, 26);
	leave(0);
}

static void nobody_of_this_user_looks_into_it(void **s)
{
	(void)s;
	if (TSAN)
		return; /* as above */
	assert_int_equal(status_of(look_at_a_neighbour, NULL), 0);
}

/* Return: the result of an operation that has been prepared in @sqe. */
static int result_of(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int res;

	assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void rings_take_nothing_but_their_operations(void **s)
{
	static const uint8_t ops[] = { IORING_OP_READ };
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	char byte = 1;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)s;
	assert_true(zero >= 0);
	if (uring_open(&ring, 4, ops, 1, NULL, NULL)) {
		close(zero);
		skip();
	}
	io_uring_prep_read(io_uring_get_sqe(&ring), zero, &byte, 1, 0);
	assert_int_equal(result_of(&ring), 1);
	assert_int_equal(byte, 0);
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/dev/zero",
			     O_RDONLY, 0);
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_prep_socket(io_uring_get_sqe(&ring), AF_UNIX, SOCK_STREAM, 0,
			     0);
	assert_int_equal(result_of(&ring), -EACCES);
	/* Not one behind another, as nobody here has use for that. */
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, zero, &byte, 1, 0);
	sqe->flags |= IOSQE_ASYNC;
	assert_int_equal(result_of(&ring), -EACCES);
	io_uring_queue_exit(&ring);
	close(zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_take_nothing_but_their_operations),
		cmocka_unit_test(signals_reach_this_process_only),
		cmocka_unit_test(test_hooks_are_for_vcpus),
		cmocka_unit_test(threads_begin_confined),
		cmocka_unit_test(a_thread_without_a_role_does_not_start),
		cmocka_unit_test(without_its_filter_no_thread_runs),
		cmocka_unit_test(main_finds_threads_that_others_started),
		cmocka_unit_test(nobody_of_this_user_looks_into_it),
		/* Last: this process has filters at hand from here on. */
		cmocka_unit_test(every_role_may_do_its_own_and_nothing_else),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
