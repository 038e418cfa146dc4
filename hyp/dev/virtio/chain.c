// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/chain.h"

#include "hyp/dev/virtio/queue.h"
#include "hyp/mem/mem.h"

uint64_t chain_bytes(const struct vq_chain *chain, bool writable)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < chain->nr; i++)
		if (chain->segments[i].writable == writable)
			sum += chain->segments[i].len;
	return sum;
}

static int64_t copy(struct mem *mem, const struct vq_chain *chain,
		    uint64_t offset, void *buf, size_t len, bool write)
{
	size_t done = 0;
	unsigned int i;

	for (i = 0; i < chain->nr && done < len; i++) {
		const struct vq_segment *s = &chain->segments[i];
		size_t n = len - done;
		int err;

		if (s->writable != write)
			continue;
		if (offset >= s->len) {
			offset -= s->len;
			continue;
		}
		if (n > s->len - offset)
			n = s->len - (size_t)offset;
		/* May wrap: then it is not where the guest wanted, but its own. */
		if (write)
			err = mem_write(mem, s->gpa + offset,
					(char *)buf + done, n);
		else
			err = mem_read(mem, s->gpa + offset, (char *)buf + done,
				       n);
		if (err)
			return err;
		done += n;
		offset = 0;
	}
	return (int64_t)done;
}

int64_t chain_read(struct mem *mem, const struct vq_chain *chain,
		   uint64_t offset, void *dst, size_t len)
{
	return copy(mem, chain, offset, dst, len, false);
}

int64_t chain_write(struct mem *mem, const struct vq_chain *chain,
		    uint64_t offset, const void *src, size_t len)
{
	return copy(mem, chain, offset, (void *)src, len, true);
}
