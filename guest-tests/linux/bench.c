// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench ROUNDS: runs every operation of the kernel's page_states_bench and
 * prints one line for each: number, name, operations in all rounds, and the
 * median, 10th and 90th percentile of cycles for one.
 *
 * hyp counts exits: its mark port is written before and after each operation,
 * with the number of the line, and with 128 more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BENCH	   "/sys/kernel/debug/page_states_bench"
#define MARK_PORT  0xf5
#define MARK_END   0x80
#define MAX_ROUNDS 1000u

static const char *const cases[] = {
	"store",	 "cmpxchg",	 "get",		  "stable",
	"unused",	 "volatile",	 "potential",	  "resident",
	"if_kept",	 "pending",	 "commit",	  "free_0",
	"free_3",	 "free_9",	 "alloc_0",	  "alloc_3",
	"alloc_9",	 "store cold",	 "cmpxchg cold",  "get cold",
	"stable cold",	 "unused cold",	 "volatile cold", "potential cold",
	"resident cold", "if_kept cold", "pending cold",  "commit cold",
};

#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

static uint64_t nr_ops[NR_CASES];
static double cycles[NR_CASES][MAX_ROUNDS];

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void mark(int port, unsigned int number)
{
	uint8_t byte = (uint8_t)number;

	if (pwrite(port, &byte, 1, MARK_PORT) != 1)
		die("/dev/port");
}

static void run(int bench, int port, unsigned int nr, unsigned int round)
{
	unsigned long long ops, total;
	char buf[64];
	ssize_t len;

	if (write(bench, cases[nr], strlen(cases[nr])) < 0)
		die(cases[nr]);
	mark(port, nr);
	len = read(bench, buf, sizeof(buf) - 1);
	mark(port, nr | MARK_END);
	if (len < 0)
		die(BENCH);
	buf[len] = '\0';
	if (sscanf(buf, "%llu %llu", &ops, &total) != 2 || !ops) {
		fprintf(stderr, "bench: not a result: %s\n", buf);
		exit(1);
	}
	nr_ops[nr] += ops;
	cycles[nr][round] = (double)total / (double)ops;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int i, r;
	int bench, port;

	if (!rounds || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench 1..%u\n", MAX_ROUNDS);
		return 1;
	}
	bench = open(BENCH, O_RDWR | O_CLOEXEC);
	if (bench < 0)
		die(BENCH);
	port = open("/dev/port", O_WRONLY | O_CLOEXEC);
	if (port < 0)
		die("/dev/port");
	/* Whatever a first time costs. */
	mark(port, MARK_END - 1);
	for (r = 0; r < rounds; r++)
		for (i = 0; i < NR_CASES; i++)
			run(bench, port, (i + r) % NR_CASES, r);
	for (i = 0; i < NR_CASES; i++) {
		qsort(cycles[i], rounds, sizeof(cycles[i][0]), compare);
		printf("BENCH: %u %s%s %llu %.1f %.1f %.1f\n", i, cases[i],
		       strchr(cases[i], ' ') ? "" : " hot",
		       (unsigned long long)nr_ops[i], cycles[i][rounds / 2],
		       cycles[i][(rounds - 1) / 10],
		       cycles[i][(rounds - 1) * 9 / 10]);
	}
	return 0;
}
