// SPDX-License-Identifier: GPL-2.0-only
/* Counters and the state distribution. */
#include <essa/abi.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

static uint64_t stall_us(struct mem *mem)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < MEM_NR_WAITS; i++)
		sum += atomic_load_explicit(&mem->latency[i].sum_ns,
					    memory_order_relaxed);
	return sum / 1000;
}

void mem_get_stats(struct mem *mem, struct mem_stats *out)
{
	struct mem_counters *c = &mem->count;
	uint64_t limit = atomic_load(&mem->limit.limit);
	unsigned int i;

	*out = (struct mem_stats){
		.frames = mem->nr_frames,
		.resident = atomic_load(&c->content[FRAME_RESIDENT]),
		.resident_peak = atomic_load(&mem->limit.peak),
		.limit = limit == UINT64_MAX ? 0 : limit,
		.charged = atomic_load(&mem->limit.charged),
		.preserved = atomic_load(&c->content[FRAME_PRESERVED]),
		.zero = atomic_load(&c->content[FRAME_ZERO]),
		.discarded_unused = atomic_load(&c->discarded_unused),
		.discarded_volatile = atomic_load(&c->discarded_volatile),
		.discarded_potential = atomic_load(&c->discarded_potential),
		.discard_lost = atomic_load(&c->discard_lost),
		.given_up = atomic_load(&c->given_up),
		.swapped_out = atomic_load(&c->swapped_out),
		.swapped_in = atomic_load(&c->swapped_in),
		.swap_out_bytes = atomic_load(&c->swap_out_bytes),
		.swap_in_bytes = atomic_load(&c->swap_in_bytes),
		.readahead = atomic_load(&c->readahead),
		.readahead_hits = atomic_load(&c->readahead_hits),
		.fault_zero = atomic_load(&c->fault_zero),
		.fault_preserved = atomic_load(&c->fault_preserved),
		.fault_stale = atomic_load(&c->fault_stale),
		.fault_discard = atomic_load(&c->fault_discard),
		.armed = atomic_load(&c->armed),
		.fault_write = atomic_load(&c->fault_write),
		.device_fills = atomic_load(&c->device_fills),
		.release_batches = atomic_load(&c->release_batches),
		.busy_waits = atomic_load(&c->busy_waits),
		.scans = atomic_load(&c->scans),
		.stall_us = stall_us(mem),
		.reclaim_rounds = atomic_load(&c->reclaim_rounds),
		.reclaim_urgent = atomic_load(&c->reclaim_urgent),
		.limit_waits = atomic_load(&c->limit_waits),
		.probation =
			atomic_load(&mem->probation.nr[PROBATION_VOLATILE]) +
			atomic_load(&mem->probation.nr[PROBATION_STABLE]),
		.parked = atomic_load(&c->parked[PROBATION_VOLATILE]) +
			  atomic_load(&c->parked[PROBATION_STABLE]),
		.rescued_volatile =
			atomic_load(&c->rescued[PROBATION_VOLATILE]),
		.rescued_stable = atomic_load(&c->rescued[PROBATION_STABLE]),
		.reclaim_failed = atomic_load(&c->reclaim_failed),
	};
	for (i = 0; i < MEM_DISTANCES; i++) {
		out->refault_discarded[i] =
			atomic_load(&mem->refault.after[REFAULT_DISCARDED][i]);
		out->refault_swapped[i] =
			atomic_load(&mem->refault.after[REFAULT_SWAPPED][i]);
	}
}

/* Contents are numbered there as in the state byte. */
static unsigned int column(enum frame_content content)
{
	return state_content(content) >> ESSA_CONTENT_SHIFT;
}

_Static_assert(ESSA_RESIDENT >> ESSA_CONTENT_SHIFT == 0 &&
		       ESSA_PRESERVED >> ESSA_CONTENT_SHIFT == 1 &&
		       ESSA_ZERO >> ESSA_CONTENT_SHIFT == 2,
	       "r p z, as mem.h says");

void mem_get_dist(struct mem *mem, struct mem_dist *out)
{
	uint32_t on = atomic_load(&mem->features);
	uint64_t n[4][FRAME_NR_CONTENTS] = { { 0 } };
	unsigned int u, c;
	uint64_t i;

	for (i = 0; i < mem->nr_frames; i++) {
		uint8_t usage = on ? state_read(mem, i) & ESSA_USAGE_MASK :
				     ESSA_STABLE;

		if (i % FRAME_BLOCK == 0)
			frame_lock(mem, i);
		n[usage][mem->frames[i].content]++;
		if (i % FRAME_BLOCK == FRAME_BLOCK - 1 ||
		    i == mem->nr_frames - 1)
			frame_unlock(mem, i);
	}
	for (u = 0; u < 4; u++)
		for (c = 0; c < FRAME_NR_CONTENTS; c++)
			out->n[u][column(c)] = n[u][c];
}
