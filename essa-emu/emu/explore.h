/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Schedulers for the step machines of emu.h: one that goes through every
 * interleaving of short programs, one that runs long random ones.
 */
#ifndef ESSA_EMU_EXPLORE_H
#define ESSA_EMU_EXPLORE_H

#include <stdio.h>

#include "essa-emu/emu/emu.h"

#define EMU_NR_CPUS   3 /* two of the guest, then the host */
#define EMU_HOST      2
#define EMU_NR_FRAMES 2
#define EMU_MAX_DEPTH 400

/**
 * struct emu_case - what runs against what
 * @guest:   programs of the two guest CPUs
 * @host:    program of the host
 * @start:   how the frames begin; all programs begin with the first one
 * @broken:  enum emu_broken
 * @lenient: see struct emu_mem
 * @second:  the frame that the second guest CPU works on
 * @hostile: the guest may scribble on the byte of the first frame
 * @scribble: see struct emu_mem
 */
struct emu_case {
	unsigned int guest[2];
	unsigned int host;
	enum emu_start start[EMU_NR_FRAMES];
	uint32_t broken;
	bool lenient;
	unsigned int second;
	bool hostile;
	uint8_t scribble;
};

/**
 * struct emu_result - what came of it
 * @why:       NULL, or the invariant that broke
 * @frame:     where
 * @states:    distinct states seen
 * @schedules: interleavings that they stand for
 * @discards:  discards committed, over all states
 * @depth:     length of @schedule
 * @schedule:  which cpu took each step on the way to the failure
 */
struct emu_result {
	const char *why;
	unsigned int frame;
	uint64_t states;
	double schedules;
	uint64_t discards;
	unsigned int depth;
	uint8_t schedule[EMU_MAX_DEPTH];
};

/**
 * emu_explore() - run a case in every order that its steps can take
 *
 * States that were seen before are not followed again.  They are known by a
 * hash of 64 bits; a case has a few thousand, so that two of them share one in
 * about one run of 10^11.
 *
 * A state that follows itself is a failure: somebody could go round for ever.
 */
void emu_explore(const struct emu_case *ec, struct emu_result *res);

/** emu_print() - the schedule of a failure, a line a step, as TAP comments */
void emu_print(const struct emu_case *ec, const struct emu_result *res,
	       FILE *out);

/**
 * struct emu_random - a long random schedule, all of it a function of @seed
 * @seed:    not 0
 * @steps:   how long
 * @broken:  enum emu_broken
 * @lenient: see struct emu_mem
 * @tail:    print the last so many steps before step @until; 0: none
 * @out:     where
 *
 * Results: @why, @frame and @step of a failure; @hash of the whole run;
 * @transitions, @discards, @seen, @waits as in struct emu.
 */
struct emu_random {
	uint64_t seed, steps;
	uint32_t broken;
	bool lenient;
	uint64_t tail, until;
	FILE *out;

	const char *why;
	unsigned int frame;
	uint64_t step, hash;
	uint64_t transitions, discards, seen, waits;
};

void emu_run_random(struct emu_random *run);

#endif /* ESSA_EMU_EXPLORE_H */
