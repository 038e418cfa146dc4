/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checksum of file contents, for generator and verifiers: FNV-like over 8-byte
 * little-endian words, because the guest runs emulated and verifies gigabytes.
 * Each step is a bijection of the sum, so one changed word always changes it.
 */
#ifndef GUEST_TESTS_SUM_H
#define GUEST_TESTS_SUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SUM_INIT 0xcbf29ce484222325ull

/**
 * sum_update() - add data to a checksum
 * @h: SUM_INIT, or the sum of what came before
 * @p: the data, any alignment
 * @n: bytes; a multiple of 8, the rest is ignored
 *
 * Return: the new sum.
 */
static inline uint64_t sum_update(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;
	uint64_t w;

	for (; n >= sizeof(w); n -= sizeof(w), c += sizeof(w)) {
		memcpy(&w, c, sizeof(w));
		h ^= w;
		h = (h << 29 | h >> 35) * 0x9e3779b97f4a7c15ull;
	}
	return h;
}

#endif /* GUEST_TESTS_SUM_H */
