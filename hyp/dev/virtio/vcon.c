// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/vcon.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/worker.h"
#include "hyp/mem/mem.h"

#define QUEUE_RECEIVE  0u
#define QUEUE_TRANSMIT 1u
/* POLLOUT on a pipe promises this much (PIPE_BUF) without blocking. */
#define CHUNK 4096u

/* A request of the guest's that takes more than one step. */
struct pending {
	bool there;
	struct vq_chain chain;
	uint64_t at, len; /* bytes done, and to be done */
};

struct vcon {
	struct mem *mem;
	struct virtio_mmio *transport;
	struct worker worker;
	int in_fd, out_fd;

	/* The thread's own. */
	bool broken; /* the guest broke the rules */
	bool want_irq;
	bool in_ended, out_ended;
	struct pending receive, transmit;
};

static void fail(struct vcon *c, int err)
{
	if (err == -ECANCELED)
		return;
	c->broken = true;
	virtio_mmio_fail(c->transport, "malformed request");
}

/* Return: false if there is none now; the guest notifies when there is. */
static bool take(struct vcon *c, unsigned int queue, struct pending *p)
{
	struct vq *vq = virtio_mmio_queue(c->transport, queue);
	int ret;

	if (p->there)
		return true;
	if (!vq || c->broken)
		return false;
	ret = vq_pop(vq, &p->chain);
	if (!ret) {
		vq_want_notify(vq, true);
		ret = vq_pop(vq, &p->chain);
	}
	if (ret < 0)
		fail(c, ret);
	p->there = ret > 0;
	p->at = 0;
	if (p->there)
		p->len = chain_bytes(&p->chain, queue == QUEUE_RECEIVE);
	return p->there;
}

static void give_back(struct vcon *c, unsigned int queue, struct pending *p,
		      uint32_t written)
{
	struct vq *vq = virtio_mmio_queue(c->transport, queue);

	p->there = false;
	c->want_irq |= vq_push(vq, p->chain.head, written);
}

/* One chunk, which does not block.  An output that is gone swallows the rest. */
static void transmit(struct vcon *c)
{
	struct pending *p = &c->transmit;
	uint8_t buf[CHUNK];
	int64_t len;
	ssize_t n;

	len = chain_read(c->mem, &p->chain, p->at, buf, sizeof(buf));
	if (len < 0) {
		p->there = false;
		fail(c, (int)len);
		return;
	}
	n = c->out_ended ? len : write(c->out_fd, buf, (size_t)len);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		c->out_ended = true;
	if (n > 0)
		p->at += (uint64_t)n;
	if (p->at >= p->len)
		give_back(c, QUEUE_TRANSMIT, p, 0);
}

static void receive(struct vcon *c)
{
	struct pending *p = &c->receive;
	uint8_t buf[CHUNK];
	int64_t written;
	ssize_t n;

	n = read(c->in_fd, buf, p->len < sizeof(buf) ? p->len : sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->in_ended = true;
		return;
	}
	written = chain_write(c->mem, &p->chain, 0, buf, (size_t)n);
	if (written < 0) {
		p->there = false;
		fail(c, (int)written);
		return;
	}
	give_back(c, QUEUE_RECEIVE, p, (uint32_t)written);
}

/* A buffer without room would be given back for ever. */
static bool can_receive(struct vcon *c)
{
	if (c->in_ended || !take(c, QUEUE_RECEIVE, &c->receive))
		return false;
	if (c->receive.len)
		return true;
	c->receive.there = false;
	fail(c, -EPROTO);
	return false;
}

static void serve(struct vcon *c)
{
	struct pollfd fds[] = {
		{ .fd = c->worker.kick_fd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
		{ .fd = -1, .events = POLLOUT },
	};
	bool work = worker_may_work(&c->worker);

	if (work && can_receive(c))
		fds[1].fd = c->in_fd;
	if (work && take(c, QUEUE_TRANSMIT, &c->transmit))
		fds[2].fd = c->out_fd;
	/* Failures also have interrupted by now. */
	if (c->want_irq)
		virtio_mmio_interrupt(c->transport);
	c->want_irq = false;
	if (fds[2].fd >= 0 && c->out_ended)
		fds[2].revents = POLLOUT;
	else if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
		return;
	if (fds[0].revents)
		worker_ack(&c->worker);
	if (fds[1].revents)
		receive(c);
	if (fds[2].revents)
		transmit(c);
}

static void *vcon_thread(void *arg)
{
	struct vcon *c = arg;
	bool reset = false;

	while (worker_follow(&c->worker, true, &reset)) {
		if (reset)
			c->broken = c->receive.there = c->transmit.there =
				false;
		reset = false;
		serve(c);
	}
	return NULL;
}

static void vcon_virtio_start(void *dev)
{
	worker_run(&((struct vcon *)dev)->worker);
}

static void vcon_virtio_stop(void *dev)
{
	worker_pause(&((struct vcon *)dev)->worker);
}

static void vcon_virtio_notify(void *dev)
{
	worker_kick(&((struct vcon *)dev)->worker);
}

static void vcon_config_read(void *dev, uint64_t offset, void *data,
			     unsigned int len)
{
	(void)dev;
	(void)offset;
	memset(data, 0, len); /* neither size nor more ports are offered */
}

static const struct virtio_ops vcon_ops = {
	.device_id = VIRTIO_ID_CONSOLE,
	.start = vcon_virtio_start,
	.stop = vcon_virtio_stop,
	.notify = vcon_virtio_notify,
	.config_read = vcon_config_read,
};

int vcon_create(struct vcon **out, struct mem *mem, int in_fd, int out_fd,
		const struct virtio_irq *irq)
{
	struct vcon *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->mem = mem;
	c->in_fd = in_fd;
	c->out_fd = out_fd;
	err = worker_init(&c->worker);
	if (!err)
		err = virtio_mmio_create(&c->transport, mem, &vcon_ops, c, 2, 0,
					 irq);
	if (err) {
		vcon_destroy(c);
		return err;
	}
	*out = c;
	return 0;
}

int vcon_start(struct vcon *vcon)
{
	return worker_start(&vcon->worker, "vcon", vcon_thread, vcon);
}

int vcon_stop(struct vcon *vcon, unsigned int timeout_ms)
{
	return worker_stop(&vcon->worker, timeout_ms);
}

void vcon_destroy(struct vcon *vcon)
{
	if (!vcon)
		return;
	virtio_mmio_destroy(vcon->transport);
	worker_fini(&vcon->worker);
	free(vcon);
}

struct virtio_mmio *vcon_transport(struct vcon *vcon)
{
	return vcon->transport;
}

int vcon_kick_fd(const struct vcon *vcon)
{
	return vcon->worker.kick_fd;
}
