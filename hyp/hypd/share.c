// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is goes out in four layers, each filled by weight as far as the host's
 * limit reaches (divide.h):
 *
 *  1. floors;
 *  2. who is active, up to its entitlement, as far as it has shown to need it;
 *  3. who is strained, up to its ceiling; others, what they use and a little;
 *  4. what nobody needs stays where it is, then goes to all.
 *
 * So a VM above its share by weight gives way at once when another is strained,
 * and one that starts to suffer has its entitlement back at once.  While somebody
 * is short, the third layer of idle VMs also shrinks, steadily and slowly (the idle
 * memory tax), until the guest shows that it wanted it: that size is left to it for
 * a minute, and twice as long each time that the tax hurts again.
 */
#include <math.h>
#include <stdlib.h>

#include "hyp/hypd/divide.h"
#include "hyp/hypd/inflate.h"
#include "hyp/hypd/strain.h"
#include "hyp/util.h"

/* While idle VMs are taxed: how often. */
#define TICK_MS 1000
/* After a pause: the tax is for the time that somebody was short. */
#define TICK_MAX_MS 2000
/* The tax takes 1/64 of a VM's memory a second. */
#define TAX_SHARE 64.0
/* Who suffers so soon after it was taxed suffers from the tax. */
#define BLAME_MS 60000
/* What a taxed guest turned out to need is left to it so long, twice as long ... */
#define LEARNED_MS  60000u
#define LEARNED_MAX 6u /* ... and so many times at most: an hour */

struct memory {
	struct strain strain;
	struct inflate inflate;
	bool taxed;
	double claim; /* bytes; while taxed */
	uint64_t claim_ms;
	double learned; /* bytes */
	uint64_t learned_ms;
	unsigned int hurts; /* of the tax, about as large */
};

static uint64_t round_up(double bytes)
{
	return (uint64_t)ceil(bytes / POLICY_PAGE) * POLICY_PAGE;
}

static uint64_t clamp(const struct policy_vm *vm, uint64_t bytes)
{
	if (bytes < vm->floor)
		return vm->floor;
	return bytes < vm->ceiling ? bytes : vm->ceiling;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t learned_until_ms(const struct memory *m)
{
	return m->hurts ? m->learned_ms + (LEARNED_MS << (m->hurts - 1)) : 0;
}

static double learned_now(const struct memory *m, uint64_t now_ms)
{
	return now_ms < learned_until_ms(m) ? m->learned : 0;
}

static void learn(struct memory *m, const struct policy_vm *vm, uint64_t now_ms)
{
	m->learned = fmax(m->claim, (double)vm->charged) * 17 / 16;
	m->learned_ms = now_ms;
	if (m->hurts < LEARNED_MAX)
		m->hurts++;
}

/* What it uses, and room to grow in until it is looked at again. */
static uint64_t uses(const struct policy_vm *vm)
{
	uint64_t room = vm->idle ? most(4 * MIB, vm->charged / 16) :
				   most(16 * MIB, vm->charged / 4);
	uint64_t bytes = round_up((double)(vm->charged + room));

	/*
	 * Every guest fills its limit with page cache.  To claim more than that,
	 * or than it is entitled to, it has to suffer.
	 */
	return clamp(vm,
		     least(bytes, vm->idle ? vm->limit :
					     most(vm->limit, vm->entitlement)));
}

static void look(struct policy_vm *vm, uint64_t now_ms)
{
	struct memory *m = vm->memory;
	bool was = m->strain.strained;

	strain_update(&m->strain, vm, now_ms);
	vm->idle = strain_is_idle(&m->strain, now_ms) || !vm->running;
	vm->pressure = m->strain.rate;
	if (m->strain.strained && !was && m->claim > 0 &&
	    now_ms - m->claim_ms < BLAME_MS)
		learn(m, vm, now_ms);
	if (!vm->idle)
		m->taxed = false;
}

static bool is_strained(const struct policy_vm *vm)
{
	const struct memory *m = vm->memory;

	return m->strain.strained && vm->running;
}

static uint64_t want_of(const struct policy_vm *vm)
{
	return is_strained(vm) ? vm->ceiling : uses(vm);
}

/* The claim of an idle VM while others are short. */
static uint64_t taxed_claim(struct policy_vm *vm, uint64_t now_ms)
{
	struct memory *m = vm->memory;
	double bottom = fmax((double)vm->floor, learned_now(m, now_ms));
	uint64_t ms;

	if (!m->taxed) {
		m->taxed = true;
		m->claim = (double)uses(vm);
		m->claim_ms = now_ms;
	}
	ms = least(now_ms - m->claim_ms, TICK_MAX_MS);
	m->claim_ms = now_ms;
	if (m->claim > bottom)
		m->claim = fmax(bottom, m->claim - (double)vm->mem / TAX_SHARE *
							   (double)ms / 1000);
	m->claim = fmin(m->claim, (double)uses(vm));
	/* It no longer needs what it did. */
	if (m->claim < m->learned / 2)
		m->hurts = 0;
	return clamp(vm, round_up(m->claim));
}

/* A layer: everybody has what it got before, and goes up to what highs say. */
static void fill(uint64_t amount, struct divide_part *parts, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		parts[i].low = parts[i].got;
		parts[i].high = most(parts[i].got, parts[i].high);
	}
	divide_fill(amount, parts, nr);
}

