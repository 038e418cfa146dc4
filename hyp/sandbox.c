// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that takes over hyp must find a process that can only go on doing
 * what hyp does: no open, no exec, no fork, no new sockets, no executable memory.
 *
 * The control socket adds accept4, recvfrom, sendto, getsockopt, and setsockopt for
 * the size of a send buffer alone: there is one socket that listens, and who
 * connects to it is the user who runs hyp, or root, and asks for counters.  Neither
 * socket, connect nor unlink: the file of the socket is removed by another process
 * (hyp/ctl/listen.h), and wait4 waits for that one.
 */
#include "hyp/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clang-format off */
static const int allowed[] = {
	/* files, pipes, terminals that are open already */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv),
	SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(close), SCMP_SYS(fallocate),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(io_uring_enter),
	/* KVM_RUN and its like, userfaultfd, termios */
	SCMP_SYS(ioctl),
	/* clients of the control socket, and its janitor */
	SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
	SCMP_SYS(getsockopt), SCMP_SYS(geteuid), SCMP_SYS(wait4),
	/* guest memory; mmap and mprotect see below */
	SCMP_SYS(madvise), SCMP_SYS(process_madvise), SCMP_SYS(munmap),
	SCMP_SYS(brk),
	/* glibc's qsort() asks how much memory there is */
	SCMP_SYS(sysinfo),
	/* the guest's entropy */
	SCMP_SYS(getrandom),
	/* waiting and time */
	SCMP_SYS(futex), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(sched_yield), SCMP_SYS(membarrier),
	SCMP_SYS(restart_syscall),
	/* signals and the end */
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(tgkill),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(exit),
	/* glibc in a thread that has just been created */
	SCMP_SYS(rseq), SCMP_SYS(set_robust_list),
	SCMP_SYS(exit_group),
};

/* Of hypd; socket, openat, mmap and mprotect see below. */
static const int manager_allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(lseek),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(getdents64),
	SCMP_SYS(fcntl),
	/* VMs, and who asks about them; their processes */
	SCMP_SYS(connect), SCMP_SYS(accept4), SCMP_SYS(recvfrom),
	SCMP_SYS(sendto), SCMP_SYS(getsockopt), SCMP_SYS(geteuid),
	SCMP_SYS(pidfd_open), SCMP_SYS(wait4),
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex), SCMP_SYS(poll), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(tgkill), SCMP_SYS(exit_group),
};

static const int janitor_allowed[] = {
	SCMP_SYS(read), SCMP_SYS(flock), SCMP_SYS(newfstatat),
	SCMP_SYS(unlinkat), SCMP_SYS(restart_syscall), SCMP_SYS(exit_group),
};
/* clang-format on */

void sandbox_close_inherited(void)
{
	/* Best effort: before Linux 5.9 the caller's descriptors stay. */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
}

static int allow_list(scmp_filter_ctx ctx, const int *list, size_t nr)
{
	const struct scmp_arg_cmp not_exec =
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	size_t i;
	int err = 0;

	for (i = 0; !err && i < nr; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, list[i], 0);
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       not_exec);
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
				       1, not_exec);
	return err;
}

static int add_rules(scmp_filter_ctx ctx)
{
	int err = allow_list(ctx, allowed, ARRAY_SIZE(allowed));

	/* Of who takes events; see ctl_take_events(). */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
				       SCMP_SYS(setsockopt), 2,
				       SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET),
				       SCMP_A2(SCMP_CMP_EQ, SO_SNDBUF));
	return err;
}

/* Sockets are local ones, files are read. */
static int add_manager_rules(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp local = SCMP_A0(SCMP_CMP_EQ, AF_UNIX);
	const struct scmp_arg_cmp to_read = SCMP_A2(
		SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	int err = allow_list(ctx, manager_allowed, ARRAY_SIZE(manager_allowed));

	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       local);
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				       to_read);
	return err;
}

int sandbox_enter_janitor(void)
{
	scmp_filter_ctx ctx;
	size_t i;
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	/* No kill: it would leave the file behind. */
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	for (i = 0, err = 0; !err && i < ARRAY_SIZE(janitor_allowed); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, janitor_allowed[i],
				       0);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

static int enter(int (*rules)(scmp_filter_ctx ctx), struct why *why)
{
	scmp_filter_ctx ctx;
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return why_set(why, -errno, "cannot give up privileges");
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return why_set(why, -ENOMEM, "seccomp");
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = rules(ctx);
	if (!err)
		err = seccomp_load(ctx);
	if (err)
		why_set(why, err,
			"cannot install the seccomp filter; --no-sandbox runs without");
	seccomp_release(ctx);
	return err;
}

int sandbox_enter(struct why *why)
{
	return enter(add_rules, why);
}

int sandbox_enter_manager(struct why *why)
{
	return enter(add_manager_rules, why);
}
