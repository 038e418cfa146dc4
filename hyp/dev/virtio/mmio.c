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

struct queue {
	uint32_t num;
	bool ready; /* the rings are pinned */
	uint64_t part_gpa[NR_PARTS];
	struct vq vq;
};

/* Everything below @lock is guarded by it. */
struct virtio_mmio {
	struct mem *mem;
	const struct virtio_ops *ops;
	void *dev;
	unsigned int nr_queues;
	uint64_t offered;
	struct virtio_irq irq;
	struct ratelimit log;

	pthread_mutex_t lock;
	uint32_t status, isr;
	bool resetting; /* a vCPU is in virtio_reset() */
	bool started;
	uint32_t features_sel, driver_sel, queue_sel;
	uint64_t driver_features;
	uint32_t generation; /* of the configuration */
	struct queue queues[VIRTIO_MAX_QUEUES];
};

static bool has(const struct virtio_mmio *v, unsigned int feature)
{
	return v->driver_features >> feature & 1;
}

/* The queue that the guest has selected, or NULL. */
static struct queue *selected(struct virtio_mmio *v)
{
	return v->queue_sel < v->nr_queues ? &v->queues[v->queue_sel] : NULL;
}

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

static void __release_queue(struct virtio_mmio *v, struct queue *q)
{
	unsigned int i;

	if (!q->ready)
		return;
	for (i = 0; i < NR_PARTS; i++)
		mem_put(v->mem, q->part_gpa[i], part_bytes(i, q->vq.size));
	q->ready = false;
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
static void __ready_queue(struct virtio_mmio *v, struct queue *q)
{
	uint16_t size = (uint16_t)q->num;
	void *hva[NR_PARTS];
	unsigned int i;
	int err;

	if (q->ready || (v->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (!q->num || q->num > VQ_MAX_SIZE) {
		__fail(v, "impossible queue size");
		return;
	}
	for (i = 0; i < NR_PARTS; i++)
		if (mem_get(v->mem, q->part_gpa[i], part_bytes(i, size),
			    &hva[i]))
			goto err_put;
	err = vq_init(&q->vq, size, hva[PART_DESC], hva[PART_AVAIL],
		      hva[PART_USED]);
	if (err)
		goto err_put;
	q->ready = true;
	return;

err_put:
	while (i--)
		mem_put(v->mem, q->part_gpa[i], part_bytes(i, size));
	__fail(v, "impossible queue address");
}

static int read_table(void *ctx, uint64_t gpa, void *dst, size_t len)
{
	return mem_read(ctx, gpa, dst, len);
}

/* Features are final now, and so are the queues. */
static void __start(struct virtio_mmio *v)
{
	unsigned int i, ready = 0;

	if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	for (i = 0; i < v->nr_queues; i++) {
		struct vq *vq = &v->queues[i].vq;

		if (!v->queues[i].ready)
			continue;
		ready++;
		vq->event_idx = has(v, VIRTIO_RING_F_EVENT_IDX);
		if (has(v, VIRTIO_RING_F_INDIRECT_DESC)) {
			vq->read = read_table;
			vq->read_ctx = v->mem;
		}
	}
	if (!ready)
		return;
	v->started = true;
	v->ops->start(v->dev);
}

/* Called with the lock held; drops it while the device finishes. */
static void __reset(struct virtio_mmio *v)
{
	unsigned int i;

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
	for (i = 0; i < v->nr_queues; i++)
		__release_queue(v, &v->queues[i]);
	memset(v->queues, 0, sizeof(v->queues));
	v->status = 0;
	v->features_sel = v->driver_sel = v->queue_sel = 0;
	v->driver_features = 0;
	if (v->ops->reset)
		v->ops->reset(v->dev);
	__set_isr(v, 0);
}

static void __write_status(struct virtio_mmio *v, uint32_t value)
{
	uint32_t added;

	if (!value) {
		__reset(v);
		return;
	}
	added = value & STATUS_KNOWN & ~v->status;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK)
		if ((v->driver_features & ~v->offered) ||
		    !has(v, VIRTIO_F_VERSION_1))
			added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	v->status |= added & ~VIRTIO_CONFIG_S_DRIVER_OK;
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (!(v->status & VIRTIO_CONFIG_S_FEATURES_OK)) {
		__fail(v, "driver without agreed features");
		return;
	}
	v->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	__start(v);
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

	struct queue *q = selected(v);

	/* Once ready, these are what was pinned: __release_queue() needs them. */
	if (q && !q->ready)
		set_half(&q->part_gpa[offset / 0x10], offset % 0x10, value);
}

static void __write_reg(struct virtio_mmio *v, uint64_t reg, uint32_t value)
{
	struct queue *q = selected(v);

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
		if (q && !q->ready)
			q->num = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (q && value == 1)
			__ready_queue(v, q);
		else if (q && !v->started)
			__release_queue(v, q);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (v->started && !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET))
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

static uint32_t __read_reg(struct virtio_mmio *v, uint64_t reg)
{
	const struct queue *q = selected(v);

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
		return (uint32_t)(v->offered >> (32 * v->features_sel));
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return q ? VQ_MAX_SIZE : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return q && q->ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return v->isr;
	case VIRTIO_MMIO_STATUS:
		return v->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return v->generation;
	default:
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

	if (offset >= VIRTIO_MMIO_CONFIG) {
		if (v->ops->config_write)
			v->ops->config_write(
				v->dev, offset - VIRTIO_MMIO_CONFIG, data, len);
		return;
	}
	if (len != sizeof(value))
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
		       unsigned int nr_queues, uint64_t features,
		       const struct virtio_irq *irq)
{
	struct virtio_mmio *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->mem = mem;
	v->ops = ops;
	v->dev = dev;
	v->nr_queues = nr_queues;
	v->offered = features | 1ull << VIRTIO_F_VERSION_1 |
		     1ull << VIRTIO_RING_F_EVENT_IDX |
		     1ull << VIRTIO_RING_F_INDIRECT_DESC;
	v->irq = *irq;
	*out = v;
	return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *v)
{
	unsigned int i;

	if (!v)
		return;
	for (i = 0; i < v->nr_queues; i++)
		__release_queue(v, &v->queues[i]);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

struct vq *virtio_mmio_queue(struct virtio_mmio *v, unsigned int index)
{
	struct queue *q = &v->queues[index];

	return q->ready ? &q->vq : NULL;
}

bool virtio_mmio_has(const struct virtio_mmio *v, unsigned int feature)
{
	return has(v, feature);
}

void virtio_mmio_interrupt(struct virtio_mmio *v)
{
	pthread_mutex_lock(&v->lock);
	__set_isr(v, v->isr | VIRTIO_MMIO_INT_VRING);
	pthread_mutex_unlock(&v->lock);
}

void virtio_mmio_config_changed(struct virtio_mmio *v)
{
	pthread_mutex_lock(&v->lock);
	v->generation++;
	if (v->status & VIRTIO_CONFIG_S_DRIVER_OK)
		__set_isr(v, v->isr | VIRTIO_MMIO_INT_CONFIG);
	pthread_mutex_unlock(&v->lock);
}

void virtio_mmio_fail(struct virtio_mmio *v, const char *what)
{
	pthread_mutex_lock(&v->lock);
	__fail(v, what);
	pthread_mutex_unlock(&v->lock);
}
