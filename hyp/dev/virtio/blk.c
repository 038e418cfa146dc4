// SPDX-License-Identifier: GPL-2.0-only
/* The disk and its thread; what becomes of a request is in blk_request.c. */
#include "hyp/dev/virtio/blk.h"

#include <errno.h>
#include <liburing.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hyp/dev/virtio/blk_priv.h"
#include "hyp/uring.h"

/* All that blk_request.c asks for, and the kick. */
static const uint8_t ring_ops[] = {
	IORING_OP_READV,     IORING_OP_WRITEV,	 IORING_OP_FSYNC,
	IORING_OP_FALLOCATE, IORING_OP_POLL_ADD,
};

static void interrupt(struct blk *b)
{
	if (!b->want_irq)
		return;
	b->want_irq = false;
	virtio_mmio_interrupt(b->transport);
}

static void reap(struct blk *b)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&b->ring, &cqe)) {
		struct blk_request *r = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&b->ring, cqe);
		if (!r) {
			b->poll_armed = false;
			worker_ack(&b->worker);
			continue;
		}
		blk_request_done(b, r, res);
	}
}

static void wait_for_events(struct blk *b)
{
	int ret;

	if (!b->poll_armed) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

		io_uring_prep_poll_add(sqe, b->worker.kick_fd, POLLIN);
		io_uring_sqe_set_data(sqe, NULL);
		b->poll_armed = true;
	}
	do {
		ret = io_uring_submit_and_wait(&b->ring, 1);
	} while (ret == -EINTR || ret == -EAGAIN || ret == -EBUSY);
	if (ret < 0) {
		log_line("disk: io_uring failed: %s", strerror(-ret));
		abort(); /* requests in flight write to guest memory */
	}
}

static void *blk_thread(void *arg)
{
	struct blk *b = arg;
	bool reset = false;

	while (worker_follow(&b->worker, !b->nr_inflight, &reset)) {
		if (reset)
			b->broken = false;
		reset = false;
		if (worker_may_work(&b->worker) && !b->broken)
			blk_request_start_all(b);
		/* Requests that ended without I/O also want their interrupt. */
		interrupt(b);
		wait_for_events(b);
		reap(b);
		interrupt(b);
	}
	return NULL;
}

static void blk_virtio_start(void *dev)
{
	struct blk *b = dev;
	unsigned int i;

	b->nr_vqs = virtio_mmio_has(b->transport, VIRTIO_BLK_F_MQ) ?
			    b->nr_queues :
			    1;
	for (i = 0; i < b->nr_vqs; i++)
		b->vqs[i] = virtio_mmio_queue(b->transport, i);
	b->turn = 0;
	worker_run(&b->worker);
}

static void blk_virtio_stop(void *dev)
{
	struct blk *b = dev;

	worker_pause(&b->worker);
}

static void blk_virtio_notify(void *dev)
{
	struct blk *b = dev;

	worker_kick(&b->worker);
}

static void blk_config_read(void *dev, uint64_t offset, void *data,
			    unsigned int len)
{
	const struct blk *b = dev;
	struct virtio_blk_config config = {
		.capacity = b->capacity,
		.size_max = MAX_SEGMENT_BYTES,
		.seg_max = MAX_DATA_SEGMENTS,
		.num_queues = (uint16_t)b->nr_queues,
	};
	uint32_t most = b->capacity < UINT32_MAX ? (uint32_t)b->capacity :
						   UINT32_MAX;

	if (!b->read_only) {
		config.max_discard_sectors = most;
		config.max_discard_seg = MAX_RANGES;
		config.discard_sector_alignment = RANGE_ALIGNMENT;
		config.max_write_zeroes_sectors = most;
		config.max_write_zeroes_seg = MAX_RANGES;
		config.write_zeroes_may_unmap = 1;
	}

	memset(data, 0, len);
	if (offset < sizeof(config) && len <= sizeof(config) - offset)
		memcpy(data, (char *)&config + offset, len);
}

