// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/virtio/mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "hyp/mem/mem.h"

#define MMIO_MAGIC   0x74726976 /* "virt" */
#define MMIO_VERSION 2
#define MMIO_VENDOR  0x00707968 /* "hyp" */
#define STATUS_KNOWN                                                           \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |                \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |             \
	 VIRTIO_CONFIG_S_FAILED)

/* Parts of a queue, in the order of their registers. */
enum part { PART_DESC, PART_AVAIL, PART_USED, NR_PARTS };

/* Everything below @lock is guarded by it. */
struct virtio_mmio {
	struct mem *mem;
	const struct virtio_ops *ops;
	void *dev;
	uint64_t features;
	struct virtio_irq irq;
	struct ratelimit log;

	pthread_mutex_t lock;
	uint32_t status, isr;
	bool resetting; /* a vCPU is in virtio_reset() */
	bool started;
	uint32_t features_sel, driver_sel, queue_sel;
	uint64_t driver_features;
	uint32_t queue_num;
	bool queue_ready; /* the rings are pinned */
	uint64_t part_gpa[NR_PARTS];
	struct vq vq;
};

static void __set_isr(struct virtio_mmio *v, uint32_t isr)
{
	/* Under the lock, so that the line follows the register. */
	v->isr = isr;
	v->irq.set(v->irq.ctx, v->irq.irq, isr != 0);
}

static uint32_t part_bytes(enum part part, uint16_t size)
{
	switch (part) {
	case PART_DESC:
		return vq_desc_bytes(size);
	case PART_AVAIL:
		return vq_avail_bytes(size);
	default:
		return vq_used_bytes(size);
	}
}

static void __release_queue(struct virtio_mmio *v)
{
	unsigned int i;

	if (!v->queue_ready)
		return;
	for (i = 0; i < NR_PARTS; i++)
		mem_put(v->mem, v->part_gpa[i], part_bytes(i, v->vq.size));
	v->queue_ready = false;
}

static void __fail(struct virtio_mmio *v, const char *what)
{
	log_guest(&v->log, "virtio device %u: %s; it needs a reset",
		  v->ops->device_id, what);
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
		__set_isr(v, v->isr | VIRTIO_MMIO_INT_CONFIG);
}

/*
 * The rings stay pinned until the device is reset: they are in use all the
 * time, and the device thread must never wait for their content.
 */
static void __ready_queue(struct virtio_mmio *v)
{
	uint16_t size = (uint16_t)v->queue_num;
	void *hva[NR_PARTS];
	unsigned int i;
	int err;

	if (v->queue_ready || (v->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (!v->queue_num || v->queue_num > VQ_MAX_SIZE) {
		__fail(v, "impossible queue size");
		return;
	}
	for (i = 0; i < NR_PARTS; i++)
		if (mem_get(v->mem, v->part_gpa[i], part_bytes(i, size),
			    &hva[i]))
			goto err_put;
	err = vq_init(&v->vq, size, hva[PART_DESC], hva[PART_AVAIL],
		      hva[PART_USED]);
	if (err)
		goto err_put;
	v->queue_ready = true;
	return;

err_put:
	while (i--)
		mem_put(v->mem, v->part_gpa[i], part_bytes(i, size));
	__fail(v, "impossible queue address");
}

/* Called with the lock held; drops it while the device finishes. */
static void __reset(struct virtio_mmio *v)
{
	if (v->started) {
		/*
		 * Other vCPUs see the old status and their writes are ignored
		 * until the device is quiet: nobody starts it in between.
		 */
		v->resetting = true;
		pthread_mutex_unlock(&v->lock);
		v->ops->stop(v->dev);
		pthread_mutex_lock(&v->lock);
		v->resetting = false;
		v->started = false;
	}
	__release_queue(v);
	v->status = 0;
	v->features_sel = v->driver_sel = v->queue_sel = 0;
	v->driver_features = 0;
	v->queue_num = 0;
	memset(v->part_gpa, 0, sizeof(v->part_gpa));
	__set_isr(v, 0);
}

static void __write_status(struct virtio_mmio *v, uint32_t value)
{
	uint64_t offered = v->features | 1ull << VIRTIO_F_VERSION_1;
	uint32_t added;

	if (!value) {
		__reset(v);
		return;
	}
	added = value & STATUS_KNOWN & ~v->status;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK)
		if ((v->driver_features & ~offered) ||
		    !(v->driver_features & 1ull << VIRTIO_F_VERSION_1))
			added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	v->status |= added;
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && v->queue_ready &&
	    !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET)) {
		v->started = true;
		v->ops->start(v->dev);
	}
}

