/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio memory balloon (virtio 1.2, section 5.5): inflate and deflate,
 * statistics, deflate on out-of-memory, free page reporting.
 *
 * Frames that the guest puts into the balloon or reports as free lose memory
 * and swap slots at once (mem_give_up()), before the request is returned; a
 * frame that comes out of the balloon reads as zeros and gets memory when it
 * is touched, so deflating is bookkeeping of the guest's.  A guest that lies
 * loses its own data: with frames in use, or with a page given up twice.
 *
 * With page hinting: Linux allocates what goes into the balloon, so it is
 * Stable, and reports what is free, so that is Unused; neither changes state
 * while the host has it.  See mem_give_up() for what else it may be.
 *
 * Free page hinting (VIRTIO_BALLOON_F_FREE_PAGE_HINT) is for migration only
 * and not offered.
 */
#ifndef HYP_DEV_VIRTIO_BALLOON_H
#define HYP_DEV_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/dev/virtio/mmio.h"

/* Tags of Linux 6.12, in the order of their numbers (virtio_balloon.h). */
#define BALLOON_NR_STATS 16u

struct balloon; /* opaque */

extern const char *const balloon_stat_names[BALLOON_NR_STATS];

/**
 * struct balloon_state - a snapshot, all from the guest but for the target
 * @target_bytes:  what the host wants in the balloon
 * @actual_bytes:  what the guest says it has there
 * @inflated:      frames put into it so far, each time
 * @deflated:      frames taken out of it so far
 * @reported:      frames reported as free so far, each time
 * @stats:         by tag; amounts in bytes, others are counts
 * @stats_valid:   bit i: the guest has sent tag i
 * @stats_ms:      when they came, on now_ms()'s clock; 0: never
 */
struct balloon_state {
	uint64_t target_bytes, actual_bytes;
	uint64_t inflated, deflated, reported;
	uint64_t stats[BALLOON_NR_STATS];
	uint32_t stats_valid;
	uint64_t stats_ms;
};

/**
 * balloon_create() - a balloon
 * @out:       set on success; caller owns, balloon_destroy()
 * @mem:       guest memory
 * @max_bytes: largest target: the size of guest memory
 * @irq:       interrupt
 *
 * Return: 0 or a negative errno.
 */
int balloon_create(struct balloon **out, struct mem *mem, uint64_t max_bytes,
		   const struct virtio_irq *irq);

/**
 * balloon_on_change() - be told when the guest says that it has more or less there
 * @fn:  any vCPU's thread, with a lock of the transport held: must not block nor
 *	 call back
 * @ctx: its argument
 *
 * Before a guest runs.
 */
void balloon_on_change(struct balloon *balloon, void (*fn)(void *ctx),
		       void *ctx);

/** balloon_start() - start its thread. Return: 0 or a negative errno. */
int balloon_start(struct balloon *balloon);

/** balloon_stop() - join it; no vCPU runs. Return: 0 or -ETIMEDOUT. */
int balloon_stop(struct balloon *balloon, unsigned int timeout_ms);

/** balloon_destroy() - free; accepts NULL.  Guest memory still exists. */
void balloon_destroy(struct balloon *balloon);

/** balloon_transport() - to be put on the bus with virtio_mmio_bus_ops */
struct virtio_mmio *balloon_transport(struct balloon *balloon);

/** balloon_kick_fd() - eventfd that stands for a write to its notify register */
int balloon_kick_fd(const struct balloon *balloon);

/* What follows may be called by any thread, and does not wait. */

/**
 * balloon_set_target() - how much the guest is to give up
 * @balloon: balloon; its guest follows as fast as it can, if it has a driver
 * @bytes:   multiple of 4 KiB
 *
 * Return: 0 or -EINVAL.
 */
int balloon_set_target(struct balloon *balloon, uint64_t bytes);

/**
 * balloon_ask_stats() - have the guest send statistics; returns at once
 * Return: 0, or -EAGAIN if its driver offers none, or has been asked already.
 */
int balloon_ask_stats(struct balloon *balloon);

/** balloon_stats_every() - ask every @ms milliseconds from now; 0: never */
void balloon_stats_every(struct balloon *balloon, unsigned int ms);

/** balloon_get() - what is known now */
void balloon_get(struct balloon *balloon, struct balloon_state *out);

#endif /* HYP_DEV_VIRTIO_BALLOON_H */
