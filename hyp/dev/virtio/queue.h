/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split virtqueues (virtio 1.2, section 2.7).  The only reader of descriptors.
 *
 * The rings are in guest memory, and the guest may change them at any time:
 * indices are checked or masked, every descriptor is copied once and only the
 * copy is used, a chain has a longest length.  Knows nothing of guest-physical
 * addresses: a chain carries them unchecked to the device, which hands them to
 * mem_get(), and tables of indirect descriptors are read by a function that the
 * owner of the queue provides.
 *
 * No locking: one thread uses a queue at a time.
 */
#ifndef HYP_DEV_VIRTIO_QUEUE_H
#define HYP_DEV_VIRTIO_QUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VQ_MAX_SIZE	256u
#define VQ_MAX_SEGMENTS 66u

/** struct vq - one queue; the rings are accessible while it is in use */
struct vq {
	uint16_t size; /* power of two, <= VQ_MAX_SIZE */
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next_avail;
	uint16_t next_used;
	/* What follows is off after vq_init(); set it before the first use. */
	bool event_idx; /* VIRTIO_RING_F_EVENT_IDX is negotiated */
	/* Reads an indirect table; NULL: not negotiated.  0 or negative errno. */
	int (*read)(void *ctx, uint64_t gpa, void *dst, size_t len);
	void *read_ctx;
};

/** struct vq_segment - one descriptor, copied */
struct vq_segment {
	uint64_t gpa;  /* untrusted */
	uint32_t len;  /* > 0, otherwise untrusted */
	bool writable; /* by the device */
};

/** struct vq_chain - a request; readable segments come first */
struct vq_chain {
	uint16_t head;
	unsigned int nr; /* 1 to VQ_MAX_SEGMENTS */
	struct vq_segment segments[VQ_MAX_SEGMENTS];
};

/** vq_desc_bytes(), vq_avail_bytes(), vq_used_bytes() - sizes of the parts */
static inline uint32_t vq_desc_bytes(uint16_t size)
{
	return (uint32_t)sizeof(struct vring_desc) * size;
}

static inline uint32_t vq_avail_bytes(uint16_t size)
{
	return 6 + 2 * (uint32_t)size; /* with used_event */
}

static inline uint32_t vq_used_bytes(uint16_t size)
{
	return 6 + (uint32_t)sizeof(struct vring_used_elem) * size;
}

/**
 * vq_init() - begin to use a queue
 * @vq:    filled in
 * @size:  number of descriptors
 * @desc:  vq_desc_bytes(), aligned to 16
 * @avail: vq_avail_bytes(), aligned to 2
 * @used:  vq_used_bytes(), aligned to 4
 *
 * Return: 0 or -EINVAL for an impossible @size or alignment.
 */
int vq_init(struct vq *vq, uint16_t size, const void *desc, const void *avail,
	    void *used);

/**
 * vq_pop() - take the next request
 * @vq:    queue
 * @chain: filled in
 *
 * May sleep if indirect descriptors are negotiated.
 * Return: 1: got one; 0: there is none; -EPROTO: the guest broke the rules,
 * and the device needs a reset.
 */
int vq_pop(struct vq *vq, struct vq_chain *chain);

/** vq_pending() - how many vq_pop() has not taken, as the guest says; <= @size */
unsigned int vq_pending(const struct vq *vq);

/**
 * vq_push() - give a request back
 * @vq:      queue
 * @head:    of the chain
 * @written: bytes written into its writable segments
 *
 * Return: true if the guest wants an interrupt.
 */
bool vq_push(struct vq *vq, uint16_t head, uint32_t written);

/**
 * vq_want_notify() - switch the guest's notifications on or off
 * @vq: queue
 * @on: true: after that, look with vq_pop() once more before sleeping; if there
 *	is something, ask for notifications again behind that
 */
void vq_want_notify(struct vq *vq, bool on);

/**
 * vq_drain() - handle requests until there are no more
 * @vq:    queue
 * @chain: room for one
 * @fn:    handles one: 1: go on; 0: no more now; or a negative errno
 * @ctx:   first argument of @fn
 *
 * Return: 0: the guest notifies when there are more; 1: @fn returned 0, and
 * there may be more; -EPROTO or the errno of @fn.
 */
int vq_drain(struct vq *vq, struct vq_chain *chain,
	     int (*fn)(void *ctx, const struct vq_chain *chain), void *ctx);

#endif /* HYP_DEV_VIRTIO_QUEUE_H */
