/* SPDX-License-Identifier: GPL-2.0-only */
/* A runtime directory with sockets that answer the same to all, and hyp's commands. */
#ifndef HYP_TESTS_RUNDIR_H
#define HYP_TESTS_RUNDIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "hyp/hypd/tests/fake.h"

/* A line with @result, JSON, to any request. */
#define ANSWER(result) "{\"version\":1,\"ok\":true,\"result\":" result "}\n"

struct dir {
	char base[40], path[60];
	pid_t pid; /* of all that answer; 0: they do not run */
	int poke;
};

/* @template: for mkdtemp() */
static inline struct dir *dir_make(const char *template)
{
	struct dir *d = calloc(1, sizeof(*d));

	snprintf(d->base, sizeof(d->base), "%s", template);
	assert_non_null(mkdtemp(d->base));
	setenv("XDG_RUNTIME_DIR", d->base, 1);
	snprintf(d->path, sizeof(d->path), "%s/hyp", d->base);
	assert_int_equal(mkdir(d->path, 0700), 0);
	fakes_create();
	return d;
}

/* @says: lives as long as it; before dir_start() */
static inline struct fake *dir_add(struct dir *d, const char *name,
				   const char *says)
{
	struct fake *f = fake_add(d->path, name, MIB, 0, 0);

	f->says = says;
	f->says_len = strlen(says);
	return f;
}

static inline void dir_start(struct dir *d)
{
	d->poke = fake_start(0, fakes->nr, &d->pid);
}

/* Sockets stay, and nobody listens. */
static inline void dir_stop(struct dir *d)
{
	if (!d->pid)
		return;
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	d->pid = 0;
	close(d->poke);
}

static inline void dir_remove(struct dir *d)
{
	char command[100];

	dir_stop(d);
	snprintf(command, sizeof(command), "rm -r %s", d->base);
	assert_int_equal(system(command), 0);
	munmap(fakes, sizeof(*fakes));
	free(d);
}

/* What @command writes when it gets @argv, which ends with NULL; free() it. */
static inline char *output_of(int (*command)(int, char **, struct why *),
			      char **argv, size_t *len)
{
	struct why why = { "" };
	FILE *out = tmpfile();
	int argc = 0, status;
	char *text;
	pid_t pid;

	assert_non_null(out);
	while (argv[argc])
		argc++;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fileno(out), STDOUT_FILENO);
		status = command(argc, argv, &why);
		fflush(stdout);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fseek(out, 0, SEEK_END);
	*len = (size_t)ftell(out);
	rewind(out);
	text = calloc(1, *len + 1);
	assert_int_equal(fread(text, 1, *len, out), *len);
	fclose(out);
	return text;
}

#endif /* HYP_TESTS_RUNDIR_H */
