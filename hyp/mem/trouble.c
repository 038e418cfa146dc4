// SPDX-License-Identifier: GPL-2.0-only
/* What the guest has to wait for; see trouble.h. */
#include <errno.h>
#include <sys/eventfd.h>

#include "hyp/mem/priv.h"

void trouble_init(struct trouble *t)
{
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->again, NULL);
}

void trouble_fini(struct trouble *t)
{
	pthread_cond_destroy(&t->again);
	pthread_mutex_destroy(&t->lock);
}

bool trouble_is_any(struct mem *mem)
{
	return atomic_load(&mem->trouble.kinds);
}

bool trouble_is(struct mem *mem, enum trouble_kind kind)
{
	return atomic_load(&mem->trouble.kinds) >> kind & 1;
}

bool trouble_begin(struct mem *mem, enum trouble_kind kind, int err,
		   const char *what)
{
	struct trouble *t = &mem->trouble;
	bool first;

	pthread_mutex_lock(&t->lock);
	if (!mem->cfg.trouble || t->is_fatal) {
		pthread_mutex_unlock(&t->lock);
		mem_fatal(mem, err, what);
		return false;
	}
	if (kind == TROUBLE_IN || !t->nr[kind])
		t->nr[kind]++;
	/* Under the lock: what the VM is told last is what holds. */
	first = !atomic_fetch_or(&t->kinds, 1u << kind);
	if (first)
		mem->cfg.trouble(mem->cfg.ctx, err, what);
	pthread_mutex_unlock(&t->lock);
	/* It is reclaim that tries again, and that comes here each time. */
	if (first)
		limit_kick(mem);
	return true;
}

void trouble_end(struct mem *mem, enum trouble_kind kind)
{
	struct trouble *t = &mem->trouble;

	if (!trouble_is(mem, kind))
		return;
	pthread_mutex_lock(&t->lock);
	if (t->nr[kind] && !--t->nr[kind] &&
	    atomic_fetch_and(&t->kinds, ~(1u << kind)) == 1u << kind)
		mem->cfg.trouble(mem->cfg.ctx, 0, NULL);
	pthread_mutex_unlock(&t->lock);
}

int trouble_wait(struct mem *mem, uint64_t round)
{
	struct trouble *t = &mem->trouble;
	int err = 0;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		if (mem_is_stopping(mem) || atomic_load(&mem->failed))
			err = -ECANCELED;
		if (err || atomic_load(&t->round) != round)
			break;
		pthread_cond_wait(&t->again, &t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return err;
}

void mem_retry(struct mem *mem)
{
	struct trouble *t = &mem->trouble;

	if (!trouble_is_any(mem))
		return;
	pthread_mutex_lock(&t->lock);
	atomic_fetch_add(&t->round, 1);
	pthread_cond_broadcast(&t->again);
	pthread_mutex_unlock(&t->lock);
	if (mem->swap)
		eventfd_write(mem->pager.in.retry_fd, 1);
	limit_kick(mem);
}

void mem_bear_trouble(struct mem *mem, bool on)
{
	pthread_mutex_lock(&mem->trouble.lock);
	mem->trouble.is_fatal = !on;
	pthread_mutex_unlock(&mem->trouble.lock);
	if (!on && trouble_is_any(mem))
		mem_fatal(mem, -ECANCELED, "the VM ends");
}

void trouble_stop(struct mem *mem)
{
	pthread_mutex_lock(&mem->trouble.lock);
	pthread_cond_broadcast(&mem->trouble.again);
	pthread_mutex_unlock(&mem->trouble.lock);
}
