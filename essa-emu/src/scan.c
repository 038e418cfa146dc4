// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Scans of a state table; what they promise is in <essa/scan.h>. */
#include <essa/scan.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Usage, pending, zero content, busy: what decides about a nomination. */
#define MASK (ESSA_USAGE_MASK | ESSA_PENDING | ESSA_ZERO | ESSA_BUSY)

#define LANES 0x0101010101010101ull

/* One bit a byte, the lowest, to one bit a frame. */
static __u64 gather(__u64 lanes)
{
	return lanes * 0x0102040810204080ull >> 56;
}

static __u64 scan_words(const __u8 *states, __u64 first, __u64 end,
			struct essa_nominees *found)
{
	__u64 word, idle, unused = 0, volatiles = 0;
	unsigned int n;
	__u64 i;

	for (i = first; i < end; i += ESSA_SCAN_BLOCK) {
		for (n = 0; n < ESSA_SCAN_BLOCK; n += 8) {
			word = __atomic_load_n((const __u64 *)&states[i + n],
					       __ATOMIC_RELAXED);
			idle = ~(word >> 2 | word >> 4 | word >> 5) & LANES &
			       (word ^ word >> 1);
			/* Most words have neither. */
			if (!idle)
				continue;
			unused |= gather(idle & word) << n;
			volatiles |= gather(idle & ~word) << n;
		}
		if (unused | volatiles)
			break;
	}
	*found = (struct essa_nominees){ unused, volatiles };
	return i;
}

#ifdef __x86_64__
/*
 * Plain loads of bytes that others change: to TSan a race, to this a state that
 * was there at some time.
 */
#define RACY __attribute__((no_sanitize("thread")))

RACY static __u64 scan_sse2(const __u8 *states, __u64 first, __u64 end,
			    struct essa_nominees *found)
{
	const __m128i mask = _mm_set1_epi8(MASK);
	const __m128i is_unused = _mm_set1_epi8(ESSA_UNUSED);
	const __m128i is_volatile = _mm_set1_epi8(ESSA_VOLATILE);
	__m128i any, v[4];
	unsigned int n;
	__u64 i;

	*found = (struct essa_nominees){ 0 };
	for (i = first; i < end; i += ESSA_SCAN_BLOCK) {
		any = _mm_setzero_si128();
		for (n = 0; n < 4; n++) {
			v[n] = ((const __m128i *)&states[i])[n];
			v[n] = _mm_and_si128(v[n], mask);
			any = _mm_or_si128(
				any,
				_mm_or_si128(_mm_cmpeq_epi8(v[n], is_unused),
					     _mm_cmpeq_epi8(v[n],
							    is_volatile)));
		}
		if (!_mm_movemask_epi8(any))
			continue;
		for (n = 0; n < 4; n++) {
			__m128i u = _mm_cmpeq_epi8(v[n], is_unused);
			__m128i w = _mm_cmpeq_epi8(v[n], is_volatile);

			found->unused |= (__u64)_mm_movemask_epi8(u) << 16 * n;
			found->volatiles |= (__u64)_mm_movemask_epi8(w)
					    << 16 * n;
		}
		break;
	}
	return i;
}

__attribute__((target("avx2"))) static inline __u64 bits_of(__m256i low,
							    __m256i high)
{
	return (__u32)_mm256_movemask_epi8(low) |
	       (__u64)(__u32)_mm256_movemask_epi8(high) << 32;
}

__attribute__((target("avx2"))) RACY static __u64
scan_avx2(const __u8 *states, __u64 first, __u64 end,
	  struct essa_nominees *found)
{
	const __m256i mask = _mm256_set1_epi8(MASK);
	const __m256i is_unused = _mm256_set1_epi8(ESSA_UNUSED);
	const __m256i is_volatile = _mm256_set1_epi8(ESSA_VOLATILE);
	__m256i a, b, au, av, bu, bv, any;
	__u64 i;

	*found = (struct essa_nominees){ 0 };
	for (i = first; i < end; i += ESSA_SCAN_BLOCK) {
		a = ((const __m256i *)&states[i])[0];
		b = ((const __m256i *)&states[i])[1];
		a = _mm256_and_si256(a, mask);
		b = _mm256_and_si256(b, mask);
		au = _mm256_cmpeq_epi8(a, is_unused);
		bu = _mm256_cmpeq_epi8(b, is_unused);
		av = _mm256_cmpeq_epi8(a, is_volatile);
		bv = _mm256_cmpeq_epi8(b, is_volatile);
		any = _mm256_or_si256(_mm256_or_si256(au, bu),
				      _mm256_or_si256(av, bv));
		if (_mm256_testz_si256(any, any))
			continue;
		found->unused = bits_of(au, bu);
		found->volatiles = bits_of(av, bv);
		break;
	}
	return i;
}
#endif /* __x86_64__ */

unsigned int essa_scanners(struct essa_scanner out[ESSA_MAX_SCANNERS])
{
	unsigned int nr = 0;

	out[nr++] = (struct essa_scanner){ "8 bytes", scan_words };
#ifdef __x86_64__
	out[nr++] = (struct essa_scanner){ "SSE2", scan_sse2 };
	if (__builtin_cpu_supports("avx2"))
		out[nr++] = (struct essa_scanner){ "AVX2", scan_avx2 };
#endif
	return nr;
}

essa_scan_fn *essa_best_scanner(void)
{
	struct essa_scanner all[ESSA_MAX_SCANNERS];

	return all[essa_scanners(all) - 1].scan;
}
