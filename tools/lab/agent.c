// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's inside half: process 1 of the lab machine.
 *
 * Loads kvm-amd, mounts the outside machine's file system as its own root,
 * starts the one program that the outside half names, and carries its streams,
 * signals and exit status.  Runs until the outside half stops the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/lab/mux.h"

#define ROOT "/root"

struct spec {
	struct spec_head head;
	char *cwd;
	char **args;
	char **env;
	char **shared;
};

struct agent {
	struct mux mux;
	struct spec spec;
	bool started;
	bool failed;
	pid_t pid;
	int wait_status;
	bool exited;
	int tty; /* our side of the terminal, -1 without */
};

/* A lab that cannot work ends in a panic: the outside half shows the log. */
static void __attribute__((format(printf, 1, 2), noreturn))
die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "<0>lab: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	exit(1);
}

static void must_mount(const char *source, const char *target, const char *type,
		       unsigned long flags, const char *data)
{
	if (mount(source, target, type, flags, data))
		die("mount %s on %s", source ? source : "", target);
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die("load %s", path);
	close(fd);
}

/*
 * The first VM to come and the last to go patch static keys, which under
 * multi-threaded TCG once crashed the kernel: hold one for good.
 */
static void hold_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		die("create a VM");
}

/* /dev/vportNp1, where N counts virtio devices of all kinds; -1: not there yet. */
static int find_port(void)
{
	glob_t found;
	int fd = -1;

	if (!glob("/dev/vport*p1", 0, NULL, &found))
		fd = open(found.gl_pathv[0], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	globfree(&found);
	return fd;
}

static int open_port(void)
{
	int watch = inotify_init1(IN_CLOEXEC);
	int fd;

	if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE) < 0)
		die("watch /dev");
	while ((fd = find_port()) < 0) {
		char buf[4096];

		if (read(watch, buf, sizeof(buf)) < 0)
			die("watch /dev");
	}
	close(watch);
	return fd;
}

static void loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo",
			     .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("loopback");
	close(fd);
}

static void mount_early(void)
{
	must_mount("dev", "/dev", "devtmpfs", 0, NULL);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir(ROOT, 0755);
	mkdir("/rw", 0755);
	must_mount("proc", "/proc", "proc", 0, NULL);
	must_mount("sys", "/sys", "sysfs", 0, NULL);
}

