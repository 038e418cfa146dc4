// SPDX-License-Identifier: GPL-2.0-only
/* Refault distance; see refault.h. */
#include <errno.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/sparse.h"

static size_t left_bytes(const struct mem *mem)
{
	return mem->nr_frames * sizeof(*mem->refault.left);
}

int refault_init(struct mem *mem)
{
	/* Memory only for what has gone once. */
	mem->refault.left = sparse_alloc(left_bytes(mem));
	return mem->refault.left ? 0 : -ENOMEM;
}

void refault_fini(struct mem *mem)
{
	sparse_free(mem->refault.left, left_bytes(mem));
	mem->refault.left = NULL;
}

void refault_left(struct mem *mem, uint64_t idx)
{
	mem->refault.left[idx] = atomic_fetch_add_explicit(
		&mem->refault.taken, 1, memory_order_relaxed);
}

void refault_note(struct mem *mem, uint64_t idx, enum refault_kind kind)
{
	uint32_t distance;
	unsigned int i = 0;

	frame_lock(mem, idx);
	distance = atomic_load_explicit(&mem->refault.taken,
					memory_order_relaxed) -
		   mem->refault.left[idx];
	frame_unlock(mem, idx);
	while (i < MEM_DISTANCES - 1 && distance > MEM_DISTANCE(i))
		i++;
	mem_count(&mem->refault.after[kind][i], 1);
}
