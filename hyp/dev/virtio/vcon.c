// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device and its thread; vcon_port.c has what goes through a port,
 * vcon_control.c what is said of ports.
 */
#include "hyp/dev/virtio/vcon.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/vcon_priv.h"

void vcon_fail(struct vcon *c, int err)
{
	c->broken = true;
	if (err != -ECANCELED)
		virtio_mmio_fail(c->transport, "malformed request");
}

bool vcon_take(struct vcon *c, unsigned int queue, struct vcon_pending *p)
{
	struct vq *vq = virtio_mmio_queue(c->transport, queue);
	int ret;

	if (c->broken)
		return false;
	if (p->there)
		return true;
	if (!vq)
		return false;
	ret = vq_pop(vq, &p->chain);
	if (!ret) {
		vq_want_notify(vq, true);
		ret = vq_pop(vq, &p->chain);
	}
	if (ret < 0)
		vcon_fail(c, ret);
	p->there = ret > 0;
	p->at = 0;
	if (p->there)
		p->len = chain_bytes(&p->chain, queue % 2 == VCON_RECEIVE);
	return p->there;
}

void vcon_give_back(struct vcon *c, unsigned int queue, struct vcon_pending *p,
		    uint32_t written)
{
	struct vq *vq = virtio_mmio_queue(c->transport, queue);

	p->there = false;
	c->want_irq |= vq_push(vq, p->chain.head, written);
}

static void serve(struct vcon *c)
{
	struct pollfd fds[1 + 2 * VCON_MAX_PORTS] = {
		{ .fd = c->worker.kick_fd, .events = POLLIN },
	};
	bool work = worker_may_work(&c->worker), at_once = false;
	unsigned int i;

	c->multiport = work && virtio_mmio_has(c->transport,
					       VIRTIO_CONSOLE_F_MULTIPORT);
	if (c->multiport)
		at_once = vcon_control(c);
	for (i = 0; i < c->nr_ports; i++)
		at_once |= vcon_port_prepare(c, &c->ports[i], work,
					     &fds[1 + 2 * i]);
	/* Failures also have interrupted by now. */
	if (c->want_irq)
		virtio_mmio_interrupt(c->transport);
	c->want_irq = false;
	if (poll(fds, 1 + 2 * c->nr_ports, at_once ? 0 : -1) < 0)
		return;
	if (fds[0].revents)
		worker_ack(&c->worker);
	for (i = 0; i < c->nr_ports; i++)
		vcon_port_handle(c, &c->ports[i], &fds[1 + 2 * i]);
}

static void forget(struct vcon *c)
{
	unsigned int i;

	c->broken = c->driver_ready = false;
	c->to_guest.there = c->from_guest.there = false;
	for (i = 0; i < c->nr_ports; i++)
		vcon_port_reset(&c->ports[i]);
}

static void *vcon_thread(void *arg)
{
	struct vcon *c = arg;
	bool reset = false;

	while (worker_follow(&c->worker, true, &reset)) {
		if (reset)
			forget(c);
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
	const struct vcon *c = dev;
	/* No size is offered. */
	const struct virtio_console_config config = {
		.max_nr_ports = htole32(c->nr_ports),
	};

	memset(data, 0, len);
	if (offset < sizeof(config) && len <= sizeof(config) - offset)
		memcpy(data, (const char *)&config + offset, len);
}

static const struct virtio_ops vcon_ops = {
	.device_id = VIRTIO_ID_CONSOLE,
	.start = vcon_virtio_start,
	.stop = vcon_virtio_stop,
	.notify = vcon_virtio_notify,
	.config_read = vcon_config_read,
};

static int add_ports(struct vcon *c, const struct vcon_config *cfg)
{
	unsigned int i;

	c->ports[0] = (struct vcon_port){
		.listen_fd = -1,
		.in_fd = cfg->console ? cfg->in_fd : -1,
		.out_fd = cfg->console ? cfg->out_fd : -1,
		.in_ended = !cfg->console,
		.out_ended = !cfg->console,
	};
	c->nr_ports = 1;
	if (cfg->nr_channels > VCON_MAX_CHANNELS)
		return -EINVAL;
	for (i = 0; i < cfg->nr_channels; i++) {
		const struct vcon_channel *channel = &cfg->channels[i];

		if (!*channel->name || strlen(channel->name) > VCON_MAX_NAME)
			return -EINVAL;
		c->ports[c->nr_ports] = (struct vcon_port){
			.index = c->nr_ports,
			.name = channel->name,
			.listen_fd = channel->listen_fd,
			.in_fd = -1,
			.out_fd = -1,
		};
		c->nr_ports++;
	}
	return 0;
}

int vcon_create(struct vcon **out, struct mem *mem,
		const struct vcon_config *cfg, const struct virtio_irq *irq)
{
	uint64_t features =
		cfg->nr_channels ? 1ull << VIRTIO_CONSOLE_F_MULTIPORT : 0;
	struct vcon *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->mem = mem;
	err = worker_init(&c->worker);
	if (!err)
		err = add_ports(c, cfg);
	if (!err)
		err = virtio_mmio_create(&c->transport, mem, &vcon_ops, c,
					 features ? 2 * (c->nr_ports + 1) : 2,
					 features, irq);
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
	unsigned int i;

	if (!vcon)
		return;
	/* Clients; the console's descriptors are not ours. */
	for (i = 1; i < vcon->nr_ports; i++)
		if (vcon->ports[i].in_fd >= 0)
			close(vcon->ports[i].in_fd);
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

struct vcon_state vcon_channel_state(const struct vcon *vcon,
				     unsigned int index)
{
	const struct vcon_port *p = &vcon->ports[1 + index];

	return (struct vcon_state){
		__atomic_load_n(&p->shown_guest, __ATOMIC_RELAXED),
		__atomic_load_n(&p->shown_client, __ATOMIC_RELAXED),
	};
}
