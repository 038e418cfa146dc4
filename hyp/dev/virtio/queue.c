// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/queue.h"

#include <errno.h>

#define KNOWN_FLAGS (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)

static bool aligned(const void *p, uintptr_t align)
{
	return !((uintptr_t)p & (align - 1));
}

int vq_init(struct vq *vq, uint16_t size, const void *desc, const void *avail,
	    void *used)
{
	if (!size || size > VQ_MAX_SIZE || (size & (size - 1)))
		return -EINVAL;
	if (!aligned(desc, VRING_DESC_ALIGN_SIZE) ||
	    !aligned(avail, VRING_AVAIL_ALIGN_SIZE) ||
	    !aligned(used, VRING_USED_ALIGN_SIZE))
		return -EINVAL;
	*vq = (struct vq){
		.size = size, .desc = desc, .avail = avail, .used = used
	};
	return 0;
}

/*
 * One load per field: what was validated is what is used, however often the
 * guest rewrites the descriptor meanwhile.
 */
static struct vring_desc copy_desc(const struct vq *vq, uint16_t index)
{
	const struct vring_desc *d = &vq->desc[index];

	return (struct vring_desc){
		.addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
		.len = __atomic_load_n(&d->len, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED),
		.next = __atomic_load_n(&d->next, __ATOMIC_RELAXED),
	};
}

static int copy_chain(const struct vq *vq, struct vq_chain *chain)
{
	uint16_t index = chain->head;
	bool writable = false;

	/*
	 * A chain has at most as many links as the queue has descriptors: a
	 * longer one is a loop.  Both bounds hold whatever "next" says.
	 */
	for (chain->nr = 0;
	     chain->nr < VQ_MAX_SEGMENTS && chain->nr < vq->size;) {
		struct vring_desc d;

		if (index >= vq->size)
			return -EPROTO;
		d = copy_desc(vq, index);
		if ((d.flags & ~KNOWN_FLAGS) || !d.len)
			return -EPROTO;
		if (writable && !(d.flags & VRING_DESC_F_WRITE))
			return -EPROTO;
		writable = d.flags & VRING_DESC_F_WRITE;
		chain->segments[chain->nr++] = (struct vq_segment){
			.gpa = d.addr,
			.len = d.len,
			.writable = writable,
		};
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		index = d.next;
	}
	return -EPROTO;
}

int vq_pop(struct vq *vq, struct vq_chain *chain)
{
	/*
	 * Pairs with the guest's barrier between ring and index, and comes
	 * behind the store of vq_want_notify().
	 */
	uint16_t avail = __atomic_load_n(&vq->avail->idx, __ATOMIC_SEQ_CST);
	uint16_t pending = (uint16_t)(avail - vq->next_avail);
	int err;

	if (!pending)
		return 0;
	if (pending > vq->size)
		return -EPROTO;
	chain->head = __atomic_load_n(
		&vq->avail->ring[vq->next_avail & (vq->size - 1)],
		__ATOMIC_RELAXED);
	err = copy_chain(vq, chain);
	if (err)
		return err;
	vq->next_avail++;
	return 1;
}

bool vq_push(struct vq *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem =
		&vq->used->ring[vq->next_used & (vq->size - 1)];

	__atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
	vq->next_used++;
	/*
	 * Pairs with the guest's barrier between index and ring.  And store of
	 * the index before load of the flags; the guest stores its flags, then
	 * looks at the index.  One of the two sees the other.
	 */
	__atomic_store_n(&vq->used->idx, vq->next_used, __ATOMIC_SEQ_CST);
	return !(__atomic_load_n(&vq->avail->flags, __ATOMIC_SEQ_CST) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

void vq_want_notify(struct vq *vq, bool on)
{
	/* Pairs with the guest's barrier between index and this flag. */
	__atomic_store_n(&vq->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY,
			 __ATOMIC_SEQ_CST);
}
