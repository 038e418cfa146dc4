// SPDX-License-Identifier: GPL-2.0-only
/* Transfers of the swap file in flight; see swapio.h. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "hyp/mem/host.h"
#include "hyp/mem/mem.h"
#include "hyp/mem/swap.h"
#include "hyp/mem/swapio.h"
#include "hyp/uring.h"

void swap_queue_init(struct swap_queue *q, struct swap *swap,
		     unsigned int depth, void *buf, size_t bytes)
{
	static const uint8_t ops[] = { IORING_OP_READ, IORING_OP_WRITE,
				       IORING_OP_READ_FIXED };
	struct iovec iov = { .iov_base = buf, .iov_len = bytes };

	memset(q, 0, sizeof(*q));
	q->swap = swap;
	/* Off by sysctl, by a filter around us, or by lack of memory. */
	q->has_ring = host_may_have(HOST_IO_URING) &&
		      !uring_open(&q->ring, depth, ops, sizeof(ops),
				  buf ? &iov : NULL, &q->fixed);
}

void swap_queue_fini(struct swap_queue *q)
{
	if (q->has_ring)
		io_uring_queue_exit(&q->ring);
	memset(q, 0, sizeof(*q));
}

int swap_queue_fd(const struct swap_queue *q)
{
	return q->has_ring ? q->ring.ring_fd : -1;
}

/* What is left of a transfer. */
static void prepare(struct swap_queue *q, struct swap_io *io)
{
	uint64_t off = (uint64_t)io->slot * MEM_PAGE_SIZE + io->done;
	unsigned int len =
		(unsigned int)((size_t)io->nr * MEM_PAGE_SIZE - io->done);
	char *p = (char *)io->buf + io->done;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	while (!sqe) {
		swap_submit(q);
		sqe = io_uring_get_sqe(&q->ring);
	}
	if (io->out)
		io_uring_prep_write(sqe, q->swap->fd, p, len, off);
	else if (q->fixed)
		io_uring_prep_read_fixed(sqe, q->swap->fd, p, len, off, 0);
	else
		io_uring_prep_read(sqe, q->swap->fd, p, len, off);
	io_uring_sqe_set_data(sqe, io);
	q->pending = true;
}

void swap_start(struct swap_queue *q, struct swap_io *io)
{
	io->done = 0;
	q->in_flight++;
	if (q->has_ring) {
		prepare(q, io);
		return;
	}
	io->err = io->out ? swap_write(q->swap, io->slot, io->buf, io->nr) :
			    swap_read(q->swap, io->slot, io->buf, io->nr);
	io->next = q->over;
	q->over = io;
}

void swap_submit(struct swap_queue *q)
{
	int ret;

	while (q->pending) {
		ret = io_uring_submit(&q->ring);
		if (ret >= 0)
			q->pending = io_uring_sq_ready(&q->ring);
		else if (ret == -EAGAIN || ret == -EBUSY)
			sched_yield(); /* the kernel has no memory just now */
		else if (ret != -EINTR)
			abort(); /* a ring that we have broken */
	}
}

/* Is it over?  The kernel may have done a part only. */
static bool complete(struct swap_queue *q, struct swap_io *io, int res)
{
	if (res == -EINTR || res == -EAGAIN) {
		prepare(q, io);
		return false;
	}
	io->err = res < 0 ? res : 0;
	if (!res)
		io->err = io->out ? -EIO : -ENODATA;
	if (io->err)
		return true;
	io->done += (size_t)res;
	if (io->done == (size_t)io->nr * MEM_PAGE_SIZE)
		return true;
	prepare(q, io);
	return false;
}

static struct swap_io *next_of_ring(struct swap_queue *q, bool wait)
{
	struct io_uring_cqe *cqe;
	struct swap_io *io;
	int res;

	while (q->in_flight) {
		swap_submit(q);
		res = wait ? io_uring_wait_cqe(&q->ring, &cqe) :
			     io_uring_peek_cqe(&q->ring, &cqe);
		if (res == -EINTR || (wait && res == -EAGAIN))
			continue;
		if (res)
			return NULL;
		io = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&q->ring, cqe);
		if (complete(q, io, res))
			return io;
	}
	return NULL;
}

struct swap_io *swap_next(struct swap_queue *q, bool wait)
{
	struct swap_io *io = q->over;

	if (q->has_ring)
		io = next_of_ring(q, wait);
	else if (io)
		q->over = io->next;
	if (io)
		q->in_flight--;
	return io;
}