static const struct virtio_ops blk_ops = {
	.device_id = VIRTIO_ID_BLOCK,
	.start = blk_virtio_start,
	.stop = blk_virtio_stop,
	.notify = blk_virtio_notify,
	.config_read = blk_config_read,
};

int blk_create(struct blk **out, const char *path, bool read_only,
	       unsigned int nr_queues, struct mem *mem,
	       const struct virtio_irq *irq, struct why *why)
{
	uint64_t features =
		1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_SIZE_MAX |
		1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_MQ;
	struct blk *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return why_set(why, -ENOMEM, "disk %s", path);
	b->fd = -1;
	b->mem = mem;
	b->read_only = read_only;
	b->nr_queues = nr_queues;
	blk_request_init(b);
	blk_set_serial(b, "hyp-disk");
	err = worker_init(&b->worker);
	if (err) {
		why_set(why, err, "eventfd");
		goto err_destroy;
	}
	b->fd = image_open(path, read_only, &b->capacity, why);
	err = b->fd;
	if (err < 0)
		goto err_destroy;
	err = uring_open(&b->ring, 2 * MAX_REQUESTS, ring_ops, sizeof(ring_ops),
			 NULL, NULL);
	if (err) {
		why_set(why, err, "io_uring is not available");
		goto err_destroy;
	}
	b->ring_ok = true;
	if (read_only)
		features |= 1ull << VIRTIO_BLK_F_RO;
	else
		features |= 1ull << VIRTIO_BLK_F_DISCARD |
			    1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	err = virtio_mmio_create(&b->transport, mem, &blk_ops, b, nr_queues,
				 features, irq);
	if (err) {
		why_set(why, err, "disk %s", path);
		goto err_destroy;
	}
	*out = b;
	return 0;

err_destroy:
	blk_destroy(b);
	return err;
}

void blk_record_writes(struct blk *blk, struct record *record,
		       unsigned int index)
{
	blk->record = record;
	blk->index = index;
}

void blk_set_serial(struct blk *blk, const char *serial)
{
	strncpy(blk->serial, serial, sizeof(blk->serial) - 1);
}

int blk_start(struct blk *blk)
{
	return worker_start(&blk->worker, "blk", blk_thread, blk);
}

int blk_stop(struct blk *blk, unsigned int timeout_ms)
{
	return worker_stop(&blk->worker, timeout_ms);
}

void blk_destroy(struct blk *blk)
{
	if (!blk)
		return;
	virtio_mmio_destroy(blk->transport);
	if (blk->ring_ok)
		io_uring_queue_exit(&blk->ring);
	if (blk->fd >= 0)
		close(blk->fd);
	worker_fini(&blk->worker);
	free(blk);
}

int blk_kick_fd(const struct blk *blk)
{
	return blk->worker.kick_fd;
}

struct virtio_mmio *blk_transport(struct blk *blk)
{
	return blk->transport;
}

void blk_add_stats(const struct blk *blk, struct blk_stats *sum)
{
	sum->reads += __atomic_load_n(&blk->stats.reads, __ATOMIC_RELAXED);
	sum->writes += __atomic_load_n(&blk->stats.writes, __ATOMIC_RELAXED);
	sum->flushes += __atomic_load_n(&blk->stats.flushes, __ATOMIC_RELAXED);
	sum->discards +=
		__atomic_load_n(&blk->stats.discards, __ATOMIC_RELAXED);
	sum->zeroes += __atomic_load_n(&blk->stats.zeroes, __ATOMIC_RELAXED);
	sum->errors += __atomic_load_n(&blk->stats.errors, __ATOMIC_RELAXED);
	sum->read_bytes +=
		__atomic_load_n(&blk->stats.read_bytes, __ATOMIC_RELAXED);
	sum->write_bytes +=
		__atomic_load_n(&blk->stats.write_bytes, __ATOMIC_RELAXED);
}
