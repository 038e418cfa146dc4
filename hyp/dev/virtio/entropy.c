// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/entropy.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/worker.h"
#include "hyp/mem/mem.h"

/* The rate is kept over intervals of this length. */
#define INTERVAL_MS	   100u
#define BYTES_PER_INTERVAL (ENTROPY_BYTES_PER_S / (1000 / INTERVAL_MS))

struct entropy {
	struct mem *mem;
	struct virtio_mmio *transport;
	struct worker worker;
	uint64_t bytes; /* atomic, written by the thread */

	/* The thread's own. */
	bool broken; /* the guest broke the rules */
	bool want_irq;
	uint64_t interval_ms; /* when this interval began */
	uint32_t left;	      /* bytes that it may still give */
};

static int serve_one(void *dev, const struct vq_chain *chain)
{
	uint8_t buf[ENTROPY_REQUEST_BYTES];
	struct entropy *r = dev;
	int64_t written;
	uint64_t len;

	len = chain_bytes(chain, true);
	if (!len)
		return -EPROTO; /* a request for nothing would be met for ever */
	if (len > r->left)
		len = r->left;
	if (len > sizeof(buf))
		len = sizeof(buf);
	if (getrandom(buf, len, 0) != (ssize_t)len)
		return -EIO; /* only a signal cuts it short, and all are blocked */
	written = chain_write(r->mem, chain, 0, buf, len);
	if (written < 0)
		return (int)written;
	r->left -= (uint32_t)len;
	__atomic_fetch_add(&r->bytes, len, __ATOMIC_RELAXED);
	r->want_irq |= vq_push(virtio_mmio_queue(r->transport, 0), chain->head,
			       (uint32_t)written);
	return r->left ? 1 : 0;
}

/* Return: milliseconds after which there may be more; -1: wait for a kick. */
static int serve(struct entropy *r)
{
	uint64_t age = now_ms() - r->interval_ms;
	struct vq_chain chain;
	int ret;

	if (age >= INTERVAL_MS) {
		r->interval_ms = now_ms();
		r->left = BYTES_PER_INTERVAL;
		age = 0;
	}
	if (!r->left)
		return (int)(INTERVAL_MS - age);
	ret = vq_drain(virtio_mmio_queue(r->transport, 0), &chain, serve_one,
		       r);
	if (ret < 0 && ret != -ECANCELED) {
		r->broken = true;
		virtio_mmio_fail(r->transport, "malformed request for entropy");
	}
	if (r->want_irq)
		virtio_mmio_interrupt(r->transport);
	r->want_irq = false;
	return ret > 0 ? (int)(INTERVAL_MS - age) : -1;
}

static void *entropy_thread(void *arg)
{
	struct entropy *r = arg;
	bool reset = false;
	int timeout_ms;

	while (worker_follow(&r->worker, true, &reset)) {
		if (reset)
			r->broken = false;
		reset = false;
		timeout_ms = -1;
		if (worker_may_work(&r->worker) && !r->broken)
			timeout_ms = serve(r);
		worker_wait(&r->worker, -1, timeout_ms);
	}
	return NULL;
}

static void entropy_virtio_start(void *dev)
{
	worker_run(&((struct entropy *)dev)->worker);
}

static void entropy_virtio_stop(void *dev)
{
	worker_pause(&((struct entropy *)dev)->worker);
}

static void entropy_virtio_notify(void *dev)
{
	worker_kick(&((struct entropy *)dev)->worker);
}

static void entropy_config_read(void *dev, uint64_t offset, void *data,
				unsigned int len)
{
	(void)dev;
	(void)offset;
	memset(data, 0, len); /* it has none */
}

static const struct virtio_ops entropy_ops = {
	.device_id = VIRTIO_ID_RNG,
	.start = entropy_virtio_start,
	.stop = entropy_virtio_stop,
	.notify = entropy_virtio_notify,
	.config_read = entropy_config_read,
};

int entropy_create(struct entropy **out, struct mem *mem,
		   const struct virtio_irq *irq)
{
	struct entropy *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->mem = mem;
	err = worker_init(&r->worker);
	if (!err)
		err = virtio_mmio_create(&r->transport, mem, &entropy_ops, r, 1,
					 0, irq);
	if (err) {
		entropy_destroy(r);
		return err;
	}
	*out = r;
	return 0;
}

int entropy_start(struct entropy *entropy)
{
	return worker_start(&entropy->worker, "entropy", entropy_thread,
			    entropy);
}

int entropy_stop(struct entropy *entropy, unsigned int timeout_ms)
{
	return worker_stop(&entropy->worker, timeout_ms);
}

void entropy_destroy(struct entropy *entropy)
{
	if (!entropy)
		return;
	virtio_mmio_destroy(entropy->transport);
	worker_fini(&entropy->worker);
	free(entropy);
}

struct virtio_mmio *entropy_transport(struct entropy *entropy)
{
	return entropy->transport;
}

int entropy_kick_fd(const struct entropy *entropy)
{
	return entropy->worker.kick_fd;
}

uint64_t entropy_bytes(const struct entropy *entropy)
{
	return __atomic_load_n(&entropy->bytes, __ATOMIC_RELAXED);
}
