/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which device answers at a port or a guest-physical address.  Filled by one
 * thread, then sealed; from then on immutable, so that vCPU threads look up
 * without a lock.
 */
#ifndef HYP_DEV_BUS_H
#define HYP_DEV_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_MAX_RANGES 32

/** struct bus_ops - accesses to one range; @len is 1, 2, 4 or 8 */
struct bus_ops {
	/* @data is all ones; a device need not write it. */
	void (*read)(void *dev, uint64_t offset, void *data, unsigned int len);
	void (*write)(void *dev, uint64_t offset, const void *data,
		      unsigned int len);
};

struct bus_range {
	uint64_t start;
	uint64_t len;
	const struct bus_ops *ops;
	void *dev;
};

/** struct bus - embedded in the VM: one for ports, one for memory */
struct bus {
	struct bus_range ranges[BUS_MAX_RANGES];
	unsigned int nr;
	bool sealed;
};

/**
 * bus_add() - attach a device
 * @bus:   not yet sealed
 * @start: first port or address
 * @len:   how many; > 0
 * @ops:   either function may be NULL
 * @dev:   first argument of them
 *
 * Return: 0, -ENOSPC, -EEXIST if it overlaps another, -EINVAL.
 */
int bus_add(struct bus *bus, uint64_t start, uint64_t len,
	    const struct bus_ops *ops, void *dev);

/** bus_seal() - no more changes: vCPUs may run */
void bus_seal(struct bus *bus);

/**
 * bus_read() - an access of the guest
 * @bus:  sealed
 * @addr: untrusted
 * @data: @len bytes; all ones where nobody answers
 * @len:  1, 2, 4 or 8
 *
 * Return: false if no device is there.
 */
bool bus_read(const struct bus *bus, uint64_t addr, void *data,
	      unsigned int len);

/** bus_write() - likewise; nobody there: ignored, and false */
bool bus_write(const struct bus *bus, uint64_t addr, const void *data,
	       unsigned int len);

#endif /* HYP_DEV_BUS_H */
