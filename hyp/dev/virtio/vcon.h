/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio console (virtio 1.2, section 5.3) with one port, hvc0 in Linux, between
 * two descriptors.
 *
 * Its thread reads only when the guest has room, and waits for whoever reads the
 * output as the guest waits for it: nothing is lost, and nothing is kept here.
 */
#ifndef HYP_DEV_VIRTIO_VCON_H
#define HYP_DEV_VIRTIO_VCON_H

#include "hyp/dev/virtio/mmio.h"

struct vcon; /* opaque */

/**
 * vcon_create() - a console
 * @out:    set on success; caller owns, vcon_destroy()
 * @mem:    guest memory
 * @in_fd:  what it reads, until its end; not closed
 * @out_fd: what it writes, until that fails; not closed
 * @irq:    interrupt
 *
 * Return: 0 or a negative errno.
 */
int vcon_create(struct vcon **out, struct mem *mem, int in_fd, int out_fd,
		const struct virtio_irq *irq);

/** vcon_start() - start its thread. Return: 0 or a negative errno. */
int vcon_start(struct vcon *vcon);

/** vcon_stop() - join it; no vCPU runs. Return: 0 or -ETIMEDOUT. */
int vcon_stop(struct vcon *vcon, unsigned int timeout_ms);

/** vcon_destroy() - free; accepts NULL.  Guest memory still exists. */
void vcon_destroy(struct vcon *vcon);

/** vcon_transport() - to be put on the bus with virtio_mmio_bus_ops */
struct virtio_mmio *vcon_transport(struct vcon *vcon);

/** vcon_kick_fd() - eventfd that stands for a write to its notify register */
int vcon_kick_fd(const struct vcon *vcon);

#endif /* HYP_DEV_VIRTIO_VCON_H */
