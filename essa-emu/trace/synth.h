/* SPDX-License-Identifier: GPL-2.0-only */
/* Traces without a guest: what memknobs and its like do, from a seed. */
#ifndef ESSA_TRACE_SYNTH_H
#define ESSA_TRACE_SYNTH_H

#include "essa-emu/trace/trace.h"

/**
 * struct synth - anonymous memory under changing pressure
 * @seed:      the same one gives the same trace; not 0
 * @nr_frames: of the guest, at least SYNTH_MIN_FRAMES
 * @rounds:    how often the memory in use grows or shrinks to a new size
 *
 * Half of the rounds touch what is there with a Zipf distribution, half
 * sweep through it.
 */
struct synth {
	uint64_t seed;
	uint64_t nr_frames;
	unsigned int rounds;
};

#define SYNTH_MIN_FRAMES 1024u
#define SYNTH_MAX_ROUNDS 10000u

/**
 * trace_synth() - make such a trace
 * @out: set on success; caller owns, trace_free()
 * @s:	 what it is to be
 * @why: on failure set to one static line
 *
 * Return: 0 or a negative errno.
 */
int trace_synth(struct trace **out, const struct synth *s, const char **why);

#endif /* ESSA_TRACE_SYNTH_H */
