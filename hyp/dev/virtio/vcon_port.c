// SPDX-License-Identifier: GPL-2.0-only
/* What goes through a port, and who is at its other end. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/vcon_priv.h"

/* POLLOUT on a pipe promises this much (PIPE_BUF) without blocking. */
#define CHUNK 4096u

static bool has_client(const struct vcon_port *p)
{
	return p->name && p->in_fd >= 0;
}

bool vcon_port_is_open(const struct vcon_port *p)
{
	return p->in_fd >= 0;
}

/* Requests that the guest has made and that are not done. */
static unsigned int nr_waiting(struct vcon *c, const struct vcon_port *p)
{
	const struct vq *vq =
		virtio_mmio_queue(c->transport, vcon_queue(p, VCON_TRANSMIT));

	return (vq ? vq_pending(vq) : 0) + p->transmit.there;
}

static void disconnect(struct vcon_port *p)
{
	close(p->in_fd);
	p->in_fd = p->out_fd = -1;
	p->in_ended = p->out_ended = p->hung_up = p->leaving = false;
	p->nr_last = 0;
}

void vcon_port_guest_open(struct vcon_port *p)
{
	p->guest_open = true;
}

void vcon_port_guest_closed(struct vcon *c, struct vcon_port *p)
{
	if (!p->guest_open)
		return;
	p->guest_open = false;
	if (!has_client(p))
		return;
	p->leaving = true;
	p->nr_last = p->hung_up ? 0 : nr_waiting(c, p);
	if (!p->nr_last)
		disconnect(p);
}

void vcon_port_told(struct vcon *c, struct vcon_port *p, bool open)
{
	p->told_open = open;
	if (open || !p->to_nobody)
		return;
	/* What the guest writes from here on is for the next one. */
	p->nr_lost = nr_waiting(c, p);
	p->to_nobody = false;
}

void vcon_port_reset(struct vcon_port *p)
{
	if ((p->guest_open || p->leaving) && has_client(p))
		disconnect(p);
	p->receive.there = p->transmit.there = false;
	p->added = p->described = p->told_open = false;
	p->guest_ready = p->guest_open = false;
	p->to_nobody = false;
	p->nr_lost = 0;
}

static void accept_client(struct vcon_port *p)
{
	int fd =
		accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		p->in_fd = p->out_fd = fd;
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* It would be reported again and again. */
	log_line("channel %s is closed: %s", p->name, strerror(errno));
	p->deaf = true;
}

