// SPDX-License-Identifier: GPL-2.0-only
/* Resident limit; the rules are in limit.h. */
#include <errno.h>
#include <time.h>

#include "hyp/mem/priv.h"

#define LIMIT_GAP_MIN 16u
#define LIMIT_GAP_MAX 1024u
/* Rounds of reclaim a charge sees fail before it is let through. */
#define LIMIT_PATIENCE 4u

void limit_init(struct limit *l)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->room, NULL);
	pthread_cond_init(&l->work, &attr);
	pthread_condattr_destroy(&attr);
	atomic_store(&l->limit, UINT64_MAX);
}

void limit_fini(struct limit *l)
{
	pthread_cond_destroy(&l->work);
	pthread_cond_destroy(&l->room);
	pthread_mutex_destroy(&l->lock);
}

/* Distance of the low mark from the limit; the high mark is twice as far. */
static uint64_t gap_of(uint64_t limit)
{
	uint64_t gap = limit / 64;

	if (gap < LIMIT_GAP_MIN)
		return LIMIT_GAP_MIN;
	return gap < LIMIT_GAP_MAX ? gap : LIMIT_GAP_MAX;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void limit_kick(struct mem *mem)
{
	struct limit *l = &mem->limit;

	if (atomic_exchange(&l->kicked, true))
		return;
	pthread_mutex_lock(&l->lock);
	pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->lock);
}

static bool wants_pressure(struct mem *mem, bool now)
{
	uint64_t limit = atomic_load(&mem->limit.limit);

	if (mem->cfg.storm || mem->cfg.always_pressure)
		return true;
	return limit != UINT64_MAX &&
	       atomic_load(&mem->limit.charged) > limit - limit / (now ? 3 : 4);
}

void limit_note_pressure(struct mem *mem)
{
	struct limit *l = &mem->limit;
	bool now = atomic_load(&l->pressure);

	if (wants_pressure(mem, now) == now)
		return;
	/* Under the lock: what the guest is told last is what holds. */
	pthread_mutex_lock(&l->lock);
	now = atomic_load(&l->pressure);
	if (wants_pressure(mem, now) != now) {
		atomic_store(&l->pressure, !now);
		if (mem->cfg.pressure)
			mem->cfg.pressure(mem->cfg.ctx, !now);
	}
	pthread_mutex_unlock(&l->lock);
}

static void note_peak(struct limit *l, uint64_t now)
{
	uint64_t peak = atomic_load(&l->peak);

	while (now > peak &&
	       !atomic_compare_exchange_weak(&l->peak, &peak, now))
		;
}

static bool charge_below(struct limit *l, uint64_t nr, uint64_t bound)
{
	uint64_t now = atomic_load(&l->charged);

	do {
		if (now > bound || nr > bound - now)
			return false;
	} while (!atomic_compare_exchange_weak(&l->charged, &now, now + nr));
	note_peak(l, now + nr);
	return true;
}

/* Above the low mark reclaim is to work ahead. */
static bool is_high(struct limit *l)
{
	uint64_t limit = atomic_load(&l->limit);

	return limit != UINT64_MAX &&
	       atomic_load(&l->charged) > minus(limit, gap_of(limit));
}

bool limit_try_charge(struct mem *mem, uint64_t nr)
{
	struct limit *l = &mem->limit;

	if (!charge_below(l, nr, atomic_load(&l->limit)))
		return false;
	limit_note_pressure(mem);
	if (is_high(l))
		limit_kick(mem);
	return true;
}

bool limit_try_spare(struct mem *mem, uint64_t nr, bool wide)
{
	uint64_t limit = atomic_load(&mem->limit.limit);
	uint64_t bound = limit;

	if (limit != UINT64_MAX)
		bound = minus(limit, gap_of(limit) * (wide ? 4 : 1));
	if (!charge_below(&mem->limit, nr, bound))
		return false;
	limit_note_pressure(mem);
	return true;
}

