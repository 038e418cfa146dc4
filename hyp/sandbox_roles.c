// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allow-lists.  None has unlink, clone, exec, ptrace, anything of another process,
 * or memory that can be executed; and none but hypd's has open, which is to read,
 * socket, which is a local one, or connect.  io_uring would be a way around all of
 * this: rings take but a few operations (hyp/uring.h).
 */
#include "hyp/sandbox_roles.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "hyp/mem/uffd_abi.h"
#include "hyp/util.h"

/* What the kernel looks at of an int: libc may extend its sign, or not. */
#define INT_MASK 0xffffffffull

#define CALL(name)                                                             \
	{                                                                      \
		.nr = SCMP_SYS(name)                                           \
	}
#define CALL_OWN(name)                                                         \
	{                                                                      \
		.nr = SCMP_SYS(name), .own_pid = true                          \
	}
#define CALL_IF(name, i, v)                                                    \
	{                                                                      \
		.nr = SCMP_SYS(name), .nr_args = 1, .args = {                  \
			{ i, INT_MASK, v }                                     \
		}                                                              \
	}
#define IOCTL(request) CALL_IF(ioctl, 1, request)
/* New pages without a file behind them, never executable. */
#define MMAP_PAGES                                                             \
	{                                                                      \
		.nr = SCMP_SYS(mmap), .nr_args = 2, .args = {                  \
			{ 2, PROT_EXEC, 0 },                                   \
			{ 3, MAP_ANONYMOUS, MAP_ANONYMOUS }                    \
		}                                                              \
	}
#define SET_SEND_BUFFER                                                        \
	{                                                                      \
		.nr = SCMP_SYS(setsockopt), .nr_args = 2, .args = {            \
			{ 1, INT_MASK, SOL_SOCKET },                           \
			{ 2, INT_MASK, SO_SNDBUF }                             \
		}                                                              \
	}
#define OPEN_TO_READ                                                           \
	{                                                                      \
		.nr = SCMP_SYS(openat), .nr_args = 1, .args = {                \
			{ 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY }         \
		}                                                              \
	}
