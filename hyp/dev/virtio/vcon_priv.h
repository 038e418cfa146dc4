/* SPDX-License-Identifier: GPL-2.0-only */
/* What vcon.c, vcon_port.c and vcon_control.c share: the device and its ports. */
#ifndef HYP_DEV_VIRTIO_VCON_PRIV_H
#define HYP_DEV_VIRTIO_VCON_PRIV_H

#include <poll.h>

#include "hyp/dev/virtio/vcon.h"
#include "hyp/dev/virtio/worker.h"

/* Queues: two of the first port, two for control, two of each further port. */
#define VCON_RECEIVE   0u
#define VCON_TRANSMIT  1u
#define VCON_CONTROL   2u /* added to one of these two */
#define VCON_MAX_PORTS (1 + VCON_MAX_CHANNELS)

/* A request of the guest's that takes more than one step. */
struct vcon_pending {
	bool there;
	struct vq_chain chain;
	uint64_t at, len; /* bytes done, and to be done */
};

/*
 * Port 0 is the console, or nobody if there is none; the others are channels.
 * All of it is the thread's own, but @shown.
 */
struct vcon_port {
	unsigned int index;
	const char *name; /* NULL: no channel */
	int listen_fd;	  /* -1: no channel */
	int in_fd, out_fd;
	/* There is no more to read; writing fails. */
	bool in_ended, out_ended;
	bool hung_up; /* the client has gone, but for what it has written */
	bool deaf;    /* no more clients: out of descriptors or memory */
	/*
	 * The guest has closed, and before that had made @nr_last requests that
	 * the client is still to get.
	 */
	bool leaving;
	unsigned int nr_last;
	/* Of a client that left: this many requests are for nobody. */
	bool to_nobody; /* all, until the guest has been told */
	unsigned int nr_lost;

	/* What the guest has been told, and what it said. */
	bool added, described, told_open;
	bool guest_ready, guest_open;
	struct vcon_pending receive, transmit;

	bool shown_guest, shown_client; /* atomic */
};

struct vcon {
	struct mem *mem;
	struct virtio_mmio *transport;
	struct worker worker;
	unsigned int nr_ports;

	/* The thread's own. */
	bool broken; /* the guest broke the rules */
	bool want_irq;
	bool multiport;	   /* agreed on; known while the device is started */
	bool driver_ready; /* for messages about ports */
	struct vcon_pending to_guest, from_guest;
	struct vcon_port ports[VCON_MAX_PORTS];
};

/* All functions are for the thread; queues are used only when it may. */

/** vcon_fail() - @err of the queue or of the guest's memory: it broke the rules */
void vcon_fail(struct vcon *c, int err);

/** vcon_queue() - queue of @port for VCON_RECEIVE or VCON_TRANSMIT */
static inline unsigned int vcon_queue(const struct vcon_port *port,
				      unsigned int direction)
{
	return (port->index ? VCON_CONTROL + 2 * port->index : 0) + direction;
}

/**
 * vcon_take() - have a request in @p
 * @c:     device
 * @queue: of the request
 * @p:     may have one already
 *
 * Return: false if there is none now; the guest notifies when there is.
 */
bool vcon_take(struct vcon *c, unsigned int queue, struct vcon_pending *p);

/** vcon_give_back() - the request in @p is done, with @written bytes */
void vcon_give_back(struct vcon *c, unsigned int queue, struct vcon_pending *p,
		    uint32_t written);

/**
 * vcon_control() - hear what the guest says of ports, tell it what is new
 *
 * Return: false if there is nothing more to hear now.
 */
bool vcon_control(struct vcon *c);

/**
 * vcon_port_prepare() - do what needs no waiting, say what is to be waited for
 * @c:    device
 * @p:    port
 * @work: the queues may be used
 * @fds:  two, filled in
 *
 * Return: true if there is more to do at once.
 */
bool vcon_port_prepare(struct vcon *c, struct vcon_port *p, bool work,
		       struct pollfd fds[2]);

/** vcon_port_handle() - what poll() has found */
void vcon_port_handle(struct vcon *c, struct vcon_port *p,
		      const struct pollfd fds[2]);

/** vcon_port_is_open() - on the host's side */
bool vcon_port_is_open(const struct vcon_port *p);

/** vcon_port_guest_open(), vcon_port_guest_closed() - the guest says so */
void vcon_port_guest_open(struct vcon_port *p);
void vcon_port_guest_closed(struct vcon *c, struct vcon_port *p);

/** vcon_port_told() - the guest has been told that the port is open, or closed */
void vcon_port_told(struct vcon *c, struct vcon_port *p, bool open);

/** vcon_port_reset() - the driver begins anew, with empty queues */
void vcon_port_reset(struct vcon_port *p);

#endif /* HYP_DEV_VIRTIO_VCON_PRIV_H */
