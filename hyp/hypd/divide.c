// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/divide.h"

#include "hyp/util.h"

/* Of the level: fine enough that a step of it is less than a page for anybody. */
#define LEVEL_SHIFT 16
/* Weight 1 reaches 2^50 bytes with it. */
#define LEVEL_MAX (1ull << (50 - 12 + LEVEL_SHIFT))

static uint64_t at_level(const struct divide_part *p, uint64_t level)
{
	unsigned __int128 pages = (unsigned __int128)level * p->weight >>
				  LEVEL_SHIFT;

	if (pages >= p->high / POLICY_PAGE)
		return p->high;
	if (pages <= p->low / POLICY_PAGE)
		return p->low;
	return (uint64_t)pages * POLICY_PAGE;
}

static uint64_t sum_at(const struct divide_part *parts, size_t nr,
		       uint64_t level)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		sum += at_level(&parts[i], level);
	return sum;
}

void divide_fill(uint64_t amount, struct divide_part *parts, size_t nr)
{
	uint64_t level = 0, bit;
	size_t i;

	for (bit = LEVEL_MAX; bit; bit >>= 1)
		if (sum_at(parts, nr, level + bit) <= amount)
			level += bit;
	for (i = 0; i < nr; i++)
		parts[i].got = at_level(&parts[i], level);
}

uint64_t divide_step(uint64_t limit)
{
	uint64_t step = limit / 50 / POLICY_PAGE * POLICY_PAGE;

	return step < MIB ? MIB : step;
}

static bool may_stay(const struct policy_vm *vm)
{
	return vm->limit >= vm->floor && vm->limit <= vm->ceiling;
}

void divide_steady(uint64_t amount, struct policy_vm *vms, size_t nr)
{
	uint64_t sum = 0, more;
	size_t i;

	for (i = 0; i < nr; i++) {
		struct policy_vm *vm = &vms[i];

		if (vm->budget > vm->limit && may_stay(vm) &&
		    vm->budget != vm->ceiling &&
		    vm->budget - vm->limit < divide_step(vm->limit))
			vm->budget = vm->limit;
		sum += vm->budget;
	}
	for (i = 0; i < nr; i++) {
		struct policy_vm *vm = &vms[i];

		if (vm->budget >= vm->limit || !may_stay(vm))
			continue;
		more = vm->limit - vm->budget;
		if (more >= divide_step(vm->limit) || sum + more > amount)
			continue;
		vm->budget = vm->limit;
		sum += more;
	}
}
