/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads are started here, and nowhere else: so that none is without its filter. */
#ifndef HYP_THREAD_H
#define HYP_THREAD_H

#include <pthread.h>

/**
 * thread_start() - start a thread that is confined before it does anything
 * @out:  set on success; to be joined
 * @name: of the thread, at most 15 characters; what it may do hangs on it
 *	  (hyp/sandbox_roles.h); copied
 * @fn:   its function
 * @arg:  its argument
 *
 * Returns when the thread is confined, or when @fn will not be called.
 * Return: 0 or a negative errno.
 */
int thread_start(pthread_t *out, const char *name, void *(*fn)(void *arg),
		 void *arg);

/**
 * thread_join() - wait for the end of a thread, but not for ever
 * @thread:     to be joined
 * @timeout_ms: how long
 *
 * Return: 0 or -ETIMEDOUT.
 */
int thread_join(pthread_t thread, unsigned int timeout_ms);

#endif /* HYP_THREAD_H */
