// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyp/mem/mem.h"

#define SECTOR_SHIFT		9
#define SECTOR_SIZE		(1u << SECTOR_SHIFT)
#define MAX_REQUESTS		64u
#define MAX_DATA_SEGMENTS	(VQ_MAX_SEGMENTS - 2)
#define MAX_SEGMENT_BYTES	65536u
/*
 * Pinned frames cannot be reclaimed: one request, and all of them together,
 * must stay small beside the smallest resident limit (16 MiB).
 */
#define MAX_REQUEST_BYTES	(2u * 1024 * 1024)
#define MAX_PINNED_BYTES	(4u * 1024 * 1024)

struct blk_request {
	struct blk_request *next;	/* free list */
	struct vq_chain chain;
	struct iovec iov[MAX_DATA_SEGMENTS];
	unsigned int nr_iov;		/* pinned data segments */
	unsigned int first_iov;		/* behind what was transferred */
	bool is_read, is_write;
	uint64_t offset;		/* of the next byte in the file */
	uint32_t total_bytes, left_bytes;
};

struct blk {
	int fd;
	bool read_only;
	uint64_t capacity;		/* sectors */
	struct mem *mem;
	struct virtio_mmio *transport;
	int kick_fd;
	struct io_uring ring;
	bool ring_ok, thread_ok;
	pthread_t thread;
	struct ratelimit log;
	struct blk_stats stats;		/* atomic, written by the thread */

	/*
	 * @running: the transport has started the device.  @in_use: the thread
	 * may touch the queue.  The thread follows @running when it holds the
	 * lock and has nothing in flight; blk_virtio_stop() waits for that.
	 */
	pthread_mutex_t lock;		/* guards these three */
	pthread_cond_t idle;
	bool running, in_use, quit;

	/* The thread's own. */
	bool broken;			/* the guest broke the rules */
	bool poll_armed, want_irq;
	unsigned int nr_inflight;
	uint32_t pinned_bytes;
	struct blk_request *free;
	struct blk_request requests[MAX_REQUESTS];
};

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void kick(struct blk *b)
{
	uint64_t one = 1;
	ssize_t n = write(b->kick_fd, &one, sizeof(one));

	(void)n; /* can only fail when it is already very much kicked */
}

static void put_request(struct blk *b, struct blk_request *r)
{
	r->next = b->free;
	b->free = r;
}

static void unpin(struct blk *b, struct blk_request *r)
{
	while (r->nr_iov) {
		const struct vq_segment *seg =
			&r->chain.segments[r->nr_iov]; /* [0]: header */

		mem_put(b->mem, seg->gpa, seg->len);
		b->pinned_bytes -= seg->len;
		r->nr_iov--;
	}
}

static void complete(struct blk *b, struct blk_request *r, uint8_t status)
{
	const struct vq_segment *last = &r->chain.segments[r->chain.nr - 1];
	uint32_t written = sizeof(status);

	unpin(b, r);
	if (r->is_read && status == VIRTIO_BLK_S_OK)
		written += r->total_bytes;
	if (status != VIRTIO_BLK_S_OK)
		count(&b->stats.errors, 1);
	else if (r->is_read)
		count(&b->stats.read_bytes, r->total_bytes);
	else if (r->is_write)
		count(&b->stats.write_bytes, r->total_bytes);
	/* Fails only if the guest gave the page away: its own loss. */
	if (mem_write(b->mem, last->gpa, &status, sizeof(status)))
		log_guest(&b->log, "disk: status byte is in no memory");
	if (vq_push(virtio_mmio_queue(b->transport), r->chain.head, written))
		b->want_irq = true;
	put_request(b, r);
}

