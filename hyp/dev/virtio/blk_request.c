// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request's way: from the queue, checked, its buffers pinned, through the
 * ring, back to the guest.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "hyp/dev/virtio/blk_priv.h"
#include "hyp/record.h"

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void put_request(struct blk *b, struct blk_request *r)
{
	r->next = b->free;
	b->free = r;
}

static uint32_t nr_frames(const struct vq_segment *seg)
{
	uint64_t end = seg->gpa % MEM_PAGE_SIZE + seg->len;

	return (uint32_t)((end + MEM_PAGE_SIZE - 1) / MEM_PAGE_SIZE);
}

static void unpin(struct blk *b, struct blk_request *r)
{
	while (r->nr_iov) {
		const struct vq_segment *seg =
			&r->chain.segments[r->nr_iov]; /* [0]: header */

		mem_put(b->mem, seg->gpa, seg->len);
		b->pinned_frames -= nr_frames(seg);
		r->nr_iov--;
	}
}

static void complete(struct blk *b, struct blk_request *r, uint8_t status)
{
	const struct vq_segment *last = &r->chain.segments[r->chain.nr - 1];
	uint32_t written = sizeof(status);

	unpin(b, r);
	if (status == VIRTIO_BLK_S_OK)
		written += r->in_bytes;
	if (status != VIRTIO_BLK_S_OK)
		count(&b->stats.errors, 1);
	else if (r->is_read)
		count(&b->stats.read_bytes, r->total_bytes);
	else if (r->is_write)
		count(&b->stats.write_bytes, r->total_bytes);
	/* Fails only if the guest gave the page away: its own loss. */
	if (mem_write(b->mem, last->gpa, &status, sizeof(status)))
		log_guest(&b->log, "disk: status byte is in no memory");
	if (vq_push(b->vq, r->chain.head, written))
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
		b->pinned_frames += nr_frames(&c->segments[i]);
	}
	r->offset = sector << SECTOR_SHIFT;
	r->total_bytes = (uint32_t)total;
	r->left_bytes = (uint32_t)total;
	r->in_bytes = r->is_read ? r->total_bytes : 0;
	count(r->is_read ? &b->stats.reads : &b->stats.writes, 1);
	if (r->is_write)
		record_disk_write(b->record, b->index, sector,
				  total >> SECTOR_SHIFT);
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
	r->in_bytes = sizeof(id);
	return VIRTIO_BLK_S_OK;
}

static void start_request(struct blk *b, struct blk_request *r, uint32_t type,
			  uint64_t sector)
{
	uint8_t status = VIRTIO_BLK_S_UNSUPP;

	r->nr_iov = 0;
	r->first_iov = 0;
	r->in_bytes = 0;
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

	if (!r || b->pinned_frames > MAX_PINNED_FRAMES - MAX_REQUEST_FRAMES)
		return false; /* a completion brings us back */
	c = &r->chain;
	ret = vq_pop(b->vq, c);
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

void blk_request_start_all(struct blk *b)
{
	do {
		vq_want_notify(b->vq, false);
		while (pop_request(b))
			;
		/* What came in before the guest saw this has no notification. */
		vq_want_notify(b->vq, true);
	} while (pop_request(b));
}

static void finish_transfer(struct blk *b, struct blk_request *r, int res)
{
	if (res == -EINTR || res == -EAGAIN) {
		submit_rw(b, r);
		return;
	}
	if (res <= 0) { /* 0: the file was truncated under us */
		log_guest(&b->log, "disk: %s failed: %s",
			  r->is_read ? "read" : "write",
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

void blk_request_done(struct blk *b, struct blk_request *r, int res)
{
	b->nr_inflight--;
	if (r->is_read || r->is_write) {
		finish_transfer(b, r, res);
		return;
	}
	if (res)
		log_guest(&b->log, "disk: flush failed: %s", strerror(-res));
	complete(b, r, res ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

void blk_request_init(struct blk *b)
{
	unsigned int i;

	for (i = 0; i < MAX_REQUESTS; i++)
		put_request(b, &b->requests[i]);
}
