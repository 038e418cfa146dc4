/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio entropy device (virtio 1.2, section 5.4), from the host's getrandom().
 *
 * Its thread writes to the guest's buffers; a guest that asks without end gets
 * ENTROPY_BYTES_PER_S and waits for the rest, on its own time.
 */
#ifndef HYP_DEV_VIRTIO_ENTROPY_H
#define HYP_DEV_VIRTIO_ENTROPY_H

#include "hyp/dev/virtio/mmio.h"

#define ENTROPY_REQUEST_BYTES 4096u	    /* most that one request gets */
#define ENTROPY_BYTES_PER_S   (256u * 1024) /* most that all of them get */

struct entropy; /* opaque */

/**
 * entropy_create() - an entropy device
 * @out: set on success; caller owns, entropy_destroy()
 * @mem: guest memory
 * @irq: interrupt
 *
 * Return: 0 or a negative errno.
 */
int entropy_create(struct entropy **out, struct mem *mem,
		   const struct virtio_irq *irq);

/** entropy_start() - start its thread. Return: 0 or a negative errno. */
int entropy_start(struct entropy *entropy);

/** entropy_stop() - join it; no vCPU runs. Return: 0 or -ETIMEDOUT. */
int entropy_stop(struct entropy *entropy, unsigned int timeout_ms);

/** entropy_destroy() - free; accepts NULL.  Guest memory still exists. */
void entropy_destroy(struct entropy *entropy);

/** entropy_transport() - to be put on the bus with virtio_mmio_bus_ops */
struct virtio_mmio *entropy_transport(struct entropy *entropy);

/** entropy_kick_fd() - eventfd that stands for a write to its notify register */
int entropy_kick_fd(const struct entropy *entropy);

/** entropy_bytes() - given to the guest so far.  Any thread. */
uint64_t entropy_bytes(const struct entropy *entropy);

#endif /* HYP_DEV_VIRTIO_ENTROPY_H */