/* An error, that it did not read to the end, is reported once, before the data. */
static bool is_all_read(const struct vcon_port *p)
{
	ssize_t n;
	char c;

	do {
		n = recv(p->in_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n <= 0;
}

/* The client is gone; what it has written stays until the guest has taken it. */
static void hang_up(struct vcon_port *p)
{
	p->hung_up = true;
	p->out_ended = true;
	if (p->leaving)
		p->nr_lost = p->nr_last;
	else
		p->to_nobody = p->told_open;
	if (p->leaving || is_all_read(p))
		disconnect(p);
}

/* Of the queue as of memory: an output that is gone swallows everything. */
static bool is_lost(const struct vcon_port *p)
{
	return p->out_ended || p->to_nobody || p->nr_lost;
}

static void transmitted(struct vcon *c, struct vcon_port *p)
{
	vcon_give_back(c, vcon_queue(p, VCON_TRANSMIT), &p->transmit, 0);
	if (p->nr_lost)
		p->nr_lost--;
	if (p->nr_last && !--p->nr_last)
		disconnect(p);
}

/* One chunk, which does not block. */
static void transmit(struct vcon *c, struct vcon_port *p)
{
	struct vcon_pending *t = &p->transmit;
	uint8_t buf[CHUNK];
	int64_t len;
	ssize_t n;

	len = chain_read(c->mem, &t->chain, t->at, buf, sizeof(buf));
	if (len < 0) {
		t->there = false;
		vcon_fail(c, (int)len);
		return;
	}
	n = write(p->out_fd, buf, (size_t)len);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		p->out_ended = true;
	if (n > 0)
		t->at += (uint64_t)n;
	if (t->at >= t->len)
		transmitted(c, p);
}

static void receive(struct vcon *c, struct vcon_port *p)
{
	struct vcon_pending *r = &p->receive;
	uint8_t buf[CHUNK];
	int64_t written;
	ssize_t n;

	n = read(p->in_fd, buf, r->len < sizeof(buf) ? r->len : sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
		return;
	if (n <= 0) {
		p->in_ended = true;
		if (p->hung_up)
			disconnect(p);
		return;
	}
	written = chain_write(c->mem, &r->chain, 0, buf, (size_t)n);
	if (written < 0) {
		r->there = false;
		vcon_fail(c, (int)written);
		return;
	}
	vcon_give_back(c, vcon_queue(p, VCON_RECEIVE), r, (uint32_t)written);
	if (p->hung_up && is_all_read(p))
		disconnect(p); /* whether or not there is room for more */
}

/* Linux drops what comes to a port that is not open, the console's too. */
static bool guest_listens(const struct vcon *c, const struct vcon_port *p)
{
	return !c->multiport || (p->guest_open && !p->leaving);
}

/* A buffer without room would be given back for ever. */
static bool can_receive(struct vcon *c, struct vcon_port *p)
{
	if (p->in_fd < 0 || p->in_ended || !guest_listens(c, p) ||
	    !vcon_take(c, vcon_queue(p, VCON_RECEIVE), &p->receive))
		return false;
	if (p->receive.len)
		return true;
	p->receive.there = false;
	vcon_fail(c, -EPROTO);
	return false;
}

static bool can_transmit(struct vcon *c, struct vcon_port *p)
{
	return (p->out_fd >= 0 || is_lost(p)) &&
	       vcon_take(c, vcon_queue(p, VCON_TRANSMIT), &p->transmit);
}

static void show(struct vcon_port *p)
{
	__atomic_store_n(&p->shown_guest, p->guest_open, __ATOMIC_RELAXED);
	__atomic_store_n(&p->shown_client, has_client(p), __ATOMIC_RELAXED);
}

bool vcon_port_prepare(struct vcon *c, struct vcon_port *p, bool work,
		       struct pollfd fds[2])
{
	struct pollfd *in = &fds[0], *out = &fds[1];
	bool at_once = false;

	*in = *out = (struct pollfd){ .fd = -1 };
	work = work && (!p->index || c->multiport);
	if (work && can_transmit(c, p)) {
		if (is_lost(p)) {
			transmitted(c, p);
			at_once = true;
		} else {
			*out = (struct pollfd){ p->out_fd, POLLOUT, 0 };
		}
	}
	if (work && can_receive(c, p)) {
		if (p->hung_up) {
			receive(c, p);
			at_once = true;
		} else {
			*in = (struct pollfd){ p->in_fd, POLLIN, 0 };
		}
	} else if (has_client(p) && !p->hung_up) {
		in->fd = p->in_fd; /* to see it leave */
	}
	/* The next one comes when the guest knows that this one has gone. */
	if (p->name && p->in_fd < 0 && !p->told_open && !p->deaf)
		*in = (struct pollfd){ p->listen_fd, POLLIN, 0 };
	show(p);
	return at_once;
}

void vcon_port_handle(struct vcon *c, struct vcon_port *p,
		      const struct pollfd fds[2])
{
	const struct pollfd *in = &fds[0], *out = &fds[1];

	if (in->revents && p->in_fd < 0)
		accept_client(p);
	else if (has_client(p) && (in->revents & (POLLHUP | POLLERR)))
		hang_up(p);
	else if (in->revents)
		receive(c, p);
	if (out->revents && p->out_fd >= 0 && !is_lost(p))
		transmit(c, p);
}
