// SPDX-License-Identifier: GPL-2.0-only
/* Telling what has happened; the rule that loses nothing is in watch.h. */
#include "hyp/mem/priv.h"

static uint64_t cost_now(struct mem *mem)
{
	struct mem_counters *c = &mem->count;

	return atomic_load(&c->fault_preserved) +
	       atomic_load(&c->fault_discard) + atomic_load(&c->swapped_out) +
	       atomic_load(&c->discarded_unused) +
	       atomic_load(&c->discarded_volatile) +
	       atomic_load(&c->discarded_potential);
}

static bool is_news(struct mem *mem)
{
	uint64_t resident = atomic_load(&mem->count.content[FRAME_RESIDENT]);
	struct watch *w = &mem->watch;

	if (cost_now(mem) != atomic_load(&w->cost))
		return true;
	if (resident < atomic_load(&w->low) || resident > atomic_load(&w->high))
		return true;
	return atomic_load(&w->over) && atomic_load(&mem->limit.charged) <=
						atomic_load(&mem->limit.limit);
}

void __watch_look(struct mem *mem)
{
	if (is_news(mem) && atomic_exchange(&mem->watch.armed, false))
		mem->cfg.news(mem->cfg.ctx);
}

void mem_watch(struct mem *mem, const struct mem_watch *what)
{
	struct watch *w = &mem->watch;

	if (!mem->cfg.news)
		return;
	atomic_store(&w->armed, false);
	if (!what)
		return;
	atomic_store(&w->cost, what->cost);
	atomic_store(&w->low, what->resident_min);
	atomic_store(&w->high, what->resident_max);
	atomic_store(&w->over, what->over);
	atomic_store(&w->armed, true);
	/* What came before somebody could be told. */
	watch_look(mem);
}
