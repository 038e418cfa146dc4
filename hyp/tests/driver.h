/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio driver for tests, without KVM: it uses a device through the
 * registers of the transport and rings in guest memory, and can be as hostile as
 * a test likes.
 */
#ifndef HYP_TESTS_DRIVER_H
#define HYP_TESTS_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hyp/dev/virtio/mmio.h"
#include "hyp/mem/mem.h"

#define DRIVER_RAM_BYTES  (64 * MIB)
#define DRIVER_QUEUE_SIZE 256u
#define DRIVER_RINGS_GPA  0x10000u
#define DRIVER_RING_BYTES 0x3000u /* of each queue */
#define DRIVER_AVAIL_OFF  0x1000u
#define DRIVER_USED_OFF	  0x2000u
#define DRIVER_OK_STATUS                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |                \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

struct driver_queue {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	unsigned int nr_desc;
	uint16_t avail_idx;
};

struct driver {
	struct mem *mem;
	struct virtio_mmio *transport;
	void *rings;
	unsigned int nr_rings; /* pinned: a set for each queue */
	unsigned int first;    /* the set of the first queue */
	unsigned int nr_queues;
	struct driver_queue queues[VIRTIO_MAX_QUEUES];
	pthread_mutex_t lock; /* guards @irqs; taken below the device's */
	pthread_cond_t irq;
	unsigned int irqs;
	bool fatal; /* atomic */
};

static inline void driver_on_fatal(void *ctx, int err, const char *what)
{
	struct driver *d = ctx;

	(void)err;
	(void)what;
	__atomic_store_n(&d->fatal, true, __ATOMIC_RELAXED);
}

static inline void driver_on_irq(void *ctx, unsigned int irq, bool level)
{
	struct driver *d = ctx;

	(void)irq;
	if (!level)
		return;
	pthread_mutex_lock(&d->lock);
	d->irqs++;
	pthread_cond_broadcast(&d->irq);
	pthread_mutex_unlock(&d->lock);
}

static inline struct virtio_irq driver_irq(struct driver *d)
{
	return (struct virtio_irq){ driver_on_irq, d, 5 };
}

static inline unsigned int driver_irqs(struct driver *d)
{
	unsigned int nr;

	pthread_mutex_lock(&d->lock);
	nr = d->irqs;
	pthread_mutex_unlock(&d->lock);
	return nr;
}

/* Until there have been more than @seen. */
static inline void driver_wait_irq(struct driver *d, unsigned int seen)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&d->lock);
	while (d->irqs == seen && !err)
		err = pthread_cond_timedwait(&d->irq, &d->lock, &until);
	pthread_mutex_unlock(&d->lock);
	if (err)
		fail_msg("no interrupt");
}

/* The next driver_start() is with other rings, that follow the first @first. */
static inline void driver_use(struct driver *d, unsigned int first,
			      unsigned int nr_queues)
{
	unsigned int i;

	assert_true(first + nr_queues <= d->nr_rings);
	d->first = first;
	d->nr_queues = nr_queues;
	for (i = 0; i < nr_queues; i++) {
		uint8_t *hva =
			(uint8_t *)d->rings + (first + i) * DRIVER_RING_BYTES;

		d->queues[i].desc = (void *)hva;
		d->queues[i].avail = (void *)(hva + DRIVER_AVAIL_OFF);
		d->queues[i].used = (void *)(hva + DRIVER_USED_OFF);
	}
}

/* Guest memory; the device is the test's to create, with driver_irq(). */
static inline void driver_init(struct driver *d, struct mem_config cfg,
			       unsigned int nr_queues)
{
	const char *why = NULL;

	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->irq, NULL);
	cfg.size_bytes = DRIVER_RAM_BYTES;
	cfg.fatal = driver_on_fatal;
	cfg.ctx = d;
	if (mem_create(&d->mem, &cfg, &why))
		fail_msg("mem_create: %s", why);
	assert_int_equal(mem_start(d->mem), 0);
	d->nr_rings = nr_queues;
	assert_int_equal(mem_get(d->mem, DRIVER_RINGS_GPA,
				 nr_queues * DRIVER_RING_BYTES, &d->rings),
			 0);
	driver_use(d, 0, nr_queues);
}

/* The device is stopped and destroyed. */
static inline void driver_fini(struct driver *d)
{
	mem_put(d->mem, DRIVER_RINGS_GPA, d->nr_rings * DRIVER_RING_BYTES);
	mem_stop(d->mem);
	mem_destroy(d->mem);
	assert_false(d->fatal);
	pthread_cond_destroy(&d->irq);
	pthread_mutex_destroy(&d->lock);
}

static inline void driver_set(struct driver *d, unsigned int reg,
			      uint32_t value)
{
	virtio_mmio_bus_ops.write(d->transport, reg, &value, sizeof(value));
}