int limit_charge(struct mem *mem, uint64_t nr)
{
	struct limit *l = &mem->limit;
	uint64_t seen;
	int err = 0;

	if (limit_try_charge(mem, nr))
		return 0;
	pthread_mutex_lock(&l->lock);
	seen = l->idle_rounds;
	/*
	 * Pairs with limit_uncharge(): either this waiter sees what was
	 * uncharged, or whoever uncharges sees the waiter (both seq_cst).
	 */
	atomic_fetch_add(&l->waiters, 1);
	for (;;) {
		/* First: room that comes while stopping must not be used. */
		if (mem_is_stopping(mem) || atomic_load(&mem->failed)) {
			err = -ECANCELED;
			break;
		}
		if (charge_below(l, nr, atomic_load(&l->limit)))
			break;
		if (l->idle_rounds - seen >= LIMIT_PATIENCE) {
			note_peak(l, atomic_fetch_add(&l->charged, nr) + nr);
			break;
		}
		atomic_store(&l->kicked, true);
		pthread_cond_signal(&l->work);
		pthread_cond_wait(&l->room, &l->lock);
	}
	atomic_fetch_sub(&l->waiters, 1);
	pthread_mutex_unlock(&l->lock);
	limit_note_pressure(mem);
	/* Perhaps the last one that was waiting for its end. */
	if (trouble_is_any(mem))
		limit_kick(mem);
	return err;
}

static void wake_waiters(struct limit *l)
{
	pthread_mutex_lock(&l->lock);
	pthread_cond_broadcast(&l->room);
	pthread_mutex_unlock(&l->lock);
}

void limit_uncharge(struct mem *mem, uint64_t nr)
{
	struct limit *l = &mem->limit;

	if (!nr)
		return;
	atomic_fetch_sub(&l->charged, nr);
	limit_note_pressure(mem);
	if (atomic_load(&l->waiters))
		wake_waiters(l);
	watch_look(mem);
}

uint64_t limit_excess(struct mem *mem)
{
	uint64_t limit = atomic_load(&mem->limit.limit);
	uint64_t now = atomic_load(&mem->limit.charged);

	if (limit == UINT64_MAX)
		return 0;
	if (now <= minus(limit, gap_of(limit)) &&
	    !atomic_load(&mem->limit.waiters))
		return 0;
	return minus(now, minus(limit, 2 * gap_of(limit)));
}

bool limit_is_stuck(struct mem *mem)
{
	struct limit *l = &mem->limit;

	return atomic_load(&l->waiters) &&
	       atomic_load(&l->charged) >= atomic_load(&l->limit);
}

void limit_unpinned(struct mem *mem)
{
	struct limit *l = &mem->limit;

	if (atomic_load(&l->charged) > atomic_load(&l->limit))
		limit_kick(mem);
}

void limit_set(struct mem *mem, uint64_t nr)
{
	atomic_store(&mem->limit.limit, nr);
	limit_note_pressure(mem);
	wake_waiters(&mem->limit);
	limit_kick(mem);
}

void limit_stop(struct mem *mem)
{
	struct limit *l = &mem->limit;

	pthread_mutex_lock(&l->lock);
	atomic_store(&l->kicked, true);
	pthread_cond_broadcast(&l->room);
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->lock);
}

void limit_wait_work(struct mem *mem, unsigned int timeout_ms)
{
	struct limit *l = &mem->limit;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)timeout_ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;

	pthread_mutex_lock(&l->lock);
	while (!atomic_load(&l->kicked)) {
		if (!timeout_ms)
			pthread_cond_wait(&l->work, &l->lock);
		else if (pthread_cond_timedwait(&l->work, &l->lock, &until))
			break;
	}
	/* Before the caller reads limit_excess(): later kicks count again. */
	atomic_store(&l->kicked, false);
	pthread_mutex_unlock(&l->lock);
}

void limit_idle_round(struct mem *mem)
{
	struct limit *l = &mem->limit;

	pthread_mutex_lock(&l->lock);
	l->idle_rounds++;
	pthread_cond_broadcast(&l->room);
	pthread_mutex_unlock(&l->lock);
}
