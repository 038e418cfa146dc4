/* SPDX-License-Identifier: GPL-2.0-only */
/* The file workload of a guest: shared parts. */
#ifndef LINUX_WORKLOAD_H
#define LINUX_WORKLOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <essa/random.h>

#define WL_PAGE 4096u

/** struct file - one line of the manifest */
struct file {
	char *path; /* below the root */
	uint64_t size, sum;
	bool executable;
};

struct manifest {
	struct file *files;
	size_t nr;
	uint64_t bytes;
};

/* How a file was verified, or what was done to one of our own. */
enum kind {
	KIND_READ,
	KIND_MMAP_PRIVATE,
	KIND_MMAP_SHARED,
	KIND_COW,
	KIND_DIRECT,
	KIND_SENDFILE,
	KIND_SPLICE,
	KIND_EXEC,
	KIND_OWN_WRITE,
	KIND_OWN_MSYNC,
	KIND_OWN_TRUNCATE,
	KIND_OWN_UNLINK,
	KIND_OWN_VERIFY,
	KIND_HOT,
	KIND_STANDING,
	KIND_ANON,
	NR_KINDS,
};

/** struct totals - shared by all processes of the workload */
struct totals {
	_Atomic uint64_t bytes, files, mismatches;
	_Atomic uint64_t kind[NR_KINDS];
	_Atomic bool stop;
};

#define NR_STANDING 12

/** struct standing - a file that stays mapped for a while */
struct standing {
	const struct file *file; /* NULL: none */
	void *map;
};

/** struct worker - one process */
struct worker {
	const char *root;
	unsigned int id;
	struct rng rng;
	struct totals *totals;
	struct own *own;
	uint8_t *buf;
	size_t buf_len;
	struct standing standing[NR_STANDING];
	int tmp_fd; /* tmpfs file */
	uint64_t *anon;
	uint64_t *stamps; /* of its pages */
	size_t nr_anon;
	unsigned int since_hot;
};

/** manifest_read() - 0 or negative errno */
int manifest_read(struct manifest *m, const char *root, const char *path);

/**
 * verify_file() - check a file in a way chosen at random
 * Return: 0; 1 after it has reported a mismatch; a negative errno
 */
int verify_file(struct worker *w, const struct file *f);

/**
 * standing_step() - verify a mapping that was made long ago, or make one
 * Return: as verify_file()
 */
int standing_step(struct worker *w, const struct manifest *m);

/** mismatch() - report what is wrong and count it. Return: 1 */
int mismatch(struct worker *w, const char *path, const char *how, uint64_t page,
	     uint64_t want, uint64_t have, const void *content);

/** count() - one more operation of a kind, and what it verified */
void count(struct worker *w, enum kind kind, uint64_t bytes);

/** own_create() - the process's own files. 0 or negative errno */
int own_create(struct worker *w);
/** own_step() - change or verify one of them; result as verify_file() */
int own_step(struct worker *w);
/** own_finish() - verify all of them and remove them */
int own_finish(struct worker *w);

/** anon_create() - @nr_pages pages with stamps. 0 or negative errno */
int anon_create(struct worker *w, size_t nr_pages);
/** anon_step() - verify and change some; result as verify_file() */
int anon_step(struct worker *w);

#endif /* LINUX_WORKLOAD_H */
