/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio over MMIO, version 2 (virtio 1.2, section 4.2): registers, status
 * machine and interrupt of a device with a few queues.
 *
 * Threads: registers are written by vCPU threads under @lock; the queues are
 * the device thread's from ops->start() to the return of ops->stop().
 */
#ifndef HYP_DEV_VIRTIO_MMIO_H
#define HYP_DEV_VIRTIO_MMIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hyp/dev/bus.h"
#include "hyp/dev/virtio/queue.h"
#include "hyp/util.h"

struct mem;

/* The rings of each may pin six frames. */
#define VIRTIO_MAX_QUEUES 20u

/** struct virtio_ops - the device behind the transport */
struct virtio_ops {
	uint32_t device_id;
	/* The driver is ready: begin to use the queues.  @lock is held. */
	void (*start)(void *dev);
	/*
	 * Finish all requests and touch the queues no more; returns when that
	 * is so.  @lock is not held: finishing a request takes it.
	 */
	void (*stop)(void *dev);
	/* There may be requests in any queue.  May come when not started. */
	void (*notify)(void *dev);
	/* @len bytes at @offset, which may lie behind the end: zeros then. */
	void (*config_read)(void *dev, uint64_t offset, void *data,
			    unsigned int len);
	/* Likewise; NULL: the configuration is read-only.  Any vCPU thread. */
	void (*config_write)(void *dev, uint64_t offset, const void *data,
			     unsigned int len);
	/* The driver begins anew; NULL: nothing to do.  @lock is held. */
	void (*reset)(void *dev);
};

/** struct virtio_irq - how to raise the device's interrupt */
struct virtio_irq {
	void (*set)(void *ctx, unsigned int irq, bool level);
	void *ctx;
	unsigned int irq;
};

struct virtio_mmio; /* opaque */

extern const struct bus_ops virtio_mmio_bus_ops;

/**
 * virtio_mmio_create() - a device in reset
 * @out:      set on success; caller owns, virtio_mmio_destroy()
 * @mem:      guest memory
 * @ops:      device
 * @dev:      first argument of @ops
 * @nr_queues: 1 to VIRTIO_MAX_QUEUES
 * @features: beside VIRTIO_F_VERSION_1 and those of the rings
 * @irq:      copied
 *
 * Return: 0 or -ENOMEM.
 */
int virtio_mmio_create(struct virtio_mmio **out, struct mem *mem,
		       const struct virtio_ops *ops, void *dev,
		       unsigned int nr_queues, uint64_t features,
		       const struct virtio_irq *irq);

/**
 * virtio_mmio_destroy() - free; accepts NULL
 * The device thread has ended, no vCPU runs, mem still exists.
 */
void virtio_mmio_destroy(struct virtio_mmio *v);

/**
 * virtio_mmio_queue() - for the device thread, between start and stop
 * @v:     device
 * @index: of the queue, less than there are
 *
 * At least one of a started device's queues is there.
 * Return: the queue, or NULL if the driver has not set it up.
 */
struct vq *virtio_mmio_queue(struct virtio_mmio *v, unsigned int index);

/**
 * virtio_mmio_has() - has the driver accepted a feature?
 * For the device thread, between start and stop: it does not change there.
 */
bool virtio_mmio_has(const struct virtio_mmio *v, unsigned int feature);

/** virtio_mmio_interrupt() - used buffers are there.  Any thread, no lock. */
void virtio_mmio_interrupt(struct virtio_mmio *v);

/** virtio_mmio_config_changed() - tell the driver.  Any thread, no lock. */
void virtio_mmio_config_changed(struct virtio_mmio *v);

/**
 * virtio_mmio_fail() - the guest broke the rules: DEVICE_NEEDS_RESET
 * @v:    device; nothing happens in its queue until it is reset
 * @what: for the log
 */
void virtio_mmio_fail(struct virtio_mmio *v, const char *what);

#endif /* HYP_DEV_VIRTIO_MMIO_H */
