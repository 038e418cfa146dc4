/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio block device (virtio 1.2, section 5.2) on a file, through io_uring.
 *
 * Each disk has a thread, which alone touches the queues, the ring and the
 * requests.  Data goes between file and guest memory without a copy; the
 * guest's buffers are pinned from submission to completion.
 *
 * Several queues are for the guest, whose processors then do not wait for each
 * other's lock.  One thread serves all of them: over MMIO they have one interrupt
 * and one notification anyway, what io_uring does is in the kernel, and the memory
 * that requests may pin is one budget.
 */
#ifndef HYP_DEV_VIRTIO_BLK_H
#define HYP_DEV_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/dev/bus.h"
#include "hyp/dev/virtio/mmio.h"
#include "hyp/util.h"

#define BLK_MAX_QUEUES 16u

struct blk; /* opaque */
struct record;

/** struct blk_stats - since blk_create() */
struct blk_stats {
	uint64_t reads, writes, flushes, discards, zeroes, errors;
	uint64_t read_bytes, write_bytes;
};

/**
 * blk_create() - open an image
 * @out:       set on success; caller owns, blk_destroy()
 * @path:      regular file or block device, a multiple of 512 bytes long
 * @read_only: as it says
 * @nr_queues: 1 to BLK_MAX_QUEUES; the guest may use fewer
 * @mem:       guest memory
 * @irq:       interrupt
 * @why:       set on failure
 *
 * Locks the file, so that no two guests write to it.
 * Return: 0 or a negative errno.
 */
int blk_create(struct blk **out, const char *path, bool read_only,
	       unsigned int nr_queues, struct mem *mem,
	       const struct virtio_irq *irq, struct why *why);

/**
 * blk_record_writes() - tell a recorder of each write
 * @blk:    not started
 * @record: outlives @blk's thread
 * @index:  of the disk
 */
void blk_record_writes(struct blk *blk, struct record *record,
		       unsigned int index);

/**
 * blk_set_serial() - what the guest finds as its serial number
 * @blk:    not started
 * @serial: the first 20 characters count
 */
void blk_set_serial(struct blk *blk, const char *serial);

/** blk_start() - start its thread. Return: 0 or a negative errno. */
int blk_start(struct blk *blk);

/**
 * blk_stop() - finish what is under way, join the thread
 * @blk:        no vCPU runs
 * @timeout_ms: how long that may take
 *
 * Return: 0 or -ETIMEDOUT.
 */
int blk_stop(struct blk *blk, unsigned int timeout_ms);

/** blk_destroy() - free; accepts NULL.  Guest memory still exists. */
void blk_destroy(struct blk *blk);

/** blk_transport() - to be put on the bus with virtio_mmio_bus_ops */
struct virtio_mmio *blk_transport(struct blk *blk);

/** blk_kick_fd() - eventfd that stands for a write to its notify register */
int blk_kick_fd(const struct blk *blk);

/** blk_add_stats() - add the counters of @blk to @sum.  Any thread. */
void blk_add_stats(const struct blk *blk, struct blk_stats *sum);

#endif /* HYP_DEV_VIRTIO_BLK_H */
