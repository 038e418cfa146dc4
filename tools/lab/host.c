// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's outside half: starts the lab machine for one program and stands in
 * for that program, with its streams, signals, time-out and exit status.
 *
 * Children (QEMU and the file server) die with this process whatever ends it
 * (PR_SET_PDEATHSIG), and nothing is created in the file system: all channels
 * are socket pairs or unnamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tools/lab/mux.h"

#define EXIT_TIMEOUT	124
#define EXIT_LAB	125
#define START_SECONDS	60	/* 3 when idle; loaded machines are slower */
#define GRACE_SECONDS	5	/* from SIGTERM to SIGKILL to the end of the lab */
#define LOG_BYTES	(16u << 10)
#define MAX_SHARED	32

struct lab {
	struct mux mux;
	const char *dir;
	const char *shared[MAX_SHARED];
	uint32_t nr_shared;
	bool tty;
	long timeout;

	pid_t qemu, fsd;
	int console, sigfd, timer;
	char log[LOG_BYTES];
	size_t log_len;
	struct termios saved;

	bool ready;		/* the agent has spoken */
	bool done;
	int kills;		/* escalation after a time-out */
	bool timed_out;
	uint32_t pending_sig;	/* arrived before the program ran */
	int code, term_sig;
	char **argv;
};

static int __attribute__((format(printf, 1, 2))) complain(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "lab: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_LAB;
}

/* Only what is forwarded: a signal that was ignored at the start stays so. */
static const int forwarded[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };

static int block_signals(struct lab *lab)
{
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGWINCH);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		if (!sigaction(forwarded[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&set, forwarded[i]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTIN, SIG_IGN); /* in the background stdin is at its end */
	sigprocmask(SIG_BLOCK, &set, NULL);
	lab->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	lab->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return lab->sigfd < 0 || lab->timer < 0 ? -errno : 0;
}

static void set_timer(struct lab *lab, long seconds)
{
	struct itimerspec its = { .it_value.tv_sec = seconds };

	timerfd_settime(lab->timer, 0, &its, NULL);
}

/*
 * An unnamed listening socket and one connection to it: the file server gets
 * the former, QEMU the latter.  The address is the kernel's choice and the
 * server accepts once, so nobody else gets in.
 */
static int fs_channel(int *server, int *client)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr.sun_family);

	*server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*server < 0 || *client < 0 || bind(*server, (struct sockaddr *)&addr, len) ||
	    listen(*server, 1))
		return -errno;
	len = sizeof(addr);
	if (getsockname(*server, (struct sockaddr *)&addr, &len) ||
	    connect(*client, (struct sockaddr *)&addr, len))
		return -errno;
	return 0;
}

/* Child side: keep @keep open, die with the parent, see no terminal signals. */
static void become(const struct lab *lab, pid_t parent, const int *keep, int nr_keep,
		   char *const argv[])
{
	sigset_t none;
	int null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_LAB);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTTIN, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; i < nr_keep; i++)
		fcntl(keep[i], F_SETFD, 0);
	null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(lab->console, STDOUT_FILENO);
	dup2(lab->console, STDERR_FILENO);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_LAB);
}

static pid_t spawn(const struct lab *lab, const int *keep, int nr_keep, char *const argv[])
{
	pid_t parent = getpid(), pid = fork();

	if (!pid)
		become(lab, parent, keep, nr_keep, argv);
	return pid;
}

static pid_t start_fsd(const struct lab *lab, int server)
{
	char fd[32];
	char *argv[] = { "unshare", "--user", "--map-root-user", "--",
			 "/usr/lib/qemu/virtiofsd", fd, "-f", "--rlimit-nofile=0",
			 "-o", "source=/,sandbox=chroot,cache=auto,allow_direct_io,log_level=err",
			 NULL };
	struct rlimit rl;

	/* each inode that the lab knows holds a descriptor */
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	snprintf(fd, sizeof(fd), "--fd=%d", server);
	return spawn(lab, &server, 1, geteuid() ? argv : argv + 4);
}

