// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/queue.h"

#include <errno.h>

#define KNOWN_FLAGS                                                            \
	(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT)

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
static struct vring_desc copy_desc(const struct vring_desc *d)
{
	return (struct vring_desc){
		.addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
		.len = __atomic_load_n(&d->len, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED),
		.next = __atomic_load_n(&d->next, __ATOMIC_RELAXED),
	};
}

/*
 * Follow a chain through a table of @size descriptors.  It has at most as many
 * links as the table has descriptors: a longer one is a loop.  All bounds hold
 * whatever "next" says.  @table: NULL, or set to an indirect table that the
 * chain ends in.  Return: 0; 1: there is such a table; -EPROTO.
 */
static int follow(struct vq_chain *chain, const struct vring_desc *desc,
		  unsigned int size, uint16_t index, struct vring_desc *table)
{
	bool writable = chain->nr && chain->segments[chain->nr - 1].writable;
	unsigned int links;

	for (links = 0; links < size; links++) {
		struct vring_desc d;

		if (index >= size)
			return -EPROTO;
		d = copy_desc(&desc[index]);
		if ((d.flags & ~KNOWN_FLAGS) || !d.len)
			return -EPROTO;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (!table || (d.flags & VRING_DESC_F_NEXT))
				return -EPROTO;
			*table = d;
			return 1;
		}
		if (chain->nr == VQ_MAX_SEGMENTS ||
		    (writable && !(d.flags & VRING_DESC_F_WRITE)))
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

/* Section 2.7.5.3.  The table is copied as a whole, then looked at. */
static int copy_indirect(const struct vq *vq, struct vq_chain *chain,
			 const struct vring_desc *d)
{
	struct vring_desc table[VQ_MAX_SEGMENTS];
	unsigned int nr = d->len / sizeof(table[0]);

	if (!nr || d->len % sizeof(table[0]) || nr > VQ_MAX_SEGMENTS ||
	    vq->read(vq->read_ctx, d->addr, table, d->len))
		return -EPROTO;
	return follow(chain, table, nr, 0, NULL);
}

static int copy_chain(const struct vq *vq, struct vq_chain *chain)
{
	struct vring_desc table;
	int ret;

	chain->nr = 0;
	ret = follow(chain, vq->desc, vq->size, chain->head,
		     vq->read ? &table : NULL);
	return ret == 1 ? copy_indirect(vq, chain, &table) : ret;
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

unsigned int vq_pending(const struct vq *vq)
{
	uint16_t avail = __atomic_load_n(&vq->avail->idx, __ATOMIC_SEQ_CST);
	uint16_t pending = (uint16_t)(avail - vq->next_avail);

	return pending < vq->size ? pending : vq->size;
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
	 * the index before load of the flags or the event; the guest stores
	 * those, then looks at the index.  One of the two sees the other.
	 */
	__atomic_store_n(&vq->used->idx, vq->next_used, __ATOMIC_SEQ_CST);
	if (vq->event_idx) {
		uint16_t event = __atomic_load_n(&vq->avail->ring[vq->size],
						 __ATOMIC_SEQ_CST);

		return event == (uint16_t)(vq->next_used - 1);
	}
	return !(__atomic_load_n(&vq->avail->flags, __ATOMIC_SEQ_CST) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

void vq_want_notify(struct vq *vq, bool on)
{
	/*
	 * Pairs with the guest's barrier between index and this.  An event that
	 * is left where it was lies behind the guest: it does not notify.
	 */
	if (!vq->event_idx)
		__atomic_store_n(&vq->used->flags,
				 on ? 0 : VRING_USED_F_NO_NOTIFY,
				 __ATOMIC_SEQ_CST);
	else if (on)
		__atomic_store_n((uint16_t *)&vq->used->ring[vq->size],
				 vq->next_avail, __ATOMIC_SEQ_CST);
}

int vq_drain(struct vq *vq, struct vq_chain *chain,
	     int (*fn)(void *ctx, const struct vq_chain *chain), void *ctx)
{
	bool notify = false;
	int ret;

	for (;;) {
		ret = vq_pop(vq, chain);
		if (ret < 0 || (!ret && notify))
			return ret;
		notify = !ret;
		if (notify) {
			vq_want_notify(vq, true);
			continue;
		}
		ret = fn(ctx, chain);
		if (ret <= 0)
			return ret ? ret : 1;
	}
}
