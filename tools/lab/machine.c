// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/lab/machine.h"

#define ANY_CPU (-1)

/* Half a second of parsing BTF, measuring jitter and checking certificates. */
#define UNNEEDED                                                               \
	" initcall_blacklist=bpf_tcp_ca_kfunc_init,jent_mod_init,"             \
	"load_system_certificate_list,bpf_dummy_struct_ops_init"

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
	if (*server < 0 || *client < 0 ||
	    bind(*server, (struct sockaddr *)&addr, len) || listen(*server, 1))
		return -errno;
	len = sizeof(addr);
	if (getsockname(*server, (struct sockaddr *)&addr, &len) ||
	    connect(*client, (struct sockaddr *)&addr, len))
		return -errno;
	return 0;
}

struct child {
	char *const *argv;
	const int *keep; /* descriptors that stay open */
	int nr_keep;
	int console; /* becomes its stdout and stderr */
	int cpu;     /* where its threads take turns, or ANY_CPU */
};

/* Child side: die with the parent, see no terminal signals. */
static void become(const struct child *c, pid_t parent)
{
	cpu_set_t one;
	sigset_t none;
	int null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTTIN, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (c->cpu != ANY_CPU) {
		CPU_ZERO(&one);
		CPU_SET(c->cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	for (int i = 0; i < c->nr_keep; i++)
		fcntl(c->keep[i], F_SETFD, 0);
	null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(c->console, STDOUT_FILENO);
	dup2(c->console, STDERR_FILENO);
	execvp(c->argv[0], c->argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", c->argv[0],
		strerror(errno));
	_exit(EXIT_FAILURE);
}

static pid_t spawn(const struct child *c)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid)
		become(c, parent);
	return pid;
}

static pid_t start_fsd(int server, int console)
{
	char fd[32];
	char *argv[] = {
		"unshare",
		"--user",
		"--map-root-user",
		"--",
		"/usr/lib/qemu/virtiofsd",
		fd,
		"-f",
		"--rlimit-nofile=0",
		"-o",
		"source=/,sandbox=chroot,cache=auto,allow_direct_io,log_level=err",
		NULL
	};
	const struct child child = {
		.argv = geteuid() ? argv : argv + 4,
		.keep = &server,
		.nr_keep = 1,
		.console = console,
		.cpu = ANY_CPU,
	};
	struct rlimit rl;

	/* each inode that the lab knows holds a descriptor */
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	snprintf(fd, sizeof(fd), "--fd=%d", server);
	return spawn(&child);
}

/*
 * More than one CPU share one processor, unless asked otherwise: in parallel the
 * emulation of nested SVM in QEMU 7.2 is not sound.  hyp lost 2 guests of 9 there,
 * by triple faults, but QEMU's own KVM VMM lost 2 of 10 of the same guest, which
 * hung: it is not hyp.  Where they take turns none was lost.  They still do so at
 * any instruction, so races in what is tested show up; with thread=single two
 * that wait for each other stand still.
 *
 * The price is that who spins for another CPU does so for a whole time slice: a
 * single one is the default, twice as fast, and may run anywhere.
 */
static int choose_cpu(const struct machine_config *cfg)
{
	/* not a fixed one: two labs side by side would share it */
	return cfg->cpus == 1 || cfg->parallel ? ANY_CPU : sched_getcpu();
}

static int split_words(char **argv, int nr, int max, const char *words)
{
	char *copy = strdup(words), *save;

	for (char *w = copy ? strtok_r(copy, " ", &save) : NULL;
	     w && nr < max - 1; w = strtok_r(NULL, " ", &save))
		argv[nr++] = w;
	argv[nr] = NULL;
	return nr;
}

static pid_t start_qemu(const struct machine_config *cfg, int fs, int port,
			int serial)
{
	char *argv[128], kernel[PATH_MAX], initrd[PATH_MAX], mem[32], cpus[16],
		ram[128];
	char chans[3][64];
	const int keep[] = { fs, port, serial };
	const struct child child = {
		.argv = argv,
		.keep = keep,
		.nr_keep = 3,
		.console = serial,
		.cpu = choose_cpu(cfg),
	};
	int nr;

	snprintf(kernel, sizeof(kernel), "%s/kernel", cfg->dir);
	snprintf(initrd, sizeof(initrd), "%s/lab.cpio.gz", cfg->dir);
	snprintf(cpus, sizeof(cpus), "%u", cfg->cpus);
	snprintf(mem, sizeof(mem), "%luM", cfg->mem_mib);
	snprintf(ram, sizeof(ram),
		 "memory-backend-memfd,id=ram,share=on,size=%s", mem);
	snprintf(chans[0], sizeof(chans[0]), "socket,id=fs,fd=%d", fs);
	snprintf(chans[1], sizeof(chans[1]), "socket,id=port,fd=%d", port);
	snprintf(chans[2], sizeof(chans[2]), "socket,id=serial,fd=%d", serial);
	nr = split_words(
		argv, 0, 100,
		"qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot"
		" -accel tcg,thread=multi -nic none"
		" -cpu EPYC,+svm,+npt,-xsave,-avx,-avx2,-fma,-f16c" /* AVX needs it */
		" -machine pc,memory-backend=ram,usb=off,i8042=on"
		" -device vhost-user-fs-pci,chardev=fs,tag=root,queue-size=1024"
		" -device virtio-serial-pci,max_ports=2"
		" -device virtserialport,chardev=port,nr=1 -serial chardev:serial");
	argv[nr++] = "-m";
	argv[nr++] = mem;
	argv[nr++] = "-smp";
	argv[nr++] = cpus;
	argv[nr++] = "-object";
	argv[nr++] = ram;
	for (int i = 0; i < 3; i++) {
		argv[nr++] = "-chardev";
		argv[nr++] = chans[i];
	}
	argv[nr++] = "-kernel";
	argv[nr++] = kernel;
	argv[nr++] = "-initrd";
	argv[nr++] = initrd;
	argv[nr++] = "-append";
	argv[nr++] =
		"console=ttyS0 panic=-1 oops=panic quiet mitigations=off rdinit=/init"
		" tsc=reliable no_timer_check" UNNEEDED;
	split_words(argv, nr, 128, cfg->qemu_args);
	return spawn(&child);
}

/**
 * machine_start() - start QEMU and its file server
 * @m:	 filled in; machine_stop() ends it, after a failure too
 * @cfg: what machine to start
 *
 * A machine that starts but then cannot go on says so on its console, and the
 * port and the console end.
 *
 * Return: 0 or -errno.
 */
int machine_start(struct machine *m, const struct machine_config *cfg)
{
	int fs_server, fs, port[2], serial[2], err;

	*m = (struct machine){ 0 };
	err = fs_channel(&fs_server, &fs);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial))
		return -errno;
	m->port = port[0];
	m->console = serial[0];
	fcntl(m->port, F_SETFL, O_NONBLOCK);
	fcntl(m->console, F_SETFL, O_NONBLOCK);
	m->fsd = start_fsd(fs_server, serial[1]);
	if (m->fsd < 0)
		return -errno;
	m->qemu = start_qemu(cfg, fs, port[1], serial[1]);
	if (m->qemu < 0)
		return -errno;
	close(fs_server);
	close(fs);
	close(port[1]);
	close(serial[1]);
	return 0;
}

/**
 * machine_stop() - end both processes
 * @m: as machine_start() left it, or zeroed; port and console stay open
 */
void machine_stop(const struct machine *m)
{
	const pid_t pids[] = { m->qemu, m->fsd };

	for (int i = 0; i < 2; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}
