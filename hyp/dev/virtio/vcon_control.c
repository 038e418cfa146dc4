// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages about ports (section 5.3.6.2).  What is to be said follows from what
 * the guest has been told already: no message waits anywhere, however slowly the
 * guest takes them.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <string.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/vcon_priv.h"

/* A guest that always has one more must not keep the thread. */
#define MAX_AT_ONCE 16u

struct message {
	struct virtio_console_control header;
	char name[VCON_MAX_NAME];
};

static void hear_port(struct vcon *c, struct vcon_port *p, unsigned int event,
		      bool value)
{
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		p->guest_ready = value;
		if (value)
			break;
		p->described = false;
		vcon_port_guest_closed(c, p);
		vcon_port_told(c, p, false);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		if (value && p->guest_ready)
			vcon_port_guest_open(p);
		else
			vcon_port_guest_closed(c, p);
		break;
	}
}

/* What is unknown is for a device that knows more. */
static void hear(struct vcon *c, const struct virtio_console_control *header)
{
	unsigned int event = le16toh(header->event);
	uint32_t id = le32toh(header->id);
	bool value = header->value != 0;

	if (event == VIRTIO_CONSOLE_DEVICE_READY)
		c->driver_ready = value;
	else if (id < c->nr_ports && c->ports[id].added)
		hear_port(c, &c->ports[id], event, value);
}

/* Return: bytes of the next message about @p, which then counts as told; or 0. */
static size_t say(struct vcon *c, struct vcon_port *p, struct message *m)
{
	unsigned int event, value = 1;
	size_t len = sizeof(m->header);

	if (!p->name && p->in_fd < 0)
		return 0; /* nobody */
	if (!p->added) {
		event = VIRTIO_CONSOLE_PORT_ADD;
		p->added = true;
	} else if (!p->guest_ready) {
		return 0;
	} else if (!p->described) {
		event = p->name ? VIRTIO_CONSOLE_PORT_NAME :
				  VIRTIO_CONSOLE_CONSOLE_PORT;
		if (p->name) {
			memcpy(m->name, p->name, strlen(p->name));
			len += strlen(p->name);
		}
		p->described = true;
	} else if (p->told_open != vcon_port_is_open(p)) {
		event = VIRTIO_CONSOLE_PORT_OPEN;
		value = !p->told_open;
		vcon_port_told(c, p, value);
	} else {
		return 0;
	}
	m->header = (struct virtio_console_control){
		.id = htole32(p->index),
		.event = htole16((uint16_t)event),
		.value = htole16((uint16_t)value),
	};
	return len;
}

/* Return: false if all has been said, or the guest has no room for it now. */
static bool say_next(struct vcon *c)
{
	const unsigned int queue = VCON_CONTROL + VCON_RECEIVE;
	struct message m;
	int64_t written;
	unsigned int i;
	size_t len = 0;

	if (!c->driver_ready || !vcon_take(c, queue, &c->to_guest))
		return false;
	for (i = 0; !len && i < c->nr_ports; i++)
		len = say(c, &c->ports[i], &m);
	if (!len)
		return false;
	written = chain_write(c->mem, &c->to_guest.chain, 0, &m, len);
	if (written != (int64_t)len) {
		vcon_fail(c, written < 0 ? (int)written : -EPROTO);
		return false;
	}
	vcon_give_back(c, queue, &c->to_guest, (uint32_t)len);
	return true;
}

/* Heard before it is given back: the guest goes on behind that. */
static bool hear_next(struct vcon *c)
{
	const unsigned int queue = VCON_CONTROL + VCON_TRANSMIT;
	struct virtio_console_control header;
	int64_t len;

	if (!vcon_take(c, queue, &c->from_guest))
		return false;
	len = chain_read(c->mem, &c->from_guest.chain, 0, &header,
			 sizeof(header));
	if (len != sizeof(header)) {
		vcon_fail(c, len < 0 ? (int)len : -EPROTO);
		return false;
	}
	hear(c, &header);
	vcon_give_back(c, queue, &c->from_guest, 0);
	return true;
}

bool vcon_control(struct vcon *c)
{
	unsigned int i;

	for (i = 0; i < MAX_AT_ONCE && hear_next(c); i++)
		;
	while (say_next(c))
		;
	return i == MAX_AT_ONCE;
}
