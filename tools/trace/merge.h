/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TOOLS_TRACE_MERGE_H
#define TOOLS_TRACE_MERGE_H

#include "essa-emu/trace/trace.h"

/**
 * trace_merge() - make a trace of a recording and the guest's samples
 * @raw:     what hyp run --record wrote
 * @samples: file descriptor of the disk that idlewatch wrote to, the second
 * @out:     file descriptor
 * @why:     on failure set to one static line
 *
 * Keeps the operations that changed something, with a check for Volatile and its
 * commit made one; puts in the uses that each sample found, where the guest wrote
 * the sample; and a write to all that the kernel had not declared free when it
 * enabled the interface.
 *
 * Return: 0 or a negative errno.
 */
int trace_merge(const struct trace *raw, int samples, int out,
		const char **why);

#endif /* TOOLS_TRACE_MERGE_H */