static bool anybody_is_short(const struct policy_host *host,
			     const struct policy_vm *vms, size_t nr)
{
	bool strained = false;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		strained |= is_strained(&vms[i]);
		sum += want_of(&vms[i]);
	}
	return host->pressed || (strained && sum > host->limit_bytes);
}

static void divide(const struct policy_host *host, struct policy_vm *vms,
		   struct divide_part *parts, size_t nr, bool is_short)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		parts[i].weight = vms[i].weight;
		parts[i].got = vms[i].floor;
		parts[i].high = vms[i].idle ? vms[i].floor :
					      least(vms[i].entitlement,
						    want_of(&vms[i]));
	}
	fill(host->limit_bytes, parts, nr);
	for (i = 0; i < nr; i++) {
		vms[i].guaranteed = parts[i].got;
		parts[i].high = is_short && vms[i].idle ?
					taxed_claim(&vms[i], host->now_ms) :
					want_of(&vms[i]);
		if (!is_short)
			((struct memory *)vms[i].memory)->taxed = false;
	}
	fill(host->limit_bytes, parts, nr);
	/* Where the host suffers, what nobody needs is better left to it. */
	for (i = 0; i < nr; i++)
		parts[i].high = host->pressed || (is_short && vms[i].idle) ?
					parts[i].got :
					least(vms[i].limit, vms[i].ceiling);
	fill(host->limit_bytes, parts, nr);
	for (i = 0; i < nr; i++)
		parts[i].high = host->pressed || (is_short && vms[i].idle) ?
					parts[i].got :
					vms[i].ceiling;
	fill(host->limit_bytes, parts, nr);
}

static const char *reason_of(const struct policy_vm *vm, bool is_short,
			     bool is_over)
{
	const struct memory *m = vm->memory;

	if (vm->budget == vm->limit)
		return "";
	if (vm->limit < vm->floor)
		return "its minimum";
	if (vm->limit > vm->ceiling)
		return "its maximum";
	if (vm->budget > vm->limit)
		return !is_strained(vm) ? "nobody else needs it" :
		       vm->budget <= vm->guaranteed ?
					  "pressure; its entitlement" :
					  "pressure";
	if (m->taxed && vm->idle)
		return "idle while others are short";
	if (is_over)
		return "limits exceeded the host's";
	return is_short ? "others are under pressure" : "others need it";
}

/* Return: when something will have changed without any event. */
static uint64_t next_look(struct policy_vm *vm, bool is_short, uint64_t now_ms)
{
	struct memory *m = vm->memory;
	uint64_t at_ms = strain_ends_ms(&m->strain);

	if (!is_short || is_strained(vm))
		return at_ms;
	if (!vm->idle)
		return least(at_ms, m->strain.active_ms + STRAIN_IDLE_MS);
	if (m->claim > fmax((double)vm->floor, learned_now(m, now_ms)))
		return now_ms + TICK_MS;
	if (m->claim > (double)vm->floor)
		return least(at_ms,
			     most(learned_until_ms(m), now_ms + TICK_MS));
	return at_ms;
}

static uint64_t decide(const struct policy_host *host, struct policy_vm *vms,
		       size_t nr)
{
	struct divide_part *parts = calloc(nr + 1, sizeof(*parts));
	uint64_t next_ms = POLICY_NEVER, limits = 0;
	bool is_short;
	size_t i;

	for (i = 0; i < nr; i++) {
		look(&vms[i], host->now_ms);
		vms[i].budget = clamp(&vms[i], vms[i].limit);
		vms[i].guaranteed = vms[i].floor;
		limits += vms[i].limit;
	}
	is_short = anybody_is_short(host, vms, nr);
	if (parts)
		divide(host, vms, parts, nr, is_short);
	for (i = 0; parts && i < nr; i++)
		vms[i].budget = parts[i].got;
	free(parts);
	divide_steady(host->limit_bytes, vms, nr);
	for (i = 0; i < nr; i++) {
		struct memory *m = vms[i].memory;

		vms[i].reason = reason_of(&vms[i], is_short,
					  limits > host->limit_bytes);
		vms[i].want_balloon = vms[i].balloon_target;
		if (vms[i].has_balloon)
			vms[i].want_balloon = inflate_target(
				&m->inflate, &vms[i], is_strained(&vms[i]),
				host->now_ms, &next_ms);
		next_ms = least(next_ms,
				next_look(&vms[i], is_short, host->now_ms));
	}
	return next_ms;
}

const struct policy policy_share = { "share", sizeof(struct memory), decide };
