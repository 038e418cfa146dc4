// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's outside half: starts the lab machine for one program and stands in
 * for that program, with its streams, signals, time-out and exit status.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tools/lab/machine.h"
#include "tools/lab/mux.h"

#define EXIT_TIMEOUT  124
#define EXIT_LAB      125
#define START_SECONDS 60 /* 3 to 6 when idle; loaded machines are slower */
#define GRACE_SECONDS 5	 /* from SIGTERM to SIGKILL to the end of the lab */
#define LOG_BYTES     (16u << 10)
#define MAX_SHARED    32
#define MAX_CPUS      255   /* of QEMU's pc machine */
#define MIN_MEM_MIB   128ul /* leaves a program about 60 */
#define MAX_MEM_GIB   512ul /* its processor addresses twice that */

struct lab {
	struct mux mux;
	struct machine machine;
	struct machine_config config;
	const char *shared[MAX_SHARED];
	uint32_t nr_shared;
	bool tty;
	long timeout;

	int sigfd, timer;
	char log[LOG_BYTES];
	size_t log_len;
	struct termios saved;

	bool ready; /* the agent has spoken */
	bool done;
	int kills; /* escalation after a time-out */
	bool timed_out;
	uint32_t pending_sig; /* arrived before the program ran */
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
static const int forwarded[] = { SIGINT, SIGTERM, SIGQUIT,
				 SIGHUP, SIGUSR1, SIGUSR2 };

static int block_signals(struct lab *lab)
{
	struct sigaction old;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGWINCH);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		if (!sigaction(forwarded[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaddset(&set, forwarded[i]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTIN, SIG_IGN); /* in the background stdin is at its end */
	sigprocmask(SIG_BLOCK, &set, NULL);
	lab->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	lab->timer =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return lab->sigfd < 0 || lab->timer < 0 ? -errno : 0;
}

static void set_timer(struct lab *lab, long seconds)
{
	struct itimerspec its = { .it_value.tv_sec = seconds };

	timerfd_settime(lab->timer, 0, &its, NULL);
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
		spec_add(&spec, &len, lab->shared[i],
			 strlen(lab->shared[i]) + 1);
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
		lab->code = complain("no sign of life within %d seconds",
				     START_SECONDS);
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
	ssize_t n = read(lab->machine.console, buf, sizeof(buf));

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
		if (poll(&(struct pollfd){ lab->machine.console, POLLIN, 0 }, 1,
			 200) <= 0)
			break;
	fwrite(lab->log, 1, lab->log_len, stderr);
	return complain(
		"the lab machine died; the end of its console log is above");
}

static int serve(struct lab *lab)
{
	struct pollfd pfd[MUX_NR_POLL + 3];
	int console = lab->machine.console, err;

	while (!lab->done || !mux_sinks_empty(&lab->mux)) {
		mux_prepare(&lab->mux, pfd, MUX_NR_POLL);
		pfd[MUX_NR_POLL] =
			(struct pollfd){ .fd = lab->sigfd, .events = POLLIN };
		pfd[MUX_NR_POLL + 1] =
			(struct pollfd){ .fd = lab->timer, .events = POLLIN };
		pfd[MUX_NR_POLL + 2] =
			(struct pollfd){ .fd = console, .events = POLLIN };
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

static int start_machine(struct lab *lab)
{
	int err = machine_start(&lab->machine, &lab->config);

	if (!err)
		err = mux_init(&lab->mux, lab->machine.port);
	if (!err)
		err = mux_add(&lab->mux, MUX_STDOUT, dup(STDOUT_FILENO), false,
			      PIPE_BUF);
	if (!err)
		err = mux_add(&lab->mux, MUX_STDERR, dup(STDERR_FILENO), false,
			      PIPE_BUF);
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
				real ? "too many directories" :
				       strerror(errno));
	/* the whole root cannot be shared: kernel file systems go there */
	if (strcmp(real, "/"))
		lab->shared[lab->nr_shared++] = real;
	return 0;
}

static const char *env_or(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

/* Returns 0, which no setting may be, if @text is not a number in range. */
static unsigned long parse_number(const char *text, unsigned long max,
				  char **end)
{
	unsigned long n = strtoul(text, end, 10);

	return isdigit((unsigned char)*text) && n <= max ? n : 0;
}

/* Checked here: QEMU says what it does not like in its own words and options. */
static int read_settings(struct machine_config *cfg)
{
	const char *cpus = env_or("LAB_CPUS", "1"),
		   *mem = env_or("LAB_MEM", "3G");
	char *end;

	cfg->cpus = parse_number(cpus, MAX_CPUS, &end);
	if (!cfg->cpus || *end)
		return complain("LAB_CPUS is 1 to %d, not \"%s\"", MAX_CPUS,
				cpus);
	cfg->mem_mib = parse_number(mem, MAX_MEM_GIB << 10, &end);
	if (*end == 'G')
		cfg->mem_mib <<= 10;
	if ((strcmp(end, "G") && strcmp(end, "M")) ||
	    cfg->mem_mib < MIN_MEM_MIB || cfg->mem_mib > MAX_MEM_GIB << 10)
		return complain(
			"LAB_MEM is a size from %luM to %luG such as 3G, not \"%s\"",
			MIN_MEM_MIB, MAX_MEM_GIB, mem);
	cfg->parallel = !strcmp(env_or("LAB_PARALLEL", "0"), "1");
	cfg->qemu_args = env_or("LAB_QEMU_ARGS", "");
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
			lab->config.dir = optarg;
			break;
		case 'w':
			if (share(lab, optarg))
				return EXIT_LAB;
			break;
		case 't':
			lab->timeout = strtol(optarg, &end, 10);
			if (*end || end == optarg || lab->timeout < 0 ||
			    lab->timeout > INT_MAX)
				return complain(
					"--timeout wants seconds, not \"%s\"",
					optarg);
			break;
		case 'y':
			lab->tty = true;
			break;
		default:
			return complain("%s", usage);
		}
	}
	lab->argv = argv + optind;
	if (!lab->config.dir || !lab->argv[0])
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
	struct lab lab = { 0 };
	int code, err;

	code = parse(&lab, argc, argv);
	if (!code)
		code = read_settings(&lab.config);
	if (code)
		return code;
	err = block_signals(&lab);
	if (!err)
		err = start_machine(&lab);
	if (err) {
		machine_stop(&lab.machine);
		return complain("cannot start: %s", strerror(-err));
	}
	set_timer(&lab, START_SECONDS);
	if (lab.tty)
		raw_terminal(&lab);
	code = serve(&lab);
	machine_stop(&lab.machine);
	if (lab.tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &lab.saved);
	mux_fini(&lab.mux);
	return finish(&lab, code);
}
