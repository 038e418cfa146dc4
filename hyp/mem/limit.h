/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Resident limit: frames are charged before they are filled, uncharged after
 * their memory is gone, so that resident memory never exceeds the limit.
 *
 * Two exceptions.  A lowered limit is exceeded until reclaim has caught up.
 * And where reclaim went over everything and could free nothing because
 * devices have it pinned, a waiter is let through rather than hung: the excess
 * is then at most what is pinned.  Not so in trouble (trouble.h), when it waits.
 *
 *	limit
 *	 | a charge waits for a batch of reclaim
 *	low	reclaim wakes up above
 *	high	... and stops below
 */
#ifndef HYP_MEM_LIMIT_H
#define HYP_MEM_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;

struct limit {
	_Atomic uint64_t limit; /* frames; UINT64_MAX: none */
	_Atomic uint64_t charged;
	_Atomic uint64_t peak;
	_Atomic unsigned int waiters;
	_Atomic bool kicked;   /* reclaim has been or is being woken */
	_Atomic bool pressure; /* what mem_config.pressure was told; under lock */
	pthread_mutex_t lock; /* guards idle_rounds; sleeping */
	pthread_cond_t room;  /* something was uncharged */
	pthread_cond_t work;  /* reclaim is wanted */
	uint64_t idle_rounds; /* of reclaim, that freed nothing */
};

void limit_init(struct limit *l);

/**
 * limit_note_pressure() - tell the guest whether reclaim may be near
 *
 * From three quarters of the limit on, and until below two thirds.
 * Context: takes @mem's limit.lock.
 */
void limit_note_pressure(struct mem *mem);
void limit_fini(struct limit *l);

/**
 * limit_charge() - account for frames about to be filled; sleeps for room
 *
 * Context: no stripe held, no frame busy by the caller: reclaim may need it.
 * Return: 0 or -ECANCELED (VM stopping or failed).
 */
int limit_charge(struct mem *mem, uint64_t nr);

/** limit_try_charge() - same without sleeping. Return: true if charged */
bool limit_try_charge(struct mem *mem, uint64_t nr);

/**
 * limit_try_spare() - charge for frames that no one has asked for yet
 * @wide: only if the limit is far away
 */
bool limit_try_spare(struct mem *mem, uint64_t nr, bool wide);

/** limit_uncharge() - their memory is gone; no stripe held */
void limit_uncharge(struct mem *mem, uint64_t nr);

/** limit_excess() - frames that reclaim should free now; 0: nothing to do */
uint64_t limit_excess(struct mem *mem);

/**
 * limit_is_stuck() - is somebody waiting who cannot have even one frame?
 *
 * Who waits though there is one has been woken, and is about to take it.
 */
bool limit_is_stuck(struct mem *mem);

/** limit_set() - new limit in frames; UINT64_MAX: none */
void limit_set(struct mem *mem, uint64_t nr);

/** limit_unpinned() - frames that reclaim had to skip may be had now */
void limit_unpinned(struct mem *mem);

/** limit_kick() - wake reclaim */
void limit_kick(struct mem *mem);

/** limit_stop() - end all waits of limit_charge(), wake reclaim */
void limit_stop(struct mem *mem);

/**
 * limit_wait_work() - reclaim thread: sleep until there is something to do
 * @timeout_ms: at most; 0: for ever
 */
void limit_wait_work(struct mem *mem, unsigned int timeout_ms);

/** limit_idle_round() - reclaim freed nothing although charges are waiting */
void limit_idle_round(struct mem *mem);

#endif /* HYP_MEM_LIMIT_H */
