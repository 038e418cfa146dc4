/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the operations of the interface cost.  Everything that is compared runs
 * in the same process, turn by turn; see report.c for what comes out.  hyp/mem
 * measures its own work with this too.
 */
#ifndef ESSA_EMU_BENCH_H
#define ESSA_EMU_BENCH_H

#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#define TABLE_BYTES (16u << 20) /* 64 GiB of frames */
#define MAX_ROUNDS  201u

/**
 * struct series - one line of the report
 * @group: what it is compared within
 * @name:  what was done
 * @where: on which memory
 * @base:  index of the line that its ratio is against; itself: no ratio
 * @unit:  of the figures
 * @v:	   one figure for each round
 */
struct series {
	const char *group, *name, *where, *unit;
	unsigned int base;
	double v[MAX_ROUNDS];
};

#define MAX_SERIES 160u

/** struct bench - all of it; @table: TABLE_BYTES for the groups of essa-emu */
struct bench {
	uint8_t *table;
	unsigned int rounds;
	unsigned int nr;
	struct series line[MAX_SERIES];
};

/** bench_add() - a new line. Return: its index */
unsigned int bench_add(struct bench *b, const char *group, const char *name,
		       const char *where, const char *unit, unsigned int base);

/**
 * struct bench_group - lines that belong together
 * @add:   adds them
 * @round: fills in one figure of each
 * @end:   after the last round; may be NULL
 */
struct bench_group {
	void (*add)(struct bench *b);
	void (*round)(struct bench *b, unsigned int round);
	void (*end)(void);
};

/**
 * bench_main() - options, all rounds of all groups, report
 * @b: without lines
 *
 * Return: exit code.
 */
int bench_main(int argc, char **argv, struct bench *b,
	       const struct bench_group *groups, unsigned int nr_groups);

void ops_add(struct bench *b);
void ops_round(struct bench *b, unsigned int round);
void ops_end(void);

void batch_add(struct bench *b);
void batch_round(struct bench *b, unsigned int round);

void scan_add(struct bench *b);
void scan_round(struct bench *b, unsigned int round);

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* How often something else had the processor. */
static inline long nr_preempted(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return ru.ru_nivcsw;
}

/* Take a figure again when something else ran meanwhile, but not for ever. */
#define UNDISTURBED(take)                                                      \
	do {                                                                   \
		unsigned int tries_ = 0;                                       \
		long before_;                                                  \
                                                                               \
		do {                                                           \
			before_ = nr_preempted();                              \
			take;                                                  \
		} while (nr_preempted() != before_ && ++tries_ < 10);          \
	} while (0)

/* Keeps a result from being computed away. */
static inline void bench_keep(uint64_t val)
{
	__asm__ volatile("" : : "r"(val) : "memory");
}

#endif /* ESSA_EMU_BENCH_H */