static void submit_rw(struct blk *b, struct blk_request *r)
{
	/* Never NULL: the ring has more entries than there are requests. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
	const struct iovec *iov = &r->iov[r->first_iov];
	unsigned int nr = r->nr_iov - r->first_iov;

	if (r->is_read)
		io_uring_prep_readv(sqe, b->fd, iov, nr, r->offset);
	else
		io_uring_prep_writev(sqe, b->fd, iov, nr, r->offset);
	io_uring_sqe_set_data(sqe, r);
	b->nr_inflight++;
}

static void submit_flush(struct blk *b, struct blk_request *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

	io_uring_prep_fsync(sqe, b->fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, r);
	b->nr_inflight++;
}

/* Return: VIRTIO_BLK_S_OK, and the request is in flight; else its status. */
static uint8_t start_rw(struct blk *b, struct blk_request *r, uint64_t sector)
{
	const struct vq_chain *c = &r->chain;
	uint64_t total = 0;
	unsigned int i;
	void *hva;

	for (i = 1; i < c->nr - 1; i++) {
		if (c->segments[i].writable != r->is_read)
			return VIRTIO_BLK_S_IOERR;
		total += c->segments[i].len;
	}
	if (!total || total % SECTOR_SIZE || total > MAX_REQUEST_BYTES)
		return VIRTIO_BLK_S_IOERR;
	if (sector > b->capacity ||
	    total >> SECTOR_SHIFT > b->capacity - sector)
		return VIRTIO_BLK_S_IOERR;
	if (r->is_write && b->read_only)
		return VIRTIO_BLK_S_IOERR;
	for (i = 1; i < c->nr - 1; i++) {
		if (mem_get(b->mem, c->segments[i].gpa, c->segments[i].len,
			    &hva))
			return VIRTIO_BLK_S_IOERR; /* complete() unpins */
		r->iov[r->nr_iov++] = (struct iovec){ hva, c->segments[i].len };
		b->pinned_bytes += c->segments[i].len;
	}
	r->offset = sector << SECTOR_SHIFT;
	r->total_bytes = (uint32_t)total;
	r->left_bytes = (uint32_t)total;
	count(r->is_read ? &b->stats.reads : &b->stats.writes, 1);
	submit_rw(b, r);
	return VIRTIO_BLK_S_OK;
}

static uint8_t get_id(struct blk *b, struct blk_request *r)
{
	const struct vq_segment *seg = &r->chain.segments[1];
	char id[VIRTIO_BLK_ID_BYTES] = "hyp-disk";

	if (r->chain.nr != 3 || !seg->writable || seg->len < sizeof(id) ||
	    mem_write(b->mem, seg->gpa, id, sizeof(id)))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static void start_request(struct blk *b, struct blk_request *r, uint32_t type,
			  uint64_t sector)
{
	uint8_t status = VIRTIO_BLK_S_UNSUPP;

	r->nr_iov = 0;
	r->first_iov = 0;
	r->is_read = type == VIRTIO_BLK_T_IN;
	r->is_write = type == VIRTIO_BLK_T_OUT;
	switch (type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		status = start_rw(b, r, sector);
		if (status == VIRTIO_BLK_S_OK)
			return;
		break;
	case VIRTIO_BLK_T_FLUSH:
		count(&b->stats.flushes, 1);
		submit_flush(b, r);
		return;
	case VIRTIO_BLK_T_GET_ID:
		status = get_id(b, r);
		break;
	}
	complete(b, r, status);
}

static void guest_error(struct blk *b, const char *what)
{
	b->broken = true;
	virtio_mmio_fail(b->transport, what);
}

/* Return: false if there is nothing (more) to do now. */
static bool pop_request(struct blk *b)
{
	struct virtio_blk_outhdr header;
	struct blk_request *r = b->free;
	struct vq_chain *c;
	int ret;

	if (!r || b->pinned_bytes > MAX_PINNED_BYTES - MAX_REQUEST_BYTES)
		return false; /* a completion brings us back */
	c = &r->chain;
	ret = vq_pop(virtio_mmio_queue(b->transport), c);
	if (ret < 0)
		guest_error(b, "malformed ring");
	if (ret <= 0)
		return false;
	if (c->nr < 2 || c->segments[0].writable ||
	    c->segments[0].len != sizeof(header) ||
	    !c->segments[c->nr - 1].writable ||
	    c->segments[c->nr - 1].len != sizeof(uint8_t)) {
		guest_error(b, "malformed request");
		return false;
	}
	if (mem_read(b->mem, c->segments[0].gpa, &header, sizeof(header))) {
		guest_error(b, "request header is in no memory");
		return false;
	}
	b->free = r->next;
	start_request(b, r, header.type, header.sector);
	return true;
}

static void process_queue(struct blk *b)
{
	struct vq *vq = virtio_mmio_queue(b->transport);

	vq_want_notify(vq, false);
	while (pop_request(b))
		;
	/* What came in before the guest saw the flag has no notification. */
	vq_want_notify(vq, true);
	while (pop_request(b))
		;
}

static void finish_transfer(struct blk *b, struct blk_request *r, int res)
{
	if (res == -EINTR || res == -EAGAIN) {
		submit_rw(b, r);
		return;
	}
	if (res <= 0) { /* 0: the file was truncated under us */
		log_line("disk: %s failed: %s", r->is_read ? "read" : "write",
			 res ? strerror(-res) : "unexpected end of file");
		complete(b, r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->left_bytes -= (uint32_t)res;
	r->offset += (uint32_t)res;
	if (!r->left_bytes) {
		complete(b, r, VIRTIO_BLK_S_OK);
		return;
	}
	while ((size_t)res >= r->iov[r->first_iov].iov_len)
		res -= (int)r->iov[r->first_iov++].iov_len;
	r->iov[r->first_iov].iov_base =
		(char *)r->iov[r->first_iov].iov_base + res;
	r->iov[r->first_iov].iov_len -= (size_t)res;
	submit_rw(b, r);
}

static void reap(struct blk *b)
{
	struct io_uring_cqe *cqe;
	uint64_t kicks;
	ssize_t n;

	while (!io_uring_peek_cqe(&b->ring, &cqe)) {
		struct blk_request *r = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&b->ring, cqe);
		if (!r) {
			b->poll_armed = false;
			n = read(b->kick_fd, &kicks, sizeof(kicks));
			(void)n;
			continue;
		}
		b->nr_inflight--;
		if (r->is_read || r->is_write)
			finish_transfer(b, r, res);
		else
			complete(b, r, res ? VIRTIO_BLK_S_IOERR
					   : VIRTIO_BLK_S_OK);
	}
	if (b->want_irq) {
		b->want_irq = false;
		virtio_mmio_interrupt(b->transport);
	}
}

static void wait_for_events(struct blk *b)
{
	int ret;

	if (!b->poll_armed) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

		io_uring_prep_poll_add(sqe, b->kick_fd, POLLIN);
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

/* Return: false when the thread is to end. */
static bool follow_transport(struct blk *b)
{
	bool go_on;

	pthread_mutex_lock(&b->lock);
	if (b->running) {
		b->in_use = true;
	} else if (!b->nr_inflight) {
		b->in_use = false;
		b->broken = false;
		pthread_cond_broadcast(&b->idle);
	}
	go_on = !b->quit || b->in_use;
	pthread_mutex_unlock(&b->lock);
	return go_on;
}

static bool may_pop(struct blk *b)
{
	bool yes;

	pthread_mutex_lock(&b->lock);
	yes = b->running && !b->broken;
	pthread_mutex_unlock(&b->lock);
	return yes;
}

static void *blk_thread(void *arg)
{
	struct blk *b = arg;

	while (follow_transport(b)) {
		if (may_pop(b))
			process_queue(b);
		/* Requests that ended without I/O also want their interrupt. */
		if (b->want_irq) {
			b->want_irq = false;
			virtio_mmio_interrupt(b->transport);
		}
		wait_for_events(b);
		reap(b);
	}
	return NULL;
}

static void blk_virtio_start(void *dev)
{
	struct blk *b = dev;

	pthread_mutex_lock(&b->lock);
	b->running = true;
	pthread_mutex_unlock(&b->lock);
	kick(b);
}

static void blk_virtio_stop(void *dev)
{
	struct blk *b = dev;

	pthread_mutex_lock(&b->lock);
	b->running = false;
	kick(b);
	while (b->in_use)
		pthread_cond_wait(&b->idle, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

static void blk_virtio_notify(void *dev)
{
	kick(dev);
}

static void blk_config_read(void *dev, uint64_t offset, void *data,
			    unsigned int len)
{
	const struct blk *b = dev;
	struct virtio_blk_config config = {
		.capacity = b->capacity,
		.size_max = MAX_SEGMENT_BYTES,
		.seg_max = MAX_DATA_SEGMENTS,
	};

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

static int open_image(struct blk *b, const char *path, struct why *why)
{
	off_t size;

	b->fd = open(path, (b->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (b->fd < 0)
		return why_set(why, -errno, "cannot open disk %s", path);
	if (flock(b->fd, (b->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return why_set(why, 0, "disk %s is in use by another process",
			       path);
	size = lseek(b->fd, 0, SEEK_END);
	if (size < 0)
		return why_set(why, -errno, "cannot seek in disk %s", path);
	if (size == 0 || size % SECTOR_SIZE)
		return why_set(why, 0,
			       "disk %s is truncated: %lld bytes are not a whole number of sectors",
			       path, (long long)size);
	b->capacity = (uint64_t)size >> SECTOR_SHIFT;
	return 0;
}

int blk_create(struct blk **out, const char *path, bool read_only,
	       struct mem *mem, const struct virtio_irq *irq, struct why *why)
{
	uint64_t features = 1ull << VIRTIO_BLK_F_FLUSH |
			    1ull << VIRTIO_BLK_F_SIZE_MAX |
			    1ull << VIRTIO_BLK_F_SEG_MAX;
	struct blk *b = calloc(1, sizeof(*b));
	unsigned int i;
	int err;

	if (!b)
		return why_set(why, -ENOMEM, "disk %s", path);
	b->fd = -1;
	b->kick_fd = -1;
	b->mem = mem;
	b->read_only = read_only;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->idle, NULL);
	for (i = 0; i < MAX_REQUESTS; i++)
		put_request(b, &b->requests[i]);
	err = open_image(b, path, why);
	if (err)
		goto err_destroy;
	b->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->kick_fd < 0) {
		err = why_set(why, -errno, "eventfd");
		goto err_destroy;
	}
	err = io_uring_queue_init(2 * MAX_REQUESTS, &b->ring, 0);
	if (err) {
		why_set(why, err, "io_uring is not available");
		goto err_destroy;
	}
	b->ring_ok = true;
	if (read_only)
		features |= 1ull << VIRTIO_BLK_F_RO;
	err = virtio_mmio_create(&b->transport, mem, &blk_ops, b, features,
				 irq);
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

int blk_start(struct blk *blk)
{
	int err = -pthread_create(&blk->thread, NULL, blk_thread, blk);

	blk->thread_ok = !err;
	if (!err)
		pthread_setname_np(blk->thread, "blk");
	return err;
}

int blk_stop(struct blk *blk, unsigned int timeout_ms)
{
	int err;

	if (!blk->thread_ok)
		return 0;
	pthread_mutex_lock(&blk->lock);
	blk->running = false;
	blk->quit = true;
	pthread_mutex_unlock(&blk->lock);
	kick(blk);
	err = thread_join(blk->thread, timeout_ms);
	if (!err)
		blk->thread_ok = false;
	return err;
}

void blk_destroy(struct blk *blk)
{
	if (!blk)
		return;
	virtio_mmio_destroy(blk->transport);
	if (blk->ring_ok)
		io_uring_queue_exit(&blk->ring);
	if (blk->kick_fd >= 0)
		close(blk->kick_fd);
	if (blk->fd >= 0)
		close(blk->fd);
	pthread_cond_destroy(&blk->idle);
	pthread_mutex_destroy(&blk->lock);
	free(blk);
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
	sum->errors += __atomic_load_n(&blk->stats.errors, __ATOMIC_RELAXED);
	sum->read_bytes +=
		__atomic_load_n(&blk->stats.read_bytes, __ATOMIC_RELAXED);
	sum->write_bytes +=
		__atomic_load_n(&blk->stats.write_bytes, __ATOMIC_RELAXED);
}
