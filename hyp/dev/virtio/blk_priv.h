/* SPDX-License-Identifier: GPL-2.0-only */
/* What blk.c and blk_request.c share: the device and its requests. */
#ifndef HYP_DEV_VIRTIO_BLK_PRIV_H
#define HYP_DEV_VIRTIO_BLK_PRIV_H

#include <liburing.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include <sys/uio.h>

#include "hyp/dev/image.h"
#include "hyp/dev/virtio/blk.h"
#include "hyp/dev/virtio/queue.h"
#include "hyp/dev/virtio/worker.h"
#include "hyp/mem/mem.h"

#define MAX_REQUESTS	  64u
#define MAX_DATA_SEGMENTS (VQ_MAX_SEGMENTS - 2)
/*
 * Pinned frames cannot be reclaimed: one request, and all of them together,
 * must stay small beside the smallest resident limit (16 MiB).  It is frames
 * that count: a segment of two bytes may pin two of them.
 */
#define MAX_REQUEST_BYTES (2u * 1024 * 1024)
#define MAX_REQUEST_FRAMES                                                     \
	(MAX_REQUEST_BYTES / MEM_PAGE_SIZE + 2 * VQ_MAX_SEGMENTS)
#define MAX_PINNED_FRAMES (4u * 1024 * 1024 / MEM_PAGE_SIZE)
/* Offered to the guest: as many segments as it likes, all of this size. */
#define MAX_SEGMENT_BYTES (MAX_REQUEST_BYTES / MAX_DATA_SEGMENTS)

/* Of a discard or of zeroes to write. */
#define MAX_RANGES	16u
#define RANGE_ALIGNMENT 8u /* sectors: a page of the host's page cache */

struct blk_request {
	struct blk_request *next; /* free list */
	struct vq *vq;		  /* where it came from, and goes to */
	struct vq_chain chain;	  /* without header and status: see trim() */
	struct vq_segment *data;  /* in @chain */
	unsigned int nr_data;
	uint64_t status_gpa;
	struct iovec iov[VQ_MAX_SEGMENTS];
	unsigned int nr_iov;	/* pinned data segments */
	unsigned int first_iov; /* behind what was transferred */
	bool is_read, is_write;
	uint64_t offset; /* of the next byte in the file */
	uint32_t total_bytes, left_bytes;
	uint32_t in_bytes; /* for the guest, if all goes well */
	struct virtio_blk_discard_write_zeroes ranges[MAX_RANGES];
	unsigned int nr_ranges; /* 0: not that kind of request */
	unsigned int range;	/* that is under way */
	bool is_discard;
};

struct blk {
	int fd;
	bool read_only;
	uint64_t capacity; /* sectors */
	struct mem *mem;
	struct record *record; /* NULL: nothing is recorded */
	unsigned int index;    /* for the recorder */
	char serial[VIRTIO_BLK_ID_BYTES + 1];
	struct virtio_mmio *transport;
	unsigned int nr_queues; /* offered */
	/* While the device is started; NULL: the driver does not use it. */
	struct vq *vqs[BLK_MAX_QUEUES];
	unsigned int nr_vqs;
	struct io_uring ring;
	bool ring_ok;
	struct worker worker;
	struct ratelimit log;
	struct blk_stats stats; /* atomic, written by the thread */

	/* The thread's own. */
	bool broken; /* the guest broke the rules */
	bool poll_armed, want_irq;
	unsigned int nr_inflight;
	uint32_t pinned_frames;
	unsigned int turn; /* whose queue is next to be looked at */
	struct blk_request *free;
	struct blk_request requests[MAX_REQUESTS];
};

/* The functions are for the disk's thread. */

/** blk_request_init() - all requests are free */
void blk_request_init(struct blk *b);

/** blk_request_start_all() - take from the queues what there is and room for */
void blk_request_start_all(struct blk *b);

/**
 * blk_request_done() - the ring is done with a request, or a part of it
 * @b:   disk
 * @r:   was in flight
 * @res: bytes transferred, or a negative errno
 */
void blk_request_done(struct blk *b, struct blk_request *r, int res);

#endif /* HYP_DEV_VIRTIO_BLK_PRIV_H */
