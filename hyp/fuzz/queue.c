// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio queue over rings that are the guest's.  Each ring is an allocation of
 * exactly its size, so that ASan sees one byte too many; they change between
 * requests, and indirect tables are anywhere.
 */
#include <errno.h>

#include "hyp/dev/virtio/queue.h"
#include "hyp/fuzz/input.h"

#define STEPS 64

struct table {
	struct input *in;
};

/* The guest's memory reads as what comes next, or not at all. */
static int read_table(void *ctx, uint64_t gpa, void *dst, size_t len)
{
	struct table *t = ctx;

	if (gpa % 16 == 15)
		return -EFAULT;
	take(t->in, dst, len);
	return 0;
}

/* What the device relies on. */
static void check(const struct vq *vq, const struct vq_chain *chain)
{
	bool writable = false;
	unsigned int i;

	must(chain->nr && chain->nr <= VQ_MAX_SEGMENTS);
	must(chain->head < vq->size);
	for (i = 0; i < chain->nr; i++) {
		must(chain->segments[i].len);
		/* Section 2.7.4.2: those to be written come last. */
		must(chain->segments[i].writable || !writable);
		writable = chain->segments[i].writable;
	}
}

static void scribble(struct input *in, uint8_t *ring, size_t bytes)
{
	size_t at = take_word(in) % bytes;
	size_t len = take_byte(in) % 33;

	take(in, ring + at, len < bytes - at ? len : bytes - at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	uint16_t size = (uint16_t)(1u << take_byte(&in) % 9);
	size_t bytes[] = { vq_desc_bytes(size), vq_avail_bytes(size),
			   vq_used_bytes(size) };
	struct table table = { &in };
	uint8_t flags = take_byte(&in);
	struct vq_chain chain;
	uint8_t *ring[3];
	unsigned int i;
	struct vq vq;

	for (i = 0; i < 3; i++) {
		/* malloc() aligns to 16, as all of them want. */
		ring[i] = malloc(bytes[i]);
		must(ring[i]);
		take(&in, ring[i], bytes[i] < 64 ? bytes[i] : 64);
		if (bytes[i] > 64)
			memset(ring[i] + 64, 0, bytes[i] - 64);
	}
	must(!vq_init(&vq, size, ring[0], ring[1], ring[2]));
	vq.event_idx = flags & 1;
	if (flags & 2) {
		vq.read = read_table;
		vq.read_ctx = &table;
	}
	vq.next_avail = vq.next_used = flags & 4 ? 0xfffe : 0;
	for (i = 0; i < STEPS && in.len; i++) {
		uint8_t what = take_byte(&in);

		if (what % 4 == 0)
			vq_want_notify(&vq, what & 4);
		else if (what % 4 == 1)
			scribble(&in, ring[what / 4 % 3], bytes[what / 4 % 3]);
		else if (vq_pop(&vq, &chain) == 1) {
			check(&vq, &chain);
			vq_push(&vq, chain.head, what);
		}
	}
	for (i = 0; i < 3; i++)
		free(ring[i]);
	return 0;
}
