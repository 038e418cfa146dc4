// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/bus.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int bus_add(struct bus *bus, uint64_t start, uint64_t len,
	    const struct bus_ops *ops, void *dev)
{
	unsigned int at = bus->nr;

	assert(!bus->sealed);
	if (!len || len - 1 > UINT64_MAX - start)
		return -EINVAL;
	if (bus->nr == BUS_MAX_RANGES)
		return -ENOSPC;
	while (at > 0 && bus->ranges[at - 1].start > start)
		at--;
	if (at > 0 &&
	    start - bus->ranges[at - 1].start < bus->ranges[at - 1].len)
		return -EEXIST;
	if (at < bus->nr && bus->ranges[at].start - start < len)
		return -EEXIST;
	memmove(&bus->ranges[at + 1], &bus->ranges[at],
		(bus->nr - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = (struct bus_range){ start, len, ops, dev };
	bus->nr++;
	return 0;
}

void bus_seal(struct bus *bus)
{
	bus->sealed = true;
}

/* The range that holds all of [addr, addr + len), or NULL. */
static const struct bus_range *find(const struct bus *bus, uint64_t addr,
				    unsigned int len)
{
	unsigned int low = 0, high = bus->nr;
	const struct bus_range *range;
	uint64_t offset;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (bus->ranges[mid].start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	range = &bus->ranges[low - 1];
	offset = addr - range->start;
	if (offset >= range->len || len > range->len - offset)
		return NULL;
	return range;
}

bool bus_read(const struct bus *bus, uint64_t addr, void *data,
	      unsigned int len)
{
	const struct bus_range *range = find(bus, addr, len);

	assert(bus->sealed);
	memset(data, 0xff, len);
	if (!range || !range->ops->read)
		return range != NULL;
	range->ops->read(range->dev, addr - range->start, data, len);
	return true;
}

bool bus_write(const struct bus *bus, uint64_t addr, const void *data,
	       unsigned int len)
{
	const struct bus_range *range = find(bus, addr, len);

	assert(bus->sealed);
	if (range && range->ops->write)
		range->ops->write(range->dev, addr - range->start, data, len);
	return range != NULL;
}
