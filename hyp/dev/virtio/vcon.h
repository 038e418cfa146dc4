/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio console (virtio 1.2, section 5.3): hvc0 in Linux, between two
 * descriptors, and channels, each between a program in the guest and one on the
 * host: /dev/virtio-ports/NAME there, a listening socket here.
 *
 * Its thread reads only when the guest has room, and waits for whoever reads the
 * output as the guest waits for it: nothing is lost, and nothing is kept here.
 *
 * A connection lasts while both have the channel open.  Of the clients of a
 * socket one is served at a time, in the order in which they came; the guest is
 * told when one comes and when it goes.  When the guest closes the channel, the
 * client gets what the guest had written, then the end.  What a client wrote
 * before it left waits for the guest; what the guest wrote to a client that has
 * left is lost, as is what it had not read of one when it closed.
 */
#ifndef HYP_DEV_VIRTIO_VCON_H
#define HYP_DEV_VIRTIO_VCON_H

#include "hyp/dev/virtio/mmio.h"

/* Each needs two queues, and so do the console and the control of the ports. */
#define VCON_MAX_CHANNELS (VIRTIO_MAX_QUEUES / 2 - 2)

#define VCON_MAX_NAME 64u

struct vcon; /* opaque */

/** struct vcon_channel - one channel */
struct vcon_channel {
	const char *name; /* 1 to VCON_MAX_NAME characters; outlives the device */
	int listen_fd;	  /* non-blocking; not closed */
};

/** struct vcon_config - what there is to be */
struct vcon_config {
	bool console; /* hvc0 */
	int in_fd;    /* what it reads, until its end; not closed */
	int out_fd;   /* what it writes, until that fails; not closed */
	unsigned int nr_channels;
	struct vcon_channel channels[VCON_MAX_CHANNELS];
};

/** struct vcon_state - who has a channel open */
struct vcon_state {
	bool guest, client;
};

/**
 * vcon_create() - a device with a console, channels or both
 * @out: set on success; caller owns, vcon_destroy()
 * @mem: guest memory
 * @cfg: copied
 * @irq: interrupt
 *
 * Return: 0 or a negative errno.
 */
int vcon_create(struct vcon **out, struct mem *mem,
		const struct vcon_config *cfg, const struct virtio_irq *irq);

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

/** vcon_channel_state() - of channel @index, as its thread saw it last.  Any thread. */
struct vcon_state vcon_channel_state(const struct vcon *vcon,
				     unsigned int index);

#endif /* HYP_DEV_VIRTIO_VCON_H */