static const char *env_or(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static int split_words(char **argv, int nr, int max, const char *words)
{
	char *copy = strdup(words), *save;

	for (char *w = copy ? strtok_r(copy, " ", &save) : NULL; w && nr < max - 1;
	     w = strtok_r(NULL, " ", &save))
		argv[nr++] = w;
	argv[nr] = NULL;
	return nr;
}

/*
 * On one processor, unless LAB_PARALLEL is set: with its threads really side by
 * side, the emulation of nested SVM in QEMU 7.2 now and then ends a guest or the
 * whole machine with a triple fault.  On one they still take turns at any
 * instruction, so races in what is tested show up; with thread=single two
 * guest processors that wait for each other stand still.
 */
static pid_t spawn_pinned(const struct lab *lab, const int *keep, int nr_keep,
			  char *const argv[])
{
	cpu_set_t all, one;
	pid_t pid;
	int cpu = 0;

	if (getenv("LAB_PARALLEL") || sched_getaffinity(0, sizeof(all), &all))
		return spawn(lab, keep, nr_keep, argv);
	while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	pid = spawn(lab, keep, nr_keep, argv);
	sched_setaffinity(0, sizeof(all), &all);
	return pid;
}

static pid_t start_qemu(const struct lab *lab, int fs, int port, int serial)
{
	char *argv[128], kernel[PATH_MAX], initrd[PATH_MAX], mem[128], chans[3][64];
	const int keep[] = { fs, port, serial };
	int nr;

	snprintf(kernel, sizeof(kernel), "%s/vmlinuz", lab->dir);
	snprintf(initrd, sizeof(initrd), "%s/lab.cpio.gz", lab->dir);
	snprintf(mem, sizeof(mem), "memory-backend-memfd,id=ram,share=on,size=%s",
		 env_or("LAB_MEM", "3G"));
	snprintf(chans[0], sizeof(chans[0]), "socket,id=fs,fd=%d", fs);
	snprintf(chans[1], sizeof(chans[1]), "socket,id=port,fd=%d", port);
	snprintf(chans[2], sizeof(chans[2]), "socket,id=serial,fd=%d", serial);
	nr = split_words(argv, 0, 100,
			 "qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot"
			 " -accel tcg,thread=multi -cpu EPYC,+svm,+npt,-xsave -nic none"
			 " -machine pc,memory-backend=ram,usb=off,i8042=on"
			 " -device vhost-user-fs-pci,chardev=fs,tag=root,queue-size=1024"
			 " -device virtio-serial-pci,max_ports=2"
			 " -device virtserialport,chardev=port,nr=1 -serial chardev:serial");
	argv[nr++] = "-m";
	argv[nr++] = (char *)env_or("LAB_MEM", "3G");
	argv[nr++] = "-smp";
	argv[nr++] = (char *)env_or("LAB_CPUS", "2");
	argv[nr++] = "-object";
	argv[nr++] = mem;
	for (int i = 0; i < 3; i++) {
		argv[nr++] = "-chardev";
		argv[nr++] = chans[i];
	}
	argv[nr++] = "-kernel";
	argv[nr++] = kernel;
	argv[nr++] = "-initrd";
	argv[nr++] = initrd;
	argv[nr++] = "-append";
	argv[nr++] = "console=ttyS0 panic=-1 oops=panic quiet mitigations=off rdinit=/init"
		     " tsc=reliable no_timer_check";
	split_words(argv, nr, 128, env_or("LAB_QEMU_ARGS", ""));
	return spawn_pinned(lab, keep, 3, argv);
}

static void spec_add(char **spec, size_t *len, const void *data, size_t n)
{
	char *grown = realloc(*spec, *len + n);

	if (!grown)
		exit(complain("out of memory"));
	memcpy(grown + *len, data, n);
	*spec = grown;
	*len += n;
}

static uint32_t count(char *const *list)
{
	uint32_t nr = 0;

	while (list[nr])
		nr++;
	return nr;
}

static int send_spec(struct lab *lab)
{
	static const char inside[] = "LAB_INSIDE=1";
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	struct spec_head head;
	char *spec = NULL, cwd[PATH_MAX];
	mode_t mask = umask(0);
	size_t len = 0;
	int err;

	umask(mask);
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
	head = (struct spec_head){
		.flags = lab->tty ? SPEC_TTY : 0,
		.umask = mask,
		.nr_args = count(lab->argv),
		.nr_env = count(environ) + 1,
		.nr_shared = lab->nr_shared,
		.rows = ws.ws_row,
		.cols = ws.ws_col,
	};
	if (!getcwd(cwd, sizeof(cwd)))
		return -errno;
	spec_add(&spec, &len, &head, sizeof(head));
	spec_add(&spec, &len, cwd, strlen(cwd) + 1);
	for (char **arg = lab->argv; *arg; arg++)
		spec_add(&spec, &len, *arg, strlen(*arg) + 1);
	for (char **env = environ; *env; env++)
		spec_add(&spec, &len, *env, strlen(*env) + 1);
	spec_add(&spec, &len, inside, sizeof(inside));
	for (uint32_t i = 0; i < lab->nr_shared; i++)
		spec_add(&spec, &len, lab->shared[i], strlen(lab->shared[i]) + 1);
	err = mux_send(&lab->mux, MUX_START, 0, spec, len);
	free(spec);
	return err;
}

static void send_signal(struct lab *lab, uint32_t sig)
{
	if (lab->ready)
		mux_send(&lab->mux, MUX_SIGNAL, 0, &sig, sizeof(sig));
	else
		lab->pending_sig = sig;
}

static int begin(struct lab *lab)
{
	int err = send_spec(lab);

	if (err)
		return err;
	lab->ready = true;
	set_timer(lab, lab->timeout);
	if (lab->pending_sig)
		send_signal(lab, lab->pending_sig);
	err = mux_add(&lab->mux, MUX_STDIN, dup(STDIN_FILENO), true, 0);
	return err;
}

static void handle(void *arg, uint8_t type, const uint8_t *data, size_t len)
{
	struct lab *lab = arg;
	uint32_t value = 0;

	if (len >= sizeof(value))
		memcpy(&value, data, sizeof(value));
	switch (type) {
	case MUX_HELLO:
		if (!lab->ready && begin(lab)) {
			lab->code = complain("the command line is too long");
			lab->done = true;
		}
		break;
	case MUX_EXIT:
		lab->done = true;
		if (WIFSIGNALED(value))
			lab->term_sig = WTERMSIG(value);
		else
			lab->code = WEXITSTATUS(value);
		break;
	case MUX_FAIL:
		lab->done = true;
		lab->code = value;
		if (len > sizeof(value))
			fprintf(stderr, "%.*s\n", (int)(len - sizeof(value)),
				(const char *)data + sizeof(value));
		break;
	default:
		break;
	}
}

static void on_signal(struct lab *lab)
{
	struct signalfd_siginfo info;
	struct winsize ws;

	while (read(lab->sigfd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue; /* a dead lab shows as the end of its channels */
		if (info.ssi_signo != SIGWINCH)
			send_signal(lab, info.ssi_signo);
		else if (lab->tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws))
			mux_send(&lab->mux, MUX_WINSZ, 0, &ws, sizeof(ws));
	}
}

/* Returns true when the lab must be stopped. */
static bool on_timer(struct lab *lab)
{
	uint64_t ticks;

	if (read(lab->timer, &ticks, sizeof(ticks)) != sizeof(ticks))
		return false;
	if (!lab->ready) {
		lab->code = complain("no sign of life within %d seconds", START_SECONDS);
		return true;
	}
	lab->timed_out = true;
	switch (lab->kills++) {
	case 0:
		complain("time-out after %ld seconds", lab->timeout);
		send_signal(lab, SIGTERM);
		break;
	case 1:
		send_signal(lab, SIGKILL);
		break;
	default:
		return true;
	}
	set_timer(lab, GRACE_SECONDS);
	return false;
}

static bool read_console(struct lab *lab)
{
	char buf[4096];
	ssize_t n = read(lab->console, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n)
		return false;
	if (lab->log_len + n > LOG_BYTES) {
		size_t drop = lab->log_len + n - LOG_BYTES;

		memmove(lab->log, lab->log + drop, lab->log_len - drop);
		lab->log_len -= drop;
	}
	memcpy(lab->log + lab->log_len, buf, n);
	lab->log_len += n;
	if (getenv("LAB_VERBOSE"))
		write(STDERR_FILENO, buf, n);
	return true;
}

static int lab_died(struct lab *lab)
{
	while (read_console(lab))
		if (poll(&(struct pollfd){ lab->console, POLLIN, 0 }, 1, 200) <= 0)
			break;
	fwrite(lab->log, 1, lab->log_len, stderr);
	return complain("the lab machine died; the end of its console log is above");
}

static int serve(struct lab *lab)
{
	struct pollfd pfd[MUX_NR_POLL + 3];
	int err;

	while (!lab->done || !mux_sinks_empty(&lab->mux)) {
		mux_prepare(&lab->mux, pfd, MUX_NR_POLL);
		pfd[MUX_NR_POLL] = (struct pollfd){ .fd = lab->sigfd, .events = POLLIN };
		pfd[MUX_NR_POLL + 1] = (struct pollfd){ .fd = lab->timer, .events = POLLIN };
		pfd[MUX_NR_POLL + 2] = (struct pollfd){ .fd = lab->console, .events = POLLIN };
		if (poll(pfd, MUX_NR_POLL + 3, -1) < 0 && errno != EINTR)
			return complain("poll: %s", strerror(errno));
		if (pfd[MUX_NR_POLL + 2].revents)
			read_console(lab);
		if (pfd[MUX_NR_POLL].revents)
			on_signal(lab);
		if (pfd[MUX_NR_POLL + 1].revents && on_timer(lab))
			return lab->timed_out ? EXIT_TIMEOUT : lab_died(lab);
		err = mux_process(&lab->mux, pfd, handle, lab);
		if (err && !lab->done)
			return lab_died(lab);
	}
	return lab->timed_out ? EXIT_TIMEOUT : lab->code;
}

static void stop(struct lab *lab)
{
	const pid_t pids[] = { lab->qemu, lab->fsd };

	for (int i = 0; i < 2; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

static int start_machine(struct lab *lab)
{
	int fs_server, fs, port[2], serial[2], err;

	err = fs_channel(&fs_server, &fs);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial))
		return -errno;
	lab->console = serial[1]; /* also the children's stderr */
	lab->fsd = start_fsd(lab, fs_server);
	lab->qemu = start_qemu(lab, fs, port[1], serial[1]);
	if (lab->fsd < 0 || lab->qemu < 0)
		return -errno;
	lab->console = serial[0];
	fcntl(port[0], F_SETFL, O_NONBLOCK);
	fcntl(serial[0], F_SETFL, O_NONBLOCK);
	close(fs_server);
	close(fs);
	close(port[1]);
	close(serial[1]);
	err = mux_init(&lab->mux, port[0]);
	if (!err)
		err = mux_add(&lab->mux, MUX_STDOUT, dup(STDOUT_FILENO), false, PIPE_BUF);
	if (!err)
		err = mux_add(&lab->mux, MUX_STDERR, dup(STDERR_FILENO), false, PIPE_BUF);
	return err;
}

static void raw_terminal(struct lab *lab)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &lab->saved)) {
		lab->tty = false;
		return;
	}
	raw = lab->saved;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static int share(struct lab *lab, const char *dir)
{
	char *real = realpath(dir, NULL);

	if (!real || lab->nr_shared == MAX_SHARED)
		return complain("cannot share %s: %s", dir,
				real ? "too many directories" : strerror(errno));
	/* the whole root cannot be shared: kernel file systems go there */
	if (strcmp(real, "/"))
		lab->shared[lab->nr_shared++] = real;
	return 0;
}

