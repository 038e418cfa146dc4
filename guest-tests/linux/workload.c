// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads every file of a manifest again and again in all the ways there are
 * and compares it with its checksum, writes and verifies files and memory of
 * its own meanwhile; stops at the first byte that is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest-tests/linux/workload.h"

#define MAX_PROCS 16
#define BUF_LEN	  (512u << 10)

/* Small files are hot: every fourth file is followed by one of them again. */
#define HOT_MAX_BYTES (1u << 20)
#define HOT_EVERY     4u

struct options {
	const char *root, *manifest, *tmp;
	unsigned int procs, secs, passes, anon_mib;
	uint64_t seed;
};

static const char *const kind_names[NR_KINDS] = {
	[KIND_READ] = "read",
	[KIND_MMAP_PRIVATE] = "mmap_private",
	[KIND_MMAP_SHARED] = "mmap_shared",
	[KIND_COW] = "cow",
	[KIND_DIRECT] = "direct",
	[KIND_SENDFILE] = "sendfile",
	[KIND_SPLICE] = "splice",
	[KIND_EXEC] = "exec",
	[KIND_OWN_WRITE] = "own_write",
	[KIND_OWN_MSYNC] = "own_msync",
	[KIND_OWN_TRUNCATE] = "own_truncate",
	[KIND_OWN_UNLINK] = "own_unlink",
	[KIND_OWN_VERIFY] = "own_verify",
	[KIND_HOT] = "hot",
	[KIND_STANDING] = "standing",
	[KIND_ANON] = "anon",
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The same order in all processes: file k of a pass is k % procs's. */
static void shuffle(size_t *order, size_t nr, uint64_t seed)
{
	struct rng rng = { seed | 1 };
	size_t i, j, t;

	for (i = 0; i < nr; i++)
		order[i] = i;
	for (i = nr; i > 1; i--) {
		j = (rng_next(&rng) >> 16) % i;
		t = order[i - 1];
		order[i - 1] = order[j];
		order[j] = t;
	}
}

static int hot_step(struct worker *w, const struct manifest *m)
{
	size_t from, i;

	if (++w->since_hot < HOT_EVERY)
		return 0;
	w->since_hot = 0;
	from = (rng_next(&w->rng) >> 16) % m->nr;
	for (i = 0; i < m->nr; i++) {
		const struct file *f = &m->files[(from + i) % m->nr];

		if (f->size > HOT_MAX_BYTES)
			continue;
		count(w, KIND_HOT, 0);
		return verify_file(w, f);
	}
	return 0;
}

static int one_pass(struct worker *w, const struct options *o,
		    const struct manifest *m, const size_t *order,
		    uint64_t end_ms)
{
	size_t k;
	int ret;

	for (k = w->id; k < m->nr; k += o->procs) {
		if (w->totals->stop || (end_ms && now_ms() >= end_ms))
			return 0;
		ret = verify_file(w, &m->files[order[k]]);
		if (ret < 0)
			fprintf(stderr, "workload: %s: %s\n",
				m->files[order[k]].path, strerror(-ret));
		if (!ret)
			ret = hot_step(w, m);
		if (!ret)
			ret = standing_step(w, m);
		if (!ret)
			ret = own_step(w);
		if (!ret)
			ret = anon_step(w);
		if (ret)
			return ret;
	}
	return 0;
}

static int run(struct worker *w, const struct options *o,
	       const struct manifest *m)
{
	uint64_t end_ms = o->secs ? now_ms() + 1000ull * o->secs : 0;
	size_t *order = calloc(m->nr, sizeof(*order));
	unsigned int pass;
	int ret;

	w->buf_len = BUF_LEN;
	w->buf = aligned_alloc(WL_PAGE, BUF_LEN);
	w->tmp_fd = open(o->tmp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (w->tmp_fd < 0) {
		fprintf(stderr, "workload: %s: %s\n", o->tmp, strerror(errno));
		return -errno;
	}
	if (!order || !w->buf)
		return -ENOMEM;
	ret = own_create(w);
	if (!ret)
		ret = anon_create(w, (size_t)o->anon_mib * 256 / o->procs);
	for (pass = 0; !ret; pass++) {
		if ((o->passes && pass >= o->passes) ||
		    (end_ms && now_ms() >= end_ms) || w->totals->stop)
			break;
		shuffle(order, m->nr, o->seed * 1000 + pass);
		ret = one_pass(w, o, m, order, end_ms);
	}
	if (!ret && !w->totals->stop)
		ret = own_finish(w);
	if (ret < 0)
		fprintf(stderr, "workload: process %u: %s\n", w->id,
			strerror(-ret));
	return ret;
}

static void print_totals(const struct totals *t, const struct manifest *m,
			 uint64_t ms)
{
	unsigned int i;

	printf("TOTALS: bytes_verified %" PRIu64 " files %" PRIu64
	       " mismatches %" PRIu64 " ms %" PRIu64 " manifest_files %zu"
	       " manifest_bytes %" PRIu64,
	       t->bytes, t->files, t->mismatches, ms, m->nr, m->bytes);
	for (i = 0; i < NR_KINDS; i++)
		printf(" %s %" PRIu64, kind_names[i], t->kind[i]);
	printf("\n");
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "manifest", required_argument, NULL, 'm' },
		{ "tmp", required_argument, NULL, 't' },
		{ "procs", required_argument, NULL, 'p' },
		{ "secs", required_argument, NULL, 's' },
		{ "passes", required_argument, NULL, 'n' },
		{ "anon", required_argument, NULL, 'a' },
		{ "seed", required_argument, NULL, 'S' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		unsigned long v = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (c) {
		case 'r':
			o->root = optarg;
			break;
		case 'm':
			o->manifest = optarg;
			break;
		case 't':
			o->tmp = optarg;
			break;
		case 'p':
			o->procs = (unsigned int)v;
			break;
		case 's':
			o->secs = (unsigned int)v;
			break;
		case 'n':
			o->passes = (unsigned int)v;
			break;
		case 'a':
			o->anon_mib = (unsigned int)v;
			break;
		case 'S':
			o->seed = v;
			break;
		default:
			return -EINVAL;
		}
	}
	if (!o->secs && !o->passes)
		o->passes = 1;
	if (!o->procs || o->procs > MAX_PROCS || optind != argc)
		return -EINVAL;
	return 0;
}

static int wait_all(struct totals *t, unsigned int nr)
{
	int failed = 0;
	int status;

	while (nr--) {
		if (wait(&status) < 0)
			return 1;
		if (!WIFEXITED(status)) {
			fprintf(stderr,
				"workload: a process died: status %#x\n",
				status);
			failed = 1;
		} else if (WEXITSTATUS(status)) {
			failed = 1;
		}
		if (failed)
			t->stop = true;
	}
	return failed;
}

int main(int argc, char **argv)
{
	struct options o = {
		.root = "/mnt",
		.tmp = "/tmp",
		.procs = 2,
		.anon_mib = 8,
		.seed = 1,
	};
	struct manifest m = { 0 };
	char path[256];
	struct totals *t;
	uint64_t start;
	unsigned int i;
	int err;

	if (parse(&o, argc, argv)) {
		fputs("usage: workload [--root DIR] [--manifest FILE] [--tmp DIR] [--procs N] [--secs N] [--passes N] [--anon MIB] [--seed N]\n",
		      stderr);
		return 2;
	}
	snprintf(path, sizeof(path), "%s/MANIFEST", o.root);
	err = manifest_read(&m, o.root, o.manifest ? o.manifest : path);
	if (err) {
		fprintf(stderr, "workload: %s: %s\n",
			o.manifest ? o.manifest : path, strerror(-err));
		return 2;
	}
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t == MAP_FAILED)
		return 2;
	start = now_ms();
	for (i = 0; i < o.procs; i++) {
		struct worker w = {
			.root = o.root,
			.id = i,
			.totals = t,
			.rng = { o.seed * 0x9e3779b97f4a7c15ull + i + 1 },
		};
		pid_t pid = fork();

		if (pid < 0) {
			perror("workload: fork");
			t->stop = true;
			break;
		}
		if (!pid)
			_exit(run(&w, &o, &m) ? 1 : 0);
	}
	err = wait_all(t, i) || t->mismatches || i < o.procs;
	print_totals(t, &m, now_ms() - start);
	return err ? 1 : 0;
}
