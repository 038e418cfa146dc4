// SPDX-License-Identifier: GPL-2.0-only
/*
 * cost ROOT ROUNDS FILES: loops with fixed counts, each between marks that the
 * counting plugin (tools/count) sees, ROUNDS times.  Prints "COST: NAME OPERATIONS" for
 * each marked region, in order, at the end: output takes interrupts.  ROOT is the mounted disk of tools/trace/mkbuild:
 * the build compiles FILES of its sources with its compiler.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-tests/linux/mark.h"

#define PAGE	    4096ul
#define FILE_BYTES  (16ul << 20)
#define SMALL_BYTES (256ul << 10)
#define NR_GROUPS   100u
#define NR_SOURCES  48u
#define MAX_ROUNDS  20u

static const char *root;
static unsigned int nr_files;
static int data; /* FILE_BYTES, cached and clean */
static unsigned char buffer[64 << 10];

static void die(const char *what)
{
	fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static char *map_pages(size_t len, int flags, int fd)
{
	int prot = fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ;
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | flags, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void touch(volatile char *p, size_t len, int write)
{
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		if (write)
			p[i] = 1;
		else
			(void)p[i];
	}
}

/* What is known beforehand: two instructions each time, and one of many repetitions. */
static unsigned long calibrate(void)
{
	const unsigned long nr = 20000000;
	unsigned long i = nr, len = sizeof(buffer);
	void *p = buffer;

	asm volatile("1: dec %0; jnz 1b" : "+r"(i) : : "cc");
	asm volatile("rep stosb" : "+D"(p), "+c"(len) : "a"(0) : "memory");
	return nr;
}

/*
 * Touch a mapping and give it back, again and again.  A small one gets its page frames
 * back from the lists of the CPU, a large one has the allocator split and merge blocks,
 * which is another number of instructions each time.
 */
static unsigned long fault_loop(size_t len, int flags, int fd)
{
	const unsigned int nr = 8 * FILE_BYTES / len;
	char *p = map_pages(len, flags, fd);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		touch(p, len, fd < 0);
		if (madvise(p, len, MADV_DONTNEED))
			die("madvise");
	}
	munmap(p, len);
	return nr * len / PAGE;
}

static unsigned long anon_fault(void)
{
	return fault_loop(SMALL_BYTES, MAP_ANONYMOUS, -1);
}

static unsigned long large_fault(void)
{
	return fault_loop(FILE_BYTES, MAP_ANONYMOUS, -1);
}

static unsigned long file_fault(void)
{
	return fault_loop(FILE_BYTES, 0, data);
}

static unsigned long read_loop(size_t len)
{
	unsigned long nr = 0;
	unsigned int i;
	size_t pos;

	for (i = 0; i < 16; i++)
		for (pos = 0; pos < FILE_BYTES; pos += len, nr++)
			if (pread(data, buffer, len, (off_t)pos) !=
			    (ssize_t)len)
				die("pread");
	return nr;
}

static unsigned long read_4k(void)
{
	return read_loop(4096);
}

static unsigned long read_64k(void)
{
	return read_loop(sizeof(buffer));
}

static void reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("child");
	if (status) {
		fprintf(stderr, "cost: a child ended with status %#x\n",
			status);
		exit(1);
	}
}

static unsigned long fork_exit(void)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		reap(pid);
	}
	return i;
}

static unsigned long exec_loop(void)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/cost", "cost", "--nothing", NULL);
			_exit(127);
		}
		reap(pid);
	}
	return i;
}

static unsigned long map_unmap(void)
{
	unsigned int i;

	for (i = 0; i < 20000; i++)
		munmap(map_pages(16 * PAGE, MAP_ANONYMOUS, -1), 16 * PAGE);
	return i;
}

static unsigned long (*thread_loop)(void);

static void *fault_thread(void *cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((uintptr_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	return (void *)thread_loop();
}

static unsigned long parallel(unsigned long (*loop)(void))
{
	pthread_t threads[2];
	unsigned long nr = 0;
	void *faults;
	uintptr_t i;

	thread_loop = loop;
	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, fault_thread, (void *)i))
			die("thread");
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &faults);
		nr += (unsigned long)faults;
	}
	return nr;
}

