// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/thread.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>

#include "hyp/sandbox.h"

/* On the stack of who starts the thread, until @confined says that it is done. */
struct start {
	const char *name;
	void *(*fn)(void *arg);
	void *arg;
	int err;
	sem_t confined;
};

static void *begin(void *arg)
{
	struct start *s = arg;
	void *(*fn)(void *arg) = s->fn;
	void *fn_arg = s->arg;
	int err;

	/* Its own name: for that of another, glibc opens a file. */
	pthread_setname_np(pthread_self(), s->name);
	err = sandbox_enter(s->name);
	s->err = err;
	sem_post(&s->confined);
	return err ? NULL : fn(fn_arg);
}

int thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg),
		 void *arg)
{
	struct start s = { .name = name, .fn = fn, .arg = arg };
	int err;

	sem_init(&s.confined, 0, 0);
	err = -pthread_create(out, NULL, begin, &s);
	if (!err) {
		while (sem_wait(&s.confined) && errno == EINTR)
			;
		err = s.err;
		if (err)
			pthread_join(*out, NULL);
	}
	sem_destroy(&s.confined);
	return err;
}

int thread_join(pthread_t thread, unsigned int timeout_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
#ifdef __SANITIZE_THREAD__
	/* It does not know the other, and would see races with the dead. */
	return -pthread_join(thread, NULL);
#endif
	return -pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
}
