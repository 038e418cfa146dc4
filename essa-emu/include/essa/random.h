/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that a seed brings back: for tests, bare-metal ones as well. */
#ifndef ESSA_RANDOM_H
#define ESSA_RANDOM_H

#include <stdint.h>

/** struct rng - xorshift64*; the state must not be 0 */
struct rng {
	uint64_t s;
};

/** rng_next() - the next number, all 64 bits of it usable */
static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * 0x2545f4914f6cdd1dull;
}

/** rng_below() - the next number, from 0 to @below - 1 */
static inline uint32_t rng_below(struct rng *r, uint32_t below)
{
	return (uint32_t)((rng_next(r) >> 32) * below >> 32);
}

#endif /* ESSA_RANDOM_H */
