// SPDX-License-Identifier: GPL-2.0-only
/*
 * The transport: registers in any order and width, rings in guest memory wherever
 * they say, and a device that takes requests and copies their data, as all do.
 */
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/mmio.h"
#include "hyp/fuzz/guest.h"
#include "hyp/mem/priv.h"

#define RAM_BYTES (4u << 20)
#define NR_QUEUES 3u
#define STEPS	  256

struct device {
	struct mem *mem;
	struct virtio_mmio *transport;
	bool started;
	uint8_t data[8192];
};

static struct device dev;

static void on_start(void *ctx)
{
	struct device *d = ctx;

	must(!d->started);
	d->started = true;
}

static void on_stop(void *ctx)
{
	struct device *d = ctx;

	must(d->started);
	d->started = false;
}

static void on_notify(void *ctx)
{
	must(((struct device *)ctx)->started);
}

static void on_config_read(void *ctx, uint64_t offset, void *data,
			   unsigned int len)
{
	(void)ctx;
	memset(data, (int)offset, len);
}

static const struct virtio_ops ops = {
	.device_id = VIRTIO_ID_CONSOLE,
	.start = on_start,
	.stop = on_stop,
	.notify = on_notify,
	.config_read = on_config_read,
};

static void on_irq(void *ctx, unsigned int irq, bool level)
{
	(void)ctx;
	(void)irq;
	(void)level;
}

static int serve(void *ctx, const struct vq_chain *chain)
{
	struct device *d = ctx;
	int64_t n = chain_read(d->mem, chain, 0, d->data, sizeof(d->data));

	must(n <= (int64_t)sizeof(d->data));
	if (n < 0)
		return (int)n;
	n = chain_write(d->mem, chain, chain->head, d->data, sizeof(d->data));
	must(n <= (int64_t)sizeof(d->data));
	return n < 0 ? (int)n : 1;
}

static void drain(struct device *d, unsigned int index)
{
	struct vq *vq = virtio_mmio_queue(d->transport, index);
	struct vq_chain chain;
	unsigned int i;

	for (i = 0; d->started && vq && i < 32; i++) {
		if (vq_pop(vq, &chain) != 1)
			break;
		if (serve(d, &chain) < 0) {
			virtio_mmio_fail(d->transport, "fuzz");
			break;
		}
		if (vq_push(vq, chain.head, chain.nr))
			virtio_mmio_interrupt(d->transport);
	}
}

/* Registers that matter, mostly, and values that do. */
static void write_register(struct device *d, struct input *in)
{
	static const uint16_t regs[] = {
		VIRTIO_MMIO_QUEUE_SEL,
		VIRTIO_MMIO_QUEUE_NUM,
		VIRTIO_MMIO_QUEUE_READY,
		VIRTIO_MMIO_QUEUE_DESC_LOW,
		VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		VIRTIO_MMIO_QUEUE_USED_LOW,
		VIRTIO_MMIO_QUEUE_DESC_HIGH,
		VIRTIO_MMIO_STATUS,
		VIRTIO_MMIO_DRIVER_FEATURES,
		VIRTIO_MMIO_DRIVER_FEATURES_SEL,
		VIRTIO_MMIO_QUEUE_NOTIFY,
		VIRTIO_MMIO_INTERRUPT_ACK,
		VIRTIO_MMIO_DEVICE_FEATURES_SEL,
	};
	static const unsigned int lens[] = { 4, 4, 4, 4, 4, 1, 2, 8 };
	uint8_t which = take_byte(in);
	uint64_t value = which & 0x40 ? take_quad(in) : take_word(in);
	uint64_t reg = which & 0x80 ? take_word(in) % 0x1000 :
				      regs[which % (sizeof(regs) / 2)];

	virtio_mmio_bus_ops.write(d->transport, reg, &value,
				  lens[take_byte(in) % 8]);
}

static void read_register(struct device *d, struct input *in)
{
	unsigned int len = 1u << take_byte(in) % 4;
	/* Of exactly that size. */
	void *data = malloc(len);

	must(data);
	memset(data, 0xff, len);
	virtio_mmio_bus_ops.read(d->transport, take_word(in) % 0x1000, data,
				 len);
	free(data);
}

static void write_memory(struct device *d, struct input *in)
{
	uint8_t buf[64];
	size_t len = take_byte(in) % sizeof(buf) + 1;

	take(in, buf, len);
	/* Rings are near the start. */
	mem_write(d->mem, take_word(in), buf, len);
}

/* As a driver would, so that there is something to be wrong about. */
static void set_up(struct device *d)
{
	static const struct {
		uint32_t reg, value;
	} steps[] = {
		{ VIRTIO_MMIO_STATUS, 3 },
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0 },
		{ VIRTIO_MMIO_DRIVER_FEATURES, 1u << 28 },
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1 },
		{ VIRTIO_MMIO_DRIVER_FEATURES, 1 },
		{ VIRTIO_MMIO_STATUS, 11 },
		{ VIRTIO_MMIO_QUEUE_SEL, 0 },
		{ VIRTIO_MMIO_QUEUE_NUM, 8 },
		{ VIRTIO_MMIO_QUEUE_DESC_LOW, 0 },
		{ VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x80 },
		{ VIRTIO_MMIO_QUEUE_USED_LOW, 0x100 },
		{ VIRTIO_MMIO_QUEUE_READY, 1 },
		{ VIRTIO_MMIO_STATUS, 15 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		virtio_mmio_bus_ops.write(d->transport, steps[i].reg,
					  &steps[i].value, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct virtio_irq irq = { on_irq, NULL, 5 };
	static const uint8_t zeros[0x10040];
	struct input in = { data, len };
	unsigned int i;

	/* One guest for all: what an input can write is made zero first. */
	if (!dev.mem)
		dev.mem = guest_create(
			(struct mem_config){ .size_bytes = RAM_BYTES });
	must(!mem_write(dev.mem, 0, zeros, sizeof(zeros)));
	dev.started = false;
	must(!virtio_mmio_create(&dev.transport, dev.mem, &ops, &dev, NR_QUEUES,
				 0, &irq));
	if (take_byte(&in) & 1)
		set_up(&dev);
	for (i = 0; i < STEPS && in.len; i++) {
		uint8_t what = take_byte(&in);

		switch (what % 8) {
		case 0:
			read_register(&dev, &in);
			break;
		case 1:
			drain(&dev, what / 8 % NR_QUEUES);
			break;
		case 2:
		case 3:
		case 4:
			write_memory(&dev, &in);
			break;
		default:
			write_register(&dev, &in);
		}
	}
	virtio_mmio_destroy(dev.transport);
	for (i = 0; i < dev.mem->nr_frames; i++)
		must(!dev.mem->frames[i].pins);
	return 0;
}