/* The outside root, read-only but for the directories it shares. */
static void mount_root(const struct spec *spec)
{
	must_mount("root", ROOT, "virtiofs", 0, NULL);
	must_mount(ROOT, "/rw", NULL, MS_BIND, NULL);
	must_mount(NULL, ROOT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
	for (char **dir = spec->shared; *dir; dir++) {
		char *from, *to;

		if (asprintf(&from, "/rw%s", *dir) < 0 ||
		    asprintf(&to, ROOT "%s", *dir) < 0)
			die("share %s", *dir);
		must_mount(from, to, NULL, MS_BIND, NULL);
		free(from);
		free(to);
	}
	must_mount("dev", ROOT "/dev", "devtmpfs", 0, NULL);
	mkdir(ROOT "/dev/pts", 0755);
	mkdir(ROOT "/dev/shm", 01777);
	must_mount("pts", ROOT "/dev/pts", "devpts", 0,
		   "ptmxmode=666,mode=620");
	must_mount("shm", ROOT "/dev/shm", "tmpfs", 0, "mode=1777");
	symlink("/proc/self/fd", ROOT "/dev/fd");
	symlink("/proc/self/fd/0", ROOT "/dev/stdin");
	symlink("/proc/self/fd/1", ROOT "/dev/stdout");
	symlink("/proc/self/fd/2", ROOT "/dev/stderr");
	must_mount("run", ROOT "/run", "tmpfs", 0, "mode=755");
	must_mount("proc", ROOT "/proc", "proc", 0, NULL);
	must_mount("sys", ROOT "/sys", "sysfs", 0, NULL);
	/* for those who look at the kernel; nothing depends on them */
	mount("debug", ROOT "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("cgroup", ROOT "/sys/fs/cgroup", "cgroup2", 0, NULL);
	if (umount2("/rw", MNT_DETACH) || chdir(ROOT) ||
	    mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die("change root");
}

static char **take_strings(char **pos, const char *end, uint32_t nr)
{
	char **list = calloc((size_t)nr + 1, sizeof(*list));

	for (uint32_t i = 0; list && i < nr; i++) {
		if (*pos >= end)
			return NULL;
		list[i] = *pos;
		*pos += strlen(*pos) + 1;
	}
	return list;
}

static void parse_spec(struct spec *spec, const uint8_t *data, size_t len)
{
	char *copy, *pos;

	if (len <= sizeof(spec->head) || data[len - 1])
		die("START is malformed");
	copy = malloc(len);
	if (!copy)
		die("START");
	memcpy(copy, data, len);
	memcpy(&spec->head, copy, sizeof(spec->head));
	pos = copy + sizeof(spec->head);
	spec->cwd = pos;
	pos += strlen(pos) + 1;
	spec->args = take_strings(&pos, copy + len, spec->head.nr_args);
	spec->env = take_strings(&pos, copy + len, spec->head.nr_env);
	spec->shared = take_strings(&pos, copy + len, spec->head.nr_shared);
	if (!spec->args || !spec->args[0] || !spec->env || !spec->shared)
		die("START is malformed");
}

/* Runs in the child; fds are its stdin, stdout and stderr. */
static void __attribute__((noreturn))
exec_program(const struct spec *spec, const int fds[3], int report)
{
	struct rlimit nofile = { 1024,
				 1048576 }; /* what Debian gives a login */
	sigset_t none;
	int err;

	setsid();
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	if (spec->head.flags & SPEC_TTY)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	setrlimit(RLIMIT_NOFILE, &nofile);
	umask(spec->head.umask);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	environ = spec->env;
	if (!chdir(spec->cwd))
		execvp(spec->args[0], spec->args);
	err = errno;
	write(report, &err, sizeof(err));
	_exit(127);
}

static void fail(struct agent *a, uint32_t code, const char *what, int err)
{
	uint8_t buf[512];
	int n;

	memcpy(buf, &code, sizeof(code));
	n = snprintf((char *)buf + sizeof(code), sizeof(buf) - sizeof(code),
		     "%s: %s", what, strerror(err));
	if (n > (int)(sizeof(buf) - sizeof(code)) - 1)
		n = sizeof(buf) - sizeof(code) - 1;
	mux_send(&a->mux, MUX_FAIL, 0, buf, sizeof(code) + n);
	a->failed = true;
}

static int open_pty(struct agent *a, int fds[3])
{
	struct winsize ws = { .ws_row = a->spec.head.rows,
			      .ws_col = a->spec.head.cols };
	int unlock = 0, slave;

	a->tty = open("/dev/pts/ptmx",
		      O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (a->tty < 0 || ioctl(a->tty, TIOCSPTLCK, &unlock))
		return -errno;
	ioctl(a->tty, TIOCSWINSZ, &ws);
	slave = ioctl(a->tty, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	fds[0] = fds[1] = fds[2] = slave;
	if (mux_add(&a->mux, MUX_STDIN, dup(a->tty), false, MUX_WINDOW) ||
	    mux_add(&a->mux, MUX_STDOUT, a->tty, true, 0))
		return -ENOMEM;
	return 0;
}

static int open_pipes(struct agent *a, int fds[3])
{
	for (uint8_t i = 0; i < 3; i++) {
		bool source = i != MUX_STDIN;
		int p[2];

		if (pipe2(p, O_CLOEXEC))
			return -errno;
		fds[i] = p[source ? 1 : 0];
		fcntl(p[source ? 0 : 1], F_SETFL, O_NONBLOCK);
		if (mux_add(&a->mux, i, p[source ? 0 : 1], source, MUX_WINDOW))
			return -ENOMEM;
	}
	return 0;
}

static void start(struct agent *a)
{
	int fds[3], report[2], err;
	ssize_t n;

	err = a->spec.head.flags & SPEC_TTY ? open_pty(a, fds) :
					      open_pipes(a, fds);
	if (err || pipe2(report, O_CLOEXEC)) {
		fail(a, 125, "lab: cannot start the program",
		     err ? -err : errno);
		return;
	}
	a->pid = fork();
	if (a->pid < 0)
		die("fork");
	if (!a->pid)
		exec_program(&a->spec, fds, report[1]);
	close(report[1]);
	for (int i = 0; i < 3; i++)
		if (!i || fds[i] != fds[0])
			close(fds[i]);
	n = read(report[0], &err,
		 sizeof(err)); /* end of file: exec succeeded */
	close(report[0]);
	if (n == sizeof(err))
		fail(a, err == ENOENT ? 127 : 126, a->spec.args[0], err);
}

static void handle(void *arg, uint8_t type, const uint8_t *data, size_t len)
{
	struct agent *a = arg;
	uint32_t sig;

	switch (type) {
	case MUX_START:
		if (a->started)
			break;
		a->started = true;
		parse_spec(&a->spec, data, len);
		mount_root(&a->spec);
		start(a);
		break;
	case MUX_SIGNAL:
		if (len != sizeof(sig) || a->pid <= 0 || a->exited)
			break;
		memcpy(&sig, data, sizeof(sig));
		/* what a terminal or timeout sends goes to the whole group */
		kill(sig == SIGUSR1 || sig == SIGUSR2 ? a->pid : -a->pid, sig);
		break;
	case MUX_WINSZ:
		if (len == sizeof(struct winsize) && a->tty >= 0)
			ioctl(a->tty, TIOCSWINSZ, data);
		break;
	default:
		break;
	}
}

static void reap(struct agent *a, int sigfd)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(sigfd, &info, sizeof(info)) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->pid)
			continue;
		a->exited = true;
		a->wait_status = status;
	}
}

/* What the program wrote before it ended is there already; nothing else counts. */
static bool drained(struct agent *a)
{
	bool all = true;

	for (uint8_t i = MUX_STDOUT; i <= MUX_STDERR; i++) {
		struct mux_stream *s = &a->mux.streams[i];
		int n;

		do {
			n = mux_pump(&a->mux, i);
		} while (n > 0);
		all &= s->fd < 0 || s->credit;
	}
	return all;
}

static void __attribute__((noreturn)) serve(struct agent *a, int sigfd)
{
	bool told = false;

	for (;;) {
		struct pollfd pfd[MUX_NR_POLL + 1];
		uint32_t status;

		if (!told && !a->failed && a->exited && drained(a)) {
			told = true;
			sync();
			status = a->wait_status;
			mux_send(&a->mux, MUX_EXIT, 0, &status, sizeof(status));
		}
		mux_prepare(&a->mux, pfd, MUX_NR_POLL);
		if (told)
			for (int i = 1; i < MUX_NR_POLL; i++)
				pfd[i].fd = -1;
		pfd[MUX_NR_POLL] =
			(struct pollfd){ .fd = sigfd, .events = POLLIN };
		if (poll(pfd, MUX_NR_POLL + 1, -1) < 0 && errno != EINTR)
			die("poll");
		if (pfd[MUX_NR_POLL].revents & POLLIN)
			reap(a, sigfd);
		if (mux_process(&a->mux, pfd, handle, a)) {
			sync();
			reboot(RB_POWER_OFF);
		}
	}
}

int main(void)
{
	struct agent a = { .tty = -1 };
	sigset_t chld;
	int log, sigfd;

	signal(SIGPIPE, SIG_IGN);
	mount_early();
	log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	sethostname("lab", 3);
	load_module("/modules/irqbypass.ko");
	load_module("/modules/kvm.ko");
	load_module("/modules/kvm-amd.ko");
	hold_vm();
	loopback_up();

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigfd = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
	if (sigfd < 0 || mux_init(&a.mux, open_port()))
		die("start");
	/* one stream frame may arrive before the streams exist: it finds them closed */
	mux_send(&a.mux, MUX_HELLO, 0, NULL, 0);
	serve(&a, sigfd);
}
