/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trouble: the guest cannot go on now, and nothing is lost.  The file system of
 * the swap file is full or fails, or limit and swap file hold no more.
 *
 * mem_config.trouble is told when the first trouble begins and when the last
 * one is over.  Meanwhile
 *	- page-out is off; pages that could not be written are the guest's again;
 *	- a frame that could not be read back stays preserved and busy, whoever
 *	  wants it sleeps;
 *	- charges that wait for room are not let through.
 *
 * All is tried again by mem_retry(), which reclaim's thread calls once a second
 * as well, and is over when it has worked.
 *
 * Without a callback, and where mem_bear_trouble() says so, such a failure is mem_fatal().
 */
#ifndef HYP_MEM_TROUBLE_H
#define HYP_MEM_TROUBLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;

enum trouble_kind {
	TROUBLE_OUT,  /* a write of the swap file failed */
	TROUBLE_IN,   /* reads did; one each */
	TROUBLE_ROOM, /* nothing is left that could be freed */
	TROUBLE_NR
};

struct trouble {
	pthread_mutex_t lock; /* a leaf; held over the callback */
	pthread_cond_t again;
	unsigned int nr[TROUBLE_NR]; /* under lock */
	_Atomic unsigned int kinds;  /* one bit each, of those above 0 */
	_Atomic uint64_t round;	     /* of trying again; under lock to write */
	bool is_fatal;		     /* under lock: mem_bear_trouble() */
};

void trouble_init(struct trouble *t);
void trouble_fini(struct trouble *t);

/**
 * trouble_begin() - something failed
 * @kind: TROUBLE_IN: one read more; else nothing more happens if it is known
 * @err:  negative errno
 * @what: one line that says what to do
 *
 * Context: no lock held but pageout.lock.
 * Return: false if it is fatal instead: nobody knows how to wait, or nobody will
 * mend it.
 */
bool trouble_begin(struct mem *mem, enum trouble_kind kind, int err,
		   const char *what);

/** trouble_end() - it has worked; nothing happens if there was no trouble */
void trouble_end(struct mem *mem, enum trouble_kind kind);

bool trouble_is(struct mem *mem, enum trouble_kind kind);
bool trouble_is_any(struct mem *mem);

/**
 * trouble_wait() - sleep until it is to be tried again
 * @round: trouble.round before the attempt that failed
 *
 * Return: 0 or -ECANCELED (VM stopping or failed).
 */
int trouble_wait(struct mem *mem, uint64_t round);

/** trouble_stop() - end all waits of trouble_wait() */
void trouble_stop(struct mem *mem);

#endif /* HYP_MEM_TROUBLE_H */
