// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/mem/balance.h"

/* Both costs together stay below this part of the VM's frames. */
#define WINDOW_DIV 4u
/* Refaults below this part of them are what the order of reclaim costs anyway. */
#define GRACE_DIV 256u

static uint64_t since(uint64_t *seen, uint64_t now)
{
	uint64_t delta = now - *seen;

	*seen = now;
	return delta;
}

void balance_note(struct balance *b, uint64_t volatiles, uint64_t stables,
		  uint64_t frames)
{
	b->cost_volatile += since(&b->volatile_seen, volatiles);
	b->cost_stable += since(&b->stable_seen, stables);
	while (b->cost_volatile + b->cost_stable > frames / WINDOW_DIV) {
		b->cost_volatile /= 2;
		b->cost_stable /= 2;
	}
}

uint64_t balance_stable(const struct balance *b, uint64_t need, uint64_t frames)
{
	uint64_t grace = frames / GRACE_DIV;

	if (b->cost_volatile <= grace)
		return 0;
	/* Both factors are frame numbers: no overflow. */
	return need * (b->cost_volatile - grace) /
	       (b->cost_volatile + b->cost_stable + 1);
}
