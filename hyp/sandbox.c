// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/sandbox.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hyp/sandbox_roles.h"

/*
 * As in /proc/PID/stat, from Linux's <linux/sched.h>: threads that the kernel made
 * for io_uring or KVM in this process, and that never leave it.
 */
#define PF_IO_WORKER   0x00000010u
#define PF_USER_WORKER 0x00004000u
/* A page of it: what any pipe takes. */
#define MAX_CODE (4096 / sizeof(struct sock_filter))

/* Of one role, in the order of sandbox_roles; written before the first thread. */
static struct sock_fprog programs[SANDBOX_NR_ROLES];
static bool prepared;

void sandbox_close_inherited(void)
{
	/* Best effort: before Linux 5.9 the caller's descriptors stay. */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
}

static int add_call(scmp_filter_ctx ctx, const struct sandbox_call *call)
{
	struct scmp_arg_cmp args[ARRAY_SIZE(call->args) + 1];
	unsigned int i, nr = 0;

	if (call->own_pid)
		args[nr++] = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	for (i = 0; i < call->nr_args; i++)
		args[nr++] = (struct scmp_arg_cmp){
			call->args[i].index,
			SCMP_CMP_MASKED_EQ,
			call->args[i].mask,
			call->args[i].value,
		};
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call->nr, nr, args);
}

static int add_list(scmp_filter_ctx ctx, const struct sandbox_list *list)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < list->nr; i++)
		err = add_call(ctx, &list->calls[i]);
	return err;
}

/*
 * As the kernel takes it; seccomp_load() would make it anew for each thread.  By
 * a pipe, which RLIMIT_FSIZE does not limit; a filter is far smaller than a page.
 */
static int export(scmp_filter_ctx ctx, struct sock_fprog *out)
{
	struct sock_filter code[MAX_CODE];
	ssize_t bytes;
	int fds[2];
	int err;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	err = seccomp_export_bpf(ctx, fds[1]);
	if (err)
		goto out;
	bytes = read(fds[0], code, sizeof(code));
	err = -E2BIG;
	if (bytes <= 0 || (size_t)bytes == sizeof(code))
		goto out;
	out->len = (unsigned short)((size_t)bytes / sizeof(*code));
	out->filter = malloc((size_t)bytes);
	err = out->filter ? 0 : -ENOMEM;
	if (!err)
		memcpy(out->filter, code, (size_t)bytes);
out:
	close(fds[0]);
	close(fds[1]);
	return err;
}

static int compile(const struct sandbox_role *role, bool hooks, uint32_t other,
		   struct sock_fprog *out)
{
	const struct sandbox_list *const *list;
	scmp_filter_ctx ctx = seccomp_init(other);
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	for (list = role->lists; !err && *list; list++)
		err = add_list(ctx, *list);
	if (!err && hooks && role->hooks)
		err = add_list(ctx, &sandbox_hooks);
	if (!err)
		err = export(ctx, out);
	seccomp_release(ctx);
	return err;
}

static int install(const struct sock_fprog *program)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) ?
		       -errno :
		       0;
}

int sandbox_prepare(bool test_hooks, struct why *why)
{
	uint32_t kill = SECCOMP_RET_KILL_PROCESS;
	size_t i;
	int err = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return why_set(why, -errno, "cannot give up privileges");
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill))
		err = -errno;
	for (i = 0; !err && i < SANDBOX_NR_ROLES; i++)
		err = compile(&sandbox_roles[i], test_hooks,
			      SCMP_ACT_KILL_PROCESS, &programs[i]);
	prepared = !err;
	return err ? why_set(why, err,
			     "cannot make the seccomp filters; --no-sandbox runs without") :
		     0;
}

int sandbox_enter(const char *thread)
{
	const struct sandbox_role *role = sandbox_role_of(thread);

	if (!prepared)
		return 0;
	/* A thread that sandbox_roles.c does not know. */
	assert(role);
	return install(&programs[role - sandbox_roles]);
}

/* @file of a thread, with a zero behind.  Return: 0 or a negative errno. */
static int read_task(int tasks, const char *tid, const char *file, char *text,
		     size_t size)
{
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tid, file);
	fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return n < 0 ? -ESRCH : 0;
}

/* Return: 0, -EPERM if it has no filter, or another negative errno. */
static int check_task(int tasks, const char *tid)
{
	static const char key[] = "\nSeccomp:\t";
	unsigned int flags;
	char text[4096];
	const char *p;
	int err;

	err = read_task(tasks, tid, "status", text, sizeof(text));
	if (err)
		return err;
	p = strstr(text, key);
	if (p && p[strlen(key)] == '0' + SECCOMP_MODE_FILTER)
		return 0;
	err = read_task(tasks, tid, "stat", text, sizeof(text));
	if (err)
		return err;
	/* The seventh field behind the name, which may have anything in it. */
	p = strrchr(text, ')');
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return -EPROTO;
	return flags & (PF_IO_WORKER | PF_USER_WORKER) ? 0 : -EPERM;
}

static int check_others(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	int err = 0;

	if (!tasks)
		return -errno;
	while (!err && (task = readdir(tasks))) {
		if (task->d_name[0] == '.' || atoi(task->d_name) == gettid())
			continue;
		err = check_task(dirfd(tasks), task->d_name);
		if (err == -ENOENT || err == -ESRCH)
			err = 0; /* an idle worker of io_uring, and gone */
	}
	closedir(tasks);
	return err;
}

int sandbox_finish(struct why *why)
{
	int err;

	if (!prepared)
		return 0;
	err = check_others();
	if (err)
		return why_set(
			why, err,
			"cannot see in /proc that all threads are confined; --no-sandbox runs without");
	/*
	 * Neither ptrace() nor /proc/PID/{mem,fd} for processes of this user,
	 * other VMs among them; and no core dump: the guest's data would be in
	 * it, in buffers of devices even without RAM.  RLIMIT_CORE does not
	 * keep one from a core_pattern that is a pipe.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		err = -errno;
	if (!err)
		err = sandbox_enter("main");
	return err ? why_set(why, err,
			     "cannot install the seccomp filter; --no-sandbox runs without") :
		     0;
}

/* Of a process with one thread. */
static int enter_alone(const struct sandbox_role *role, uint32_t other)
{
	struct sock_fprog program;
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	err = compile(role, false, other, &program);
	if (err)
		return err;
	err = install(&program);
	free(program.filter);
	return err;
}

int sandbox_enter_manager(struct why *why)
{
	int err = enter_alone(&sandbox_manager, SCMP_ACT_KILL_PROCESS);

	return err ? why_set(why, err,
			     "cannot install the seccomp filter; --no-sandbox runs without") :
		     0;
}

int sandbox_enter_janitor(void)
{
	/* No kill: it would leave the file behind. */
	return enter_alone(&sandbox_janitor, SCMP_ACT_ERRNO(EPERM));
}