static unsigned long parallel_fault(void)
{
	return parallel(anon_fault);
}

static unsigned long parallel_large_fault(void)
{
	return parallel(large_fault);
}

/* Both are relative to the disk. */
static void object_name(char *name, size_t len, unsigned int nr)
{
	snprintf(name, len, "/out/%u.o", nr);
}

static unsigned long build(void)
{
	unsigned int i;

	for (i = 0; i < nr_files; i++) {
		char include[32], source[64], object[32];
		unsigned int group = i / NR_SOURCES;
		char dir[16];
		pid_t pid;

		snprintf(dir, sizeof(dir), group ? "/src%u" : "/src", group);
		snprintf(include, sizeof(include), "-I%s/include", dir);
		snprintf(source, sizeof(source), "%s/p%02u.c", dir,
			 i % NR_SOURCES);
		object_name(object, sizeof(object), i);
		pid = fork();
		if (!pid) {
			if (!chroot(root))
				execl("/usr/bin/tcc", "tcc", include, "-c",
				      "-o", object, source, NULL);
			_exit(127);
		}
		reap(pid);
	}
	return nr_files;
}

static void build_clean(void)
{
	unsigned int i;

	for (i = 0; i < nr_files; i++) {
		char name[128], object[32];

		object_name(object, sizeof(object), i);
		snprintf(name, sizeof(name), "%s%s", root, object);
		unlink(name);
	}
	sync();
}

static const struct {
	const char *name;
	unsigned long (*run)(void);
} workloads[] = {
	{ "calibrate", calibrate },
	{ "page_fault", anon_fault },
	{ "parallel_page_fault", parallel_fault },
	{ "page_fault_16m", large_fault },
	{ "parallel_16m", parallel_large_fault },
	{ "file_page_fault", file_fault },
	{ "read_4k", read_4k },
	{ "read_64k", read_64k },
	{ "fork_exit", fork_exit },
	{ "fork_exec", exec_loop },
	{ "mmap_munmap", map_unmap },
	{ "build", build },
};

/* What the kernel frees later for one workload is not to be counted in the next. */
static void settle(void)
{
	const char *name = "/sys/module/rcutree/parameters/do_rcu_barrier";
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		die(name);
	close(fd);
}

/* Operations; 0: not to be measured. */
static unsigned long measure(unsigned int nr)
{
	unsigned long ops;

	if (workloads[nr].run == build) {
		if (!nr_files)
			return 0;
		build_clean();
	}
	settle();
	count_begin();
	ops = workloads[nr].run();
	count_end();
	return ops;
}

static void prepare(void)
{
	char name[128];
	size_t done;

	memset(buffer, 1, sizeof(buffer));
	snprintf(name, sizeof(name), "%s/out/data", root);
	data = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (data < 0)
		die(name);
	for (done = 0; done < FILE_BYTES; done += sizeof(buffer))
		if (write(data, buffer, sizeof(buffer)) != sizeof(buffer))
			die(name);
	if (fsync(data))
		die(name);
	/* What a build reads and runs is in the page cache. */
	build();
}

int main(int argc, char **argv)
{
	const unsigned int nr = sizeof(workloads) / sizeof(workloads[0]);
	unsigned long rounds,
		ops[MAX_ROUNDS][sizeof(workloads) / sizeof(workloads[0])];
	unsigned int i, round;

	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return 0;
	rounds = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	nr_files = argc == 4 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0;
	if (!rounds || rounds > MAX_ROUNDS ||
	    nr_files > NR_GROUPS * NR_SOURCES) {
		fprintf(stderr, "usage: cost ROOT 1..%u 0..%u\n", MAX_ROUNDS,
			NR_GROUPS * NR_SOURCES);
		return 1;
	}
	root = argv[1];
	prepare();
	for (round = 0; round < rounds; round++)
		for (i = 0; i < nr; i++)
			ops[round][i] = measure(i);
	for (round = 0; round < rounds; round++)
		for (i = 0; i < nr; i++)
			if (ops[round][i])
				printf("COST: %s %lu\n", workloads[i].name,
				       ops[round][i]);
	return 0;
}
