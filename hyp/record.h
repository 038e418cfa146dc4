/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records what the guest does to its frames into a trace (--record).
 *
 * vCPU and disks append to a bounded buffer; a thread of its own compresses and
 * writes.  Where that cannot keep up they wait: a trace with gaps is worth
 * nothing.  The order is the guest's because there is one vCPU.
 */
#ifndef HYP_RECORD_H
#define HYP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/util.h"

struct record; /* opaque */

/**
 * record_create() - create the file
 * @out:       set on success; caller owns, record_destroy()
 * @path:      overwritten
 * @nr_frames: of the guest: highest gfn + 1
 * @why:       set on failure
 *
 * Return: 0 or a negative errno.
 */
int record_create(struct record **out, const char *path, uint64_t nr_frames,
		  struct why *why);

/**
 * record_start() - start its thread
 * @rec:  recorder
 * @fail: called once, from that thread, if the file cannot be written; what
 *	  comes afterwards is dropped
 * @ctx:  first argument of @fail
 *
 * Return: 0 or a negative errno.
 */
int record_start(struct record *rec, void (*fail)(void *ctx, int err),
		 void *ctx);

/**
 * record_call() - a command of the slow path is done
 * @rec: NULL: nothing is recorded
 * @cmd: ESSA_CMD_*; it and the range are the guest's, checked here
 * @gfn: first frame
 * @nr:  frames
 * @ret: what the guest got for it
 *
 * An operation that the slow path does not have is recorded all the same: the
 * guest goes on to do it in place.
 * Context: vCPU thread, no lock held; waits for the disk of the trace if the
 * buffer is full.
 */
void record_call(struct record *rec, uint64_t cmd, uint64_t gfn, uint64_t nr,
		 int32_t ret);

/**
 * record_disk_write() - the guest writes to a disk
 * @rec:    NULL: nothing is recorded
 * @disk:   index
 * @sector: first one, in range
 * @nr:     sectors
 *
 * What a program in the guest has to say to the trace it writes to a disk: the
 * content stays there, the place in the order of things is here.
 * Context: as record_call(), from a disk's thread.
 */
void record_disk_write(struct record *rec, unsigned int disk, uint64_t sector,
		       uint64_t nr);

/**
 * record_finish() - write the rest, join the thread; nobody records any more
 * @rec: recorder, started
 * @nr:  set to the number of state operations
 *
 * Return: 0, or the errno of the first write that failed, also if @fail has
 * been called with it.
 */
int record_finish(struct record *rec, uint64_t *nr);

/** record_destroy() - free; accepts NULL */
void record_destroy(struct record *rec);

#endif /* HYP_RECORD_H */
