// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills a directory with files of pseudo-random content for the guest's disk:
 *
 *	data/dNN/fNNNN	4 KiB to 16 MiB each, sizes spread evenly by magnitude
 *	bin/NAME	the given programs, padded to whole words
 *	MANIFEST	one line a file: hex checksum (sum.h), size, path
 *
 * The same seed gives the same bytes everywhere.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-tests/lib/sum.h"

#define MIN_ORDER 12
#define MAX_ORDER 24
#define NR_DIRS	  16
#define MIB	  (1024 * 1024ull)

struct rng {
	uint64_t state;
};

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good one */
static uint64_t next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void __attribute__((noreturn)) die(const char *what, int err)
{
	fprintf(stderr, "mkfiles: %s: %s\n", what, strerror(err));
	exit(1);
}

static void fill(struct rng *r, void *buf, size_t len)
{
	uint64_t *w = buf;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		w[i] = next(r);
}

static void emit(FILE *manifest, const char *path, const void *buf, size_t len,
		 mode_t mode)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(buf, 1, len, f) != len || fclose(f) ||
	    chmod(path, mode))
		die(path, errno);
	if (fprintf(manifest, "%016" PRIx64 " %zu %s\n",
		    sum_update(SUM_INIT, buf, len), len, path) < 0)
		die("MANIFEST", errno);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		die(path, errno);
}

static uint64_t pick_size(struct rng *r)
{
	unsigned int order = MIN_ORDER + next(r) % (MAX_ORDER - MIN_ORDER);
	uint64_t base = 1ull << order;

	return (base + next(r) % (base + 1)) & ~7ull;
}

static void make_data(FILE *manifest, struct rng *r, uint64_t total)
{
	uint64_t *buf = malloc(1ull << MAX_ORDER), done = 0;
	char path[64];

	if (!buf)
		die("memory", ENOMEM);
	make_dir("data");
	for (unsigned int i = 0; i < NR_DIRS; i++) {
		snprintf(path, sizeof(path), "data/d%02u", i);
		make_dir(path);
	}
	for (unsigned int i = 0; done < total; i++) {
		uint64_t size = pick_size(r);

		fill(r, buf, size);
		snprintf(path, sizeof(path), "data/d%02u/f%04u", i % NR_DIRS,
			 i);
		emit(manifest, path, buf, size, 0644);
		done += size;
	}
	free(buf);
}

static uint8_t *read_program(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	struct stat st;
	uint8_t *buf;

	if (!f || fstat(fileno(f), &st))
		die(path, errno);
	*len = (st.st_size + 7) & ~7ull; /* sums are over whole words */
	buf = calloc(1, *len);
	if (!buf || fread(buf, 1, st.st_size, f) != (size_t)st.st_size)
		die(path, EIO);
	fclose(f);
	return buf;
}

static void add_program(FILE *manifest, const char *program)
{
	const char *slash = strrchr(program, '/');
	uint8_t *image;
	char path[256];
	size_t len;

	image = read_program(program, &len);
	snprintf(path, sizeof(path), "bin/%s", slash ? slash + 1 : program);
	emit(manifest, path, image, len, 0755);
	free(image);
}

int main(int argc, char **argv)
{
	FILE *manifest;
	uint64_t total;
	struct rng r;

	if (argc < 4) {
		fprintf(stderr,
			"usage: mkfiles DIR SEED DATA-MIB [PROGRAM...]\n");
		return 1;
	}
	r.state = strtoull(argv[2], NULL, 0);
	total = strtoull(argv[3], NULL, 0) * MIB;
	for (int i = 4; i < argc; i++) {
		argv[i] = realpath(argv[i], NULL); /* we leave the directory */
		if (!argv[i])
			die("program", errno);
	}
	if (chdir(argv[1]))
		die(argv[1], errno);
	manifest = fopen("MANIFEST", "w");
	if (!manifest)
		die("MANIFEST", errno);
	make_data(manifest, &r, total);
	make_dir("bin");
	for (int i = 4; i < argc; i++)
		add_program(manifest, argv[i]);
	if (fclose(manifest))
		die("MANIFEST", errno);
	return 0;
}