#define LIST(name)                                                             \
	static const struct sandbox_list name = { name##_calls,                \
						  ARRAY_SIZE(name##_calls) }

/* clang-format off */
static const struct sandbox_call every_calls[] = {
	CALL(futex),
	/* what is open already: eventfds above all, and lines on stderr */
	CALL(read), CALL(write),
	CALL(clock_gettime), /* no vDSO with some clock sources */
	CALL(restart_syscall), /* after SIGSTOP and SIGCONT */
	/* abort(), and pthread_kill() by who pauses vCPUs; not other processes */
	CALL(rt_sigprocmask), CALL(getpid), CALL(gettid), CALL_OWN(tgkill),
	/* the end of a thread gives its stack back */
	CALL_IF(madvise, 2, MADV_DONTNEED), CALL(exit), CALL(exit_group),
	CALL(brk), /* malloc(), of which there is one arena (vm.c) */
};
LIST(every);

/* malloc() for those who use it in earnest: when brk() cannot grow. */
static const struct sandbox_call heap_calls[] = {
	MMAP_PAGES, CALL(munmap), CALL(mremap), /* of 128 KiB and more, too */
	CALL(sysinfo), /* glibc's qsort() asks how much memory there is */
};
LIST(heap);

/* A frame for a page that is wanted: zeros, from the swap file or from probation. */
static const struct sandbox_call fill_calls[] = {
	IOCTL(UFFDIO_COPY), IOCTL(UFFDIO_MOVE), IOCTL(UFFDIO_WAKE), CALL(pread64),
};
LIST(fill);

/* Frames that were armed, or are to be (mem/track.h). */
static const struct sandbox_call protect_calls[] = {
	IOCTL(UFFDIO_WRITEPROTECT),
};
LIST(protect);

/* Discards; madvise(), one by one, is every's. */
static const struct sandbox_call release_calls[] = {
	IOCTL(UFFDIO_POISON), CALL_IF(process_madvise, 3, MADV_DONTNEED),
};
LIST(release);

static const struct sandbox_call page_out_calls[] = {
	CALL(pwrite64), /* without io_uring */
};
LIST(page_out);

static const struct sandbox_call ring_calls[] = {
	CALL(io_uring_enter),
	CALL(sched_yield), /* the kernel has no memory for it just now */
};
LIST(ring);

static const struct sandbox_call device_calls[] = {
	IOCTL(KVM_IRQ_LINE),
};
LIST(device);

static const struct sandbox_call poll_calls[] = {
	CALL(poll),
};
LIST(poll);

static const struct sandbox_call vcpu_calls[] = {
	IOCTL(KVM_RUN), IOCTL(KVM_GET_REGS),
	IOCTL(KVM_GET_VCPU_EVENTS), IOCTL(KVM_SET_VCPU_EVENTS),
	IOCTL(KVM_KVMCLOCK_CTRL),
	CALL(rt_sigtimedwait), /* kicks, and SIGBUS of its guest */
	/* the UART wakes the loop: that it has output, or room for input */
	CALL(timerfd_settime), CALL(epoll_ctl),
};
LIST(vcpu);

/* Clients of channels, whose sockets are open. */
static const struct sandbox_call channel_calls[] = {
	CALL(accept4), CALL(recvfrom), CALL(close),
};
LIST(channel);

static const struct sandbox_call entropy_calls[] = {
	CALL(getrandom),
};
LIST(entropy);

static const struct sandbox_call main_calls[] = {
	/* the loop */
	CALL(epoll_wait), CALL(epoll_ctl), CALL(timerfd_settime), CALL(poll),
	/* clients of the control socket: the listening one is the only one */
	CALL(accept4), CALL(recvfrom), CALL(sendto), CALL(getsockopt),
	SET_SEND_BUFFER, /* of who takes events */
	CALL(geteuid), CALL(close),
	CALL(wait4), /* the janitor; there is no other child */
	/* --stats, --summary; stdio asks what it writes to */
	CALL(lseek), CALL(fstat), CALL(newfstatat), IOCTL(TCGETS),
	CALL(pread64), /* KVM's statistics */
	IOCTL(TCSETS), /* the terminal as it was */
};
LIST(main);

/* Reads a pipe to its end, then removes one file. */
static const struct sandbox_call janitor_calls[] = {
	CALL(read), CALL(flock), CALL(newfstatat), CALL(unlinkat),
	CALL(restart_syscall), CALL(exit_group),
};
LIST(janitor);

/* hypd finds VMs, talks to them and to who asks about them, and reads files. */
static const struct sandbox_call manager_calls[] = {
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_ctl),
	CALL(timerfd_settime), CALL(poll), CALL(rt_sigreturn),
	CALL_IF(socket, 0, AF_UNIX), CALL(connect), CALL(accept4),
	CALL(recvfrom), CALL(sendto), CALL(getsockopt), CALL(close),
	CALL(geteuid), CALL(pidfd_open), CALL(wait4),
	OPEN_TO_READ, CALL(getdents64), CALL(fcntl), CALL(lseek),
	CALL(fstat), CALL(newfstatat),
};
LIST(manager);

static const struct sandbox_call hooks_calls[] = {
	IOCTL(UFFDIO_POISON), CALL(pwrite64),
	CALL(io_uring_enter), CALL(sched_yield),
};
const struct sandbox_list sandbox_hooks = { hooks_calls,
					    ARRAY_SIZE(hooks_calls) };

/* By the name that thread_start() gets. */
const struct sandbox_role sandbox_roles[SANDBOX_NR_ROLES] = {
	/* Its exits end in devices, and in mem's slow path and faults. */
	{ "vcpu", true, { &vcpu, &every, &fill, &protect, &device } },
	{ "blk", false, { &ring, &every, &fill, &protect, &device } },
	{ "balloon", false, { &poll, &every, &fill, &protect, &device,
			      &release, &heap } },
	{ "entropy", false, { &poll, &entropy, &every, &fill, &protect,
			      &device } },
	{ "vcon", false, { &poll, &every, &fill, &protect, &device,
			   &channel } },
	{ "pager", false, { &poll, &every, &fill, &protect, &ring } },
	{ "reclaim", false, { &every, &fill, &protect, &release, &page_out, &ring,
			      &heap } },
	{ "record", false, { &every, &heap } },
	{ "main", false, { &main, &every, &heap, &device } },
};

const struct sandbox_role sandbox_janitor = { "janitor", false, { &janitor } };
const struct sandbox_role sandbox_manager = { "hypd", false, { &manager, &every, &heap } };
/* clang-format on */

const struct sandbox_role *sandbox_role_of(const char *thread)
{
	size_t i;

	for (i = 0; i < SANDBOX_NR_ROLES; i++) {
		size_t len = strlen(sandbox_roles[i].name);

		if (!strncmp(thread, sandbox_roles[i].name, len) &&
		    strspn(thread + len, "0123456789") == strlen(thread + len))
			return &sandbox_roles[i];
	}
	return NULL;
}
