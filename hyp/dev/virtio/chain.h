/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bytes of a chain.  How a driver splits a request into segments is its own
 * affair (virtio 1.2, section 2.7.4): a device looks at bytes, not at segments.
 */
#ifndef HYP_DEV_VIRTIO_CHAIN_H
#define HYP_DEV_VIRTIO_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem;
struct vq_chain;

/** chain_bytes() - in all of its segments that are (@writable) or are not */
uint64_t chain_bytes(const struct vq_chain *chain, bool writable);

/**
 * chain_read() - copy from what the driver has written
 * @mem:    guest memory
 * @chain:  chain
 * @offset: byte of the chain's readable part
 * @dst:    copied to
 * @len:    at most
 *
 * Return: bytes copied, less than @len if there are no more; or the negative
 * errno of mem_read().
 */
int64_t chain_read(struct mem *mem, const struct vq_chain *chain,
		   uint64_t offset, void *dst, size_t len);

/** chain_write() - likewise, to what the device is to write */
int64_t chain_write(struct mem *mem, const struct vq_chain *chain,
		    uint64_t offset, const void *src, size_t len);

#endif /* HYP_DEV_VIRTIO_CHAIN_H */
