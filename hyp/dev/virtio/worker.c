// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hyp/thread.h"
#include "hyp/util.h"

int worker_init(struct worker *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->idle, NULL);
	w->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->kick_fd < 0 ? -errno : 0;
}

void worker_fini(struct worker *w)
{
	if (w->kick_fd >= 0)
		close(w->kick_fd);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
}

int worker_start(struct worker *w, const char *name, void *(*fn)(void *dev),
		 void *dev)
{
	int err = thread_start(&w->thread, name, fn, dev);

	w->thread_ok = !err;
	return err;
}

int worker_stop(struct worker *w, unsigned int timeout_ms)
{
	int err;

	if (!w->thread_ok)
		return 0;
	pthread_mutex_lock(&w->lock);
	w->running = false;
	w->quit = true;
	pthread_mutex_unlock(&w->lock);
	worker_kick(w);
	err = thread_join(w->thread, timeout_ms);
	if (!err)
		w->thread_ok = false;
	return err;
}

void worker_kick(struct worker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->kick_fd, &one, sizeof(one));

	(void)n; /* can only fail when it is already very much kicked */
}

void worker_run(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->running = true;
	pthread_mutex_unlock(&w->lock);
	worker_kick(w);
}

void worker_pause(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->running = false;
	worker_kick(w);
	while (w->in_use)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

bool worker_follow(struct worker *w, bool quiet, bool *reset)
{
	bool go_on;

	pthread_mutex_lock(&w->lock);
	if (w->running) {
		w->in_use = true;
	} else if (quiet) {
		w->in_use = false;
		*reset = true;
		pthread_cond_broadcast(&w->idle);
	}
	go_on = !w->quit || w->in_use;
	pthread_mutex_unlock(&w->lock);
	return go_on;
}

/*
 * @running alone does not do: the transport may have started the device again
 * since worker_follow() gave the queues up, and worker_pause() would not wait
 * for us.
 */
bool worker_may_work(struct worker *w)
{
	bool yes;

	pthread_mutex_lock(&w->lock);
	yes = w->running && w->in_use;
	pthread_mutex_unlock(&w->lock);
	return yes;
}

void worker_ack(struct worker *w)
{
	uint64_t kicks;
	ssize_t n = read(w->kick_fd, &kicks, sizeof(kicks));

	(void)n; /* EAGAIN: somebody was faster */
}

bool worker_wait(struct worker *w, int fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = w->kick_fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN }, /* negative: left out */
	};
	int n;

	do {
		n = poll(fds, ARRAY_SIZE(fds), timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (fds[0].revents)
		worker_ack(w);
	return fds[1].revents != 0;
}