static const char usage[] =
	"usage: host --dir DIR [--rw DIR]... [--tty] [--timeout SEC] [--] CMD [ARGS...]\n";

static int parse(struct lab *lab, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "rw", required_argument, NULL, 'w' },
		{ "timeout", required_argument, NULL, 't' },
		{ "tty", no_argument, NULL, 'y' },
		{ 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			lab->dir = optarg;
			break;
		case 'w':
			if (share(lab, optarg))
				return EXIT_LAB;
			break;
		case 't':
			lab->timeout = strtol(optarg, &end, 10);
			if (*end || end == optarg || lab->timeout < 0 || lab->timeout > INT_MAX)
				return complain("--timeout wants seconds, not \"%s\"", optarg);
			break;
		case 'y':
			lab->tty = true;
			break;
		default:
			return complain("%s", usage);
		}
	}
	lab->argv = argv + optind;
	if (!lab->dir || !lab->argv[0])
		return complain("%s", usage);
	return 0;
}

/* The caller must see the same end as without a lab, a signal included. */
static int finish(const struct lab *lab, int code)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t set;

	if (!lab->term_sig || lab->timed_out)
		return code;
	setrlimit(RLIMIT_CORE, &no_core);
	signal(lab->term_sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, lab->term_sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(lab->term_sig);
	return 128 + lab->term_sig;
}

int main(int argc, char **argv)
{
	struct lab lab = { .qemu = -1, .fsd = -1 };
	int code, err;

	code = parse(&lab, argc, argv);
	if (code)
		return code;
	err = block_signals(&lab);
	if (!err)
		err = start_machine(&lab);
	if (err) {
		stop(&lab);
		return complain("cannot start: %s", strerror(-err));
	}
	set_timer(&lab, START_SECONDS);
	if (lab.tty)
		raw_terminal(&lab);
	code = serve(&lab);
	stop(&lab);
	if (lab.tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &lab.saved);
	mux_fini(&lab.mux);
	return finish(&lab, code);
}