static inline uint32_t driver_get(struct driver *d, unsigned int reg)
{
	uint32_t value = ~0u;

	virtio_mmio_bus_ops.read(d->transport, reg, &value, sizeof(value));
	return value;
}

static inline void driver_reset(struct driver *d)
{
	unsigned int i;

	driver_set(d, VIRTIO_MMIO_STATUS, 0);
	memset(d->queues[0].desc, 0, d->nr_queues * DRIVER_RING_BYTES);
	for (i = 0; i < d->nr_queues; i++) {
		d->queues[i].nr_desc = 0;
		d->queues[i].avail_idx = 0;
	}
}

static inline void driver_set_queue(struct driver *d, unsigned int i)
{
	uint32_t gpa = DRIVER_RINGS_GPA + (d->first + i) * DRIVER_RING_BYTES;

	driver_set(d, VIRTIO_MMIO_QUEUE_SEL, i);
	driver_set(d, VIRTIO_MMIO_QUEUE_NUM, DRIVER_QUEUE_SIZE);
	driver_set(d, VIRTIO_MMIO_QUEUE_DESC_LOW, gpa);
	driver_set(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW, gpa + DRIVER_AVAIL_OFF);
	driver_set(d, VIRTIO_MMIO_QUEUE_USED_LOW, gpa + DRIVER_USED_OFF);
	driver_set(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* On @features beside VERSION_1. */
static inline void driver_agree(struct driver *d, uint64_t features)
{
	unsigned int i;

	features |= 1ull << VIRTIO_F_VERSION_1;
	driver_set(d, VIRTIO_MMIO_STATUS,
		   VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < 2; i++) {
		driver_set(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		driver_set(d, VIRTIO_MMIO_DRIVER_FEATURES,
			   (uint32_t)(features >> 32 * i));
	}
	driver_set(d, VIRTIO_MMIO_STATUS,
		   DRIVER_OK_STATUS & ~VIRTIO_CONFIG_S_DRIVER_OK);
}

/* With all queues. */
static inline void driver_start(struct driver *d, uint64_t features)
{
	unsigned int i;

	driver_agree(d, features);
	for (i = 0; i < d->nr_queues; i++)
		driver_set_queue(d, i);
	driver_set(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	/* What is in the rings already may be malformed. */
	assert_int_equal(driver_get(d, VIRTIO_MMIO_STATUS) &
				 ~VIRTIO_CONFIG_S_NEEDS_RESET,
			 DRIVER_OK_STATUS);
}

/* One more descriptor, to be followed by the next one if @flags say so. */
static inline void driver_desc(struct driver *d, unsigned int queue,
			       uint64_t gpa, uint32_t len, uint16_t flags)
{
	struct driver_queue *q = &d->queues[queue];

	assert_true(q->nr_desc < DRIVER_QUEUE_SIZE);
	q->desc[q->nr_desc] = (struct vring_desc){ gpa, len, flags,
						   (uint16_t)(q->nr_desc + 1) };
	q->nr_desc++;
}

/* A request that begins at descriptor @head. */
static inline void driver_offer(struct driver *d, unsigned int queue,
				uint16_t head)
{
	struct driver_queue *q = &d->queues[queue];

	q->avail->ring[q->avail_idx++ % DRIVER_QUEUE_SIZE] = head;
	__atomic_store_n(&q->avail->idx, q->avail_idx, __ATOMIC_SEQ_CST);
	driver_set(d, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static inline uint16_t driver_used(struct driver *d, unsigned int queue)
{
	return __atomic_load_n(&d->queues[queue].used->idx, __ATOMIC_ACQUIRE);
}

/* All that has been offered is used, or the device wants a reset. */
static inline bool driver_wait(struct driver *d, unsigned int queue)
{
	for (;;) {
		unsigned int seen = driver_irqs(d);

		if (driver_get(d, VIRTIO_MMIO_STATUS) &
		    VIRTIO_CONFIG_S_NEEDS_RESET)
			return false;
		if (driver_used(d, queue) == d->queues[queue].avail_idx)
			return true;
		/* Or the next interrupt is no edge. */
		driver_set(d, VIRTIO_MMIO_INTERRUPT_ACK, ~0u);
		if (driver_used(d, queue) == d->queues[queue].avail_idx)
			return true;
		driver_wait_irq(d, seen);
	}
}

/* A request of one segment, by itself. */
static inline bool driver_request(struct driver *d, unsigned int queue,
				  uint64_t gpa, uint32_t len, uint16_t flags)
{
	uint16_t head = (uint16_t)d->queues[queue].nr_desc;

	driver_desc(d, queue, gpa, len, flags);
	driver_offer(d, queue, head);
	return driver_wait(d, queue);
}

#endif /* HYP_TESTS_DRIVER_H */
