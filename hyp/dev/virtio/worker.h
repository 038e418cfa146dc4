/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread of a virtio device, and how it and the transport hand the queues
 * to each other: they are the thread's from worker_run() to the return of
 * worker_pause(), which waits until the thread is done with them.
 */
#ifndef HYP_DEV_VIRTIO_WORKER_H
#define HYP_DEV_VIRTIO_WORKER_H

#include <pthread.h>
#include <stdbool.h>

/**
 * struct worker - embedded in the device
 * @kick_fd: an eventfd, readable when there may be something to do; KVM may
 *	     write to it
 */
struct worker {
	int kick_fd;
	pthread_t thread;
	bool thread_ok;

	/*
	 * @running: the transport has started the device.  @in_use: the thread
	 * may touch the queues.  The thread follows @running when it holds the
	 * lock and has nothing in flight; worker_pause() waits for that.
	 */
	pthread_mutex_t lock; /* guards these three */
	pthread_cond_t idle;
	bool running, in_use, quit;
};

/** worker_init() - Return: 0 or a negative errno.  worker_fini() in any case. */
int worker_init(struct worker *w);

/** worker_fini() - joined, or never started */
void worker_fini(struct worker *w);

/**
 * worker_start() - start the thread
 * @w:    initialised
 * @name: of the thread
 * @fn:   its function; returns when worker_follow() says so
 * @dev:  its argument
 *
 * Return: 0 or a negative errno.
 */
int worker_start(struct worker *w, const char *name, void *(*fn)(void *dev),
		 void *dev);

/**
 * worker_stop() - let the thread finish what is under way, and join it
 * @w:          no vCPU runs
 * @timeout_ms: how long that may take
 *
 * Return: 0 or -ETIMEDOUT.
 */
int worker_stop(struct worker *w, unsigned int timeout_ms);

/** worker_kick() - there may be something to do.  Any thread. */
void worker_kick(struct worker *w);

/** worker_run(), worker_pause() - for the transport's start and stop */
void worker_run(struct worker *w);
void worker_pause(struct worker *w);

/* What follows is for the thread itself. */

/**
 * worker_follow() - take the queues over, or give them up
 * @w:     worker
 * @quiet: nothing of the guest's is in flight
 * @reset: set to true if they have been given up: forget what the guest did
 *
 * Return: false when the thread is to end.
 */
bool worker_follow(struct worker *w, bool quiet, bool *reset);

/** worker_may_work() - may it take something from the queues now? */
bool worker_may_work(struct worker *w);

/** worker_ack() - forget kicks; to be followed by a look at the queues */
void worker_ack(struct worker *w);

/**
 * worker_wait() - sleep until there is a kick
 * @w:          worker; the kick is acknowledged
 * @fd:         another descriptor whose input is waited for; -1: none
 * @timeout_ms: at most; negative: for ever
 *
 * Return: true if there is input on @fd.
 */
bool worker_wait(struct worker *w, int fd, int timeout_ms);

#endif /* HYP_DEV_VIRTIO_WORKER_H */