static void set_half(uint64_t *reg, bool high, uint32_t value)
{
	unsigned int shift = high ? 32 : 0;

	*reg = (*reg & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static void __write_queue_address(struct virtio_mmio *v, uint64_t reg,
				  uint32_t value)
{
	/* DESC, AVAIL and USED are pairs of registers, 0x10 apart. */
	uint64_t offset = reg - VIRTIO_MMIO_QUEUE_DESC_LOW;

	/* Once ready, these are what was pinned: __release_queue() needs them. */
	if (!v->queue_ready && v->queue_sel == 0)
		set_half(&v->part_gpa[offset / 0x10], offset % 0x10, value);
}

static void __write_reg(struct virtio_mmio *v, uint64_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		v->features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		v->driver_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (v->driver_sel < 2 &&
		    !(v->status & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(&v->driver_features, v->driver_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		v->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		if (!v->queue_ready && v->queue_sel == 0)
			v->queue_num = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (v->queue_sel == 0 && value == 1)
			__ready_queue(v);
		else if (v->queue_sel == 0 && !v->started)
			__release_queue(v);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (value == 0 && v->started &&
		    !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET))
			v->ops->notify(v->dev);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		__set_isr(v, v->isr & ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		__write_status(v, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		__write_queue_address(v, reg, value);
		break;
	}
}

static uint32_t __read_reg(const struct virtio_mmio *v, uint64_t reg)
{
	uint64_t offered = v->features | 1ull << VIRTIO_F_VERSION_1;

	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return v->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		if (v->features_sel > 1)
			return 0;
		return (uint32_t)(offered >> (32 * v->features_sel));
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return v->queue_sel == 0 ? VQ_MAX_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return v->queue_sel == 0 && v->queue_ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return v->isr;
	case VIRTIO_MMIO_STATUS:
		return v->status;
	default: /* among them the configuration's generation, constant here */
		return 0;
	}
}

static void mmio_read(void *dev, uint64_t offset, void *data, unsigned int len)
{
	struct virtio_mmio *v = dev;
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		v->ops->config_read(v->dev, offset - VIRTIO_MMIO_CONFIG, data,
				    len);
		return;
	}
	if (len != sizeof(value))
		return;
	pthread_mutex_lock(&v->lock);
	value = __read_reg(v, offset);
	pthread_mutex_unlock(&v->lock);
	memcpy(data, &value, sizeof(value));
}

static void mmio_write(void *dev, uint64_t offset, const void *data,
		       unsigned int len)
{
	struct virtio_mmio *v = dev;
	uint32_t value;

	if (len != sizeof(value) || offset >= VIRTIO_MMIO_CONFIG)
		return;
	memcpy(&value, data, sizeof(value));
	pthread_mutex_lock(&v->lock);
	if (!v->resetting)
		__write_reg(v, offset, value);
	pthread_mutex_unlock(&v->lock);
}

const struct bus_ops virtio_mmio_bus_ops = { mmio_read, mmio_write };

int virtio_mmio_create(struct virtio_mmio **out, struct mem *mem,
		       const struct virtio_ops *ops, void *dev,
		       uint64_t features, const struct virtio_irq *irq)
{
	struct virtio_mmio *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->mem = mem;
	v->ops = ops;
	v->dev = dev;
	v->features = features;
	v->irq = *irq;
	*out = v;
	return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *v)
{
	if (!v)
		return;
	__release_queue(v);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

struct vq *virtio_mmio_queue(struct virtio_mmio *v)
{
	return &v->vq;
}

void virtio_mmio_interrupt(struct virtio_mmio *v)
{
	pthread_mutex_lock(&v->lock);
	__set_isr(v, v->isr | VIRTIO_MMIO_INT_VRING);
	pthread_mutex_unlock(&v->lock);
}

void virtio_mmio_fail(struct virtio_mmio *v, const char *what)
{
	pthread_mutex_lock(&v->lock);
	__fail(v, what);
	pthread_mutex_unlock(&v->lock);
}
