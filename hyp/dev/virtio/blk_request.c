// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request's way: from the queue, checked, its buffers pinned, through the
 * ring, back to the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "hyp/dev/virtio/blk_priv.h"
#include "hyp/dev/virtio/chain.h"
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
		const struct vq_segment *seg = &r->data[r->nr_iov - 1];

		mem_put(b->mem, seg->gpa, seg->len);
		b->pinned_frames -= nr_frames(seg);
		r->nr_iov--;
	}
}

static void complete(struct blk *b, struct blk_request *r, uint8_t status)
{
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
	if (mem_write(b->mem, r->status_gpa, &status, sizeof(status)))
		log_guest(&b->log, "disk: status byte is in no memory");
	if (vq_push(r->vq, r->chain.head, written))
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

/*
 * What it has to bring to the medium are writes that had been reported as done
 * when the guest asked, from whatever queue: those are in the file, all of them,
 * and the flush is of the file.
 */
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
	uint64_t total = 0;
	unsigned int i;
	void *hva;

	for (i = 0; i < r->nr_data; i++) {
		if (r->data[i].writable != r->is_read)
			return VIRTIO_BLK_S_IOERR;
		total += r->data[i].len;
	}
	if (!total || total % SECTOR_SIZE || total > MAX_REQUEST_BYTES)
		return VIRTIO_BLK_S_IOERR;
	if (sector > b->capacity ||
	    total >> SECTOR_SHIFT > b->capacity - sector)
		return VIRTIO_BLK_S_IOERR;
	if (r->is_write && b->read_only)
		return VIRTIO_BLK_S_IOERR;
	for (i = 0; i < r->nr_data; i++) {
		if (mem_get(b->mem, r->data[i].gpa, r->data[i].len, &hva))
			return VIRTIO_BLK_S_IOERR; /* complete() unpins */
		r->iov[r->nr_iov++] = (struct iovec){ hva, r->data[i].len };
		b->pinned_frames += nr_frames(&r->data[i]);
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
	if (chain_bytes(&r->chain, true) < VIRTIO_BLK_ID_BYTES ||
	    chain_write(b->mem, &r->chain, 0, b->serial, VIRTIO_BLK_ID_BYTES) !=
		    VIRTIO_BLK_ID_BYTES)
		return VIRTIO_BLK_S_IOERR;
	r->in_bytes = VIRTIO_BLK_ID_BYTES;
	return VIRTIO_BLK_S_OK;
}

/* The next one that is not empty, or the end. */
static void submit_range(struct blk *b, struct blk_request *r)
{
	const struct virtio_blk_discard_write_zeroes *range;
	int mode = FALLOC_FL_KEEP_SIZE;
	struct io_uring_sqe *sqe;

	while (r->range < r->nr_ranges && !r->ranges[r->range].num_sectors)
		r->range++;
	if (r->range == r->nr_ranges) {
		complete(b, r, VIRTIO_BLK_S_OK);
		return;
	}
	range = &r->ranges[r->range];
	/* Zeroes keep their space, unless the guest may lose it. */
	if (r->is_discard ||
	    (range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP))
		mode |= FALLOC_FL_PUNCH_HOLE;
	else
		mode |= FALLOC_FL_ZERO_RANGE;
	sqe = io_uring_get_sqe(&b->ring);
	io_uring_prep_fallocate(sqe, b->fd, mode,
				(off_t)(range->sector << SECTOR_SHIFT),
				(off_t)range->num_sectors << SECTOR_SHIFT);
	io_uring_sqe_set_data(sqe, r);
	b->nr_inflight++;
}

/* The copy in @r has been read before the chain was trimmed. */
static uint8_t check_ranges(const struct blk *b, const struct blk_request *r)
{
	const uint32_t flags_ok =
		r->is_discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	unsigned int i;

	if (!r->nr_ranges || b->read_only)
		return VIRTIO_BLK_S_IOERR;
	for (i = 0; i < r->nr_ranges; i++) {
		if (r->ranges[i].flags & ~flags_ok)
			return VIRTIO_BLK_S_UNSUPP;
		if (r->ranges[i].sector > b->capacity ||
		    r->ranges[i].num_sectors >
			    b->capacity - r->ranges[i].sector)
			return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

/* Return: VIRTIO_BLK_S_OK, and it is under way or done; else its status. */
static uint8_t start_ranges(struct blk *b, struct blk_request *r)
{
	uint8_t status = check_ranges(b, r);
	unsigned int i;

	if (status != VIRTIO_BLK_S_OK)
		return status;
	count(r->is_discard ? &b->stats.discards : &b->stats.zeroes, 1);
	for (i = 0; i < r->nr_ranges; i++)
		record_disk_write(b->record, b->index, r->ranges[i].sector,
				  r->ranges[i].num_sectors);
	submit_range(b, r);
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
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		status = start_ranges(b, r);
		if (status == VIRTIO_BLK_S_OK)
			return;
		break;
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

/*
 * The first bytes that the guest has written are the header, the last one that
 * the device is to write is the status, wherever segments end.
 */
static void trim(struct blk_request *r, uint32_t header_bytes)
{
	struct vq_segment *last = &r->chain.segments[r->chain.nr - 1];

	r->data = r->chain.segments;
	for (; header_bytes >= r->data->len; r->data++)
		header_bytes -= r->data->len;
	r->data->gpa += header_bytes;
	r->data->len -= header_bytes;
	r->status_gpa = last->gpa + last->len - 1;
	last->len--;
	r->nr_data = (unsigned int)(last - r->data) + (last->len != 0);
}

static int read_ranges(struct blk *b, struct blk_request *r, uint32_t type,
		       uint32_t header_bytes)
{
	uint64_t bytes = chain_bytes(&r->chain, false) - header_bytes;

	r->nr_ranges = 0;
	r->range = 0;
	r->is_discard = type == VIRTIO_BLK_T_DISCARD;
	if ((!r->is_discard && type != VIRTIO_BLK_T_WRITE_ZEROES) ||
	    bytes > sizeof(r->ranges) || bytes % sizeof(r->ranges[0]))
		return 0; /* none: check_ranges() refuses that */
	r->nr_ranges = (unsigned int)(bytes / sizeof(r->ranges[0]));
	return chain_read(b->mem, &r->chain, header_bytes, r->ranges, bytes) <
	       0;
}

static bool has_room(const struct blk *b)
{
	return b->free &&
	       b->pinned_frames <= MAX_PINNED_FRAMES - MAX_REQUEST_FRAMES;
}

/* Return: false if there is nothing (more) in it now. */
static bool pop_request(struct blk *b, struct vq *vq)
{
	struct virtio_blk_outhdr header;
	struct blk_request *r = b->free;
	struct vq_chain *c = &r->chain;
	int ret;

	ret = vq_pop(vq, c);
	if (ret < 0)
		guest_error(b, "malformed ring");
	if (ret <= 0)
		return false;
	if (chain_bytes(c, false) < sizeof(header) || !chain_bytes(c, true)) {
		guest_error(b, "malformed request");
		return false;
	}
	if (chain_read(b->mem, c, 0, &header, sizeof(header)) < 0 ||
	    read_ranges(b, r, header.type, sizeof(header))) {
		guest_error(b, "request header is in no memory");
		return false;
	}
	trim(r, sizeof(header));
	b->free = r->next;
	r->vq = vq;
	start_request(b, r, header.type, header.sector);
	return true;
}

/*
 * One request of each queue: a full queue does not keep the others waiting, and
 * where there was no room any more, it goes on.  Return: false if there was none,
 * or no room; then a completion brings us back.
 */
static bool pop_round(struct blk *b)
{
	bool some = false;
	unsigned int i;

	for (i = 0; i < b->nr_vqs && !b->broken; i++) {
		struct vq *vq = b->vqs[b->turn];

		if (!has_room(b))
			return false;
		b->turn = (b->turn + 1) % b->nr_vqs;
		if (vq)
			some |= pop_request(b, vq);
	}
	return some && !b->broken;
}

static void want_notify(struct blk *b, bool on)
{
	unsigned int i;

	for (i = 0; i < b->nr_vqs; i++)
		if (b->vqs[i])
			vq_want_notify(b->vqs[i], on);
}

void blk_request_start_all(struct blk *b)
{
	do {
		want_notify(b, false);
		while (pop_round(b))
			;
		/* What came in before the guest saw this has no notification. */
		want_notify(b, true);
	} while (pop_round(b));
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

static void finish_range(struct blk *b, struct blk_request *r, int res)
{
	if (res == -EOPNOTSUPP || res == -ENOSYS) {
		complete(b, r, VIRTIO_BLK_S_UNSUPP); /* by the file system */
		return;
	}
	if (res && res != -EINTR && res != -EAGAIN) {
		log_guest(&b->log, "disk: discard failed: %s", strerror(-res));
		complete(b, r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->range += !res;
	submit_range(b, r);
}

void blk_request_done(struct blk *b, struct blk_request *r, int res)
{
	b->nr_inflight--;
	if (r->is_read || r->is_write) {
		finish_transfer(b, r, res);
		return;
	}
	if (r->nr_ranges) {
		finish_range(b, r, res);
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
