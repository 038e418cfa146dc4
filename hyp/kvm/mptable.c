// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts: MultiProcessor Specification 1.4, chapter 4.  Interrupts of the
 * virtio devices are level-triggered and active high: the line is up while
 * the interrupt status register is not zero.  The others are ISA's.
 */
#include "hyp/kvm/mptable.h"

#include <errno.h>
#include <string.h>

#include "hyp/kvm/layout.h"

#define MP_PROCESSOR 0
#define MP_BUS	     1
#define MP_IOAPIC    2
#define MP_INTERRUPT 3
#define MP_LOCAL     4

#define MP_INT	  0
#define MP_NMI	  1
#define MP_EXTINT 3

#define MP_CONFORMING 0x0
#define MP_LEVEL_HIGH 0xd

#define APIC_VERSION 0x14
#define ISA_IRQS     16
#define ALL_LAPICS   0xff

struct mp_floating {
	char signature[4];
	uint32_t table;
	uint8_t length, spec, checksum, features[5];
} __attribute__((packed));

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t spec, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, entries;
	uint32_t lapic;
	uint16_t ext_length;
	uint8_t ext_checksum, reserved;
} __attribute__((packed));

struct mp_processor {
	uint8_t type, id, version, flags;
	uint32_t signature, features, reserved[2];
} __attribute__((packed));

struct mp_bus {
	uint8_t type, id;
	char name[6];
} __attribute__((packed));

struct mp_ioapic {
	uint8_t type, id, version, flags;
	uint32_t address;
} __attribute__((packed));

struct mp_interrupt {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t src_bus, src_irq, dst_apic, dst_pin;
} __attribute__((packed));

_Static_assert(sizeof(struct mp_floating) == 16, "MP spec 4.1");
_Static_assert(sizeof(struct mp_header) == 44, "MP spec 4.2");
_Static_assert(sizeof(struct mp_processor) == 20, "MP spec 4.3.1");

struct writer {
	uint8_t *buf;
	size_t size, used;
	unsigned int entries;
	int err;
};

static void put(struct writer *w, const void *entry, size_t len)
{
	if (len > w->size - w->used) {
		w->err = -ENOSPC;
		return;
	}
	memcpy(w->buf + w->used, entry, len);
	w->used += len;
	w->entries++;
}

static uint8_t checksum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}

static void put_interrupts(struct writer *w, uint8_t ioapic)
{
	struct mp_interrupt e = { .type = MP_INTERRUPT,
				  .kind = MP_INT,
				  .dst_apic = ioapic };
	unsigned int irq, i;

	for (irq = 0; irq < ISA_IRQS; irq++) {
		if (irq == 2) /* cascade of the second PIC */
			continue;
		e.flags = MP_CONFORMING;
		for (i = 0; i < LAYOUT_VIRTIO_MAX; i++)
			if (irq == layout_virtio_irq(i))
				e.flags = MP_LEVEL_HIGH;
		e.src_irq = (uint8_t)irq;
		e.dst_pin = (uint8_t)irq;
		put(w, &e, sizeof(e));
	}
	e = (struct mp_interrupt){ .type = MP_LOCAL, .kind = MP_EXTINT };
	put(w, &e, sizeof(e));
	e = (struct mp_interrupt){ .type = MP_LOCAL,
				   .kind = MP_NMI,
				   .dst_apic = ALL_LAPICS,
				   .dst_pin = 1 };
	put(w, &e, sizeof(e));
}

int mptable_build(void *buf, size_t size, uint64_t gpa, unsigned int nr_cpus)
{
	struct mp_floating *floating = buf;
	struct writer w = { .buf = buf, .size = size };
	struct mp_ioapic ioapic = {
		.type = MP_IOAPIC,
		.id = (uint8_t)nr_cpus,
		.version = 0x11,
		.flags = 1,
		.address = LAYOUT_IOAPIC,
	};
	struct mp_bus isa = { .type = MP_BUS, .name = "ISA   " };
	struct mp_header *header;
	unsigned int i;

	if (size < sizeof(*floating) + sizeof(*header))
		return -ENOSPC;
	header = (void *)((char *)buf + sizeof(*floating));
	w.used = sizeof(*floating) + sizeof(*header);
	for (i = 0; i < nr_cpus; i++) {
		struct mp_processor cpu = {
			.type = MP_PROCESSOR,
			.id = (uint8_t)i,
			.version = APIC_VERSION,
			.flags = i == 0 ? 3 : 1, /* enabled, boot processor */
			.signature = 0x600,
			.features = 0x201,
		};

		put(&w, &cpu, sizeof(cpu));
	}
	put(&w, &isa, sizeof(isa));
	put(&w, &ioapic, sizeof(ioapic));
	put_interrupts(&w, ioapic.id);
	if (w.err)
		return w.err;

	memcpy(header->signature, "PCMP", 4);
	header->length = (uint16_t)(w.used - sizeof(*floating));
	header->spec = 4;
	memcpy(header->oem, "HYP     ", 8);
	memcpy(header->product, "HYP         ", 12);
	header->entries = (uint16_t)w.entries;
	header->lapic = LAYOUT_LAPIC;
	header->checksum = checksum(header, header->length);

	memcpy(floating->signature, "_MP_", 4);
	floating->table = (uint32_t)(gpa + sizeof(*floating));
	floating->length = 1;
	floating->spec = 4;
	floating->checksum = checksum(floating, sizeof(*floating));
	return (int)w.used;
}
