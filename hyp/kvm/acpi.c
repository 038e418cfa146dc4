// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts: ACPI Specification 6.5, chapter 5; resource descriptors: section 6.4.
 *
 * The machine is not "hardware-reduced": Linux would then do without PIC and
 * PIT, which are there.  It is always in ACPI mode (no SMI command port), has
 * the fixed power button and no general-purpose events; dev/acpi_pm.h has the
 * registers.  Reset is the keyboard controller's.
 */
#include "hyp/kvm/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hyp/kvm/aml.h"
#include "hyp/kvm/layout.h"

#define GAS_IO		 1
#define MADT_PCAT_COMPAT 1u
#define MADT_LAPIC	 0
#define MADT_IOAPIC	 1
#define MADT_OVERRIDE	 2
#define MADT_LAPIC_NMI	 4
#define ALL_CPUS	 0xff
#define LEVEL_HIGH	 0xd

#define FADT_WBINVD	  (1u << 0)
#define FADT_PROC_C1	  (1u << 2)
#define FADT_NO_SLEEP_BTN (1u << 5)
#define FADT_NO_FIXED_RTC (1u << 6)
#define FADT_RESET_REG	  (1u << 10)
#define BOOT_LEGACY	  (1u << 0)
#define BOOT_NO_VGA	  (1u << 2)
#define NO_C2		  101 /* a latency that means: there is none */
#define NO_C3		  1001
#define CMOS_CENTURY	  0x32
#define KBD_RESET_PORT	  0x64
#define KBD_RESET	  0xfe
#define PNP0501		  0x0105d041u /* 16550 serial port, as EISA ID */

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t ext_checksum, reserved[3];
} __attribute__((packed));

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct gas {
	uint8_t space, bits, offset, access;
	uint64_t address;
} __attribute__((packed));

struct fadt {
	struct header h;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci_irq;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr;
	uint32_t gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base, cst;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt;
	struct gas x_pm_tmr, x_gpe0, x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

struct facs {
	char signature[4];
	uint32_t length, hw_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
} __attribute__((packed, aligned(64)));

struct madt {
	struct header h;
	uint32_t lapic, flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length, uid, id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

_Static_assert(sizeof(struct rsdp) == 36, "ACPI 5.2.5.3");
_Static_assert(sizeof(struct header) == 36, "ACPI 5.2.6");
_Static_assert(sizeof(struct fadt) == 276, "ACPI 5.2.9");
_Static_assert(sizeof(struct facs) == 64, "ACPI 5.2.10");

/* The writer of an AML table writes the other ones as well: bytes are bytes. */
struct tables {
	struct aml out;
	uint64_t gpa;
};

static uint8_t checksum(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}

/* Return: offset of the table, aligned to 64. */
static size_t begin(struct tables *t, const char *signature, uint8_t revision)
{
	struct header h = {
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1,
	};
	size_t pad = -t->out.used & 63;

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem, "HYP   ", sizeof(h.oem));
	memcpy(h.table, "HYP     ", sizeof(h.table));
	memcpy(h.creator, "HYP ", sizeof(h.creator));
	if (pad > t->out.size - t->out.used)
		t->out.err = -ENOSPC;
	else
		t->out.used += pad;
	aml_bytes(&t->out, &h, sizeof(h));
	return t->out.used - (t->out.err ? 0 : sizeof(h));
}

/* Return: its address. */
static uint64_t end(struct tables *t, size_t at)
{
	struct header *h = (struct header *)(t->out.buf + at);

	if (t->out.err)
		return 0;
	h->length = (uint32_t)(t->out.used - at);
	h->checksum = checksum(h, h->length);
	return t->gpa + at;
}

static void describe_serial(struct aml *a)
{
	static const uint8_t resources[] = {
		0x47,
		1,
		LAYOUT_UART_PORT & 0xff,
		LAYOUT_UART_PORT >> 8,
		LAYOUT_UART_PORT & 0xff,
		LAYOUT_UART_PORT >> 8,
		1,
		8,
		0x22,
		1 << LAYOUT_UART_IRQ,
		0,
	};

	aml_device(a, "COM1");
	aml_name_int(a, "_HID", PNP0501);
	aml_name_int(a, "_UID", 1);
	aml_name_resources(a, resources, sizeof(resources));
	aml_end(a);
}

static void describe_virtio(struct aml *a, unsigned int slot)
{
	struct {
		uint8_t mem_tag;
		uint16_t mem_len;
		uint8_t writable;
		uint32_t base, bytes;
		uint8_t irq_tag;
		uint16_t irq_len;
		uint8_t flags, nr;
		uint32_t irq;
	} __attribute__((packed)) resources = {
		.mem_tag = 0x86,
		.mem_len = 9,
		.writable = 1,
		.base = (uint32_t)(LAYOUT_VIRTIO_BASE +
				   slot * LAYOUT_VIRTIO_STRIDE),
		.bytes = (uint32_t)LAYOUT_VIRTIO_STRIDE,
		.irq_tag = 0x89,
		.irq_len = 6,
		.flags = 1, /* its own, level-triggered, active high */
		.nr = 1,
		.irq = layout_virtio_irq(slot),
	};
	char name[5];

	snprintf(name, sizeof(name), "VR%02u", slot % 100);
	aml_device(a, name);
	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_int(a, "_UID", slot);
	aml_name_resources(a, &resources, sizeof(resources));
	aml_end(a);
}

static uint64_t put_dsdt(struct tables *t, uint32_t virtio_slots)
{
	static const uint8_t s5[] = { LAYOUT_PM_S5, 0, 0, 0 };
	size_t at = begin(t, "DSDT", 2);
	unsigned int slot;

	aml_name_package(&t->out, "_S5_", s5, sizeof(s5));
	aml_scope(&t->out, "_SB_");
	describe_serial(&t->out);
	for (slot = 0; slot < LAYOUT_VIRTIO_MAX; slot++)
		if (virtio_slots & 1u << slot)
			describe_virtio(&t->out, slot);
	aml_end(&t->out);
	return end(t, at);
}

static uint64_t put_facs(struct tables *t)
{
	struct facs facs = { .length = sizeof(facs), .version = 2 };
	size_t pad = -t->out.used & 63;
	uint64_t gpa;

	memcpy(facs.signature, "FACS", sizeof(facs.signature));
	if (pad > t->out.size - t->out.used)
		t->out.err = -ENOSPC;
	else
		t->out.used += pad;
	gpa = t->gpa + t->out.used;
	aml_bytes(&t->out, &facs, sizeof(facs));
	return gpa;
}

static struct gas io(uint16_t port, uint8_t bits)
{
	return (struct gas){ .space = GAS_IO, .bits = bits, .address = port };
}

static uint64_t put_fadt(struct tables *t, uint64_t dsdt, uint64_t facs)
{
	struct fadt f = {
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.sci_irq = LAYOUT_SCI_IRQ,
		.pm1a_evt = LAYOUT_PM1_EVT_PORT,
		.pm1a_cnt = LAYOUT_PM1_CNT_PORT,
		.pm1_evt_len = 4,
		.pm1_cnt_len = 2,
		.c2_latency = NO_C2,
		.c3_latency = NO_C3,
		.century = CMOS_CENTURY,
		.boot_arch = BOOT_LEGACY | BOOT_NO_VGA,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BTN |
			 FADT_NO_FIXED_RTC | FADT_RESET_REG,
		.reset = io(KBD_RESET_PORT, 8),
		.reset_value = KBD_RESET,
		.x_dsdt = dsdt,
		.x_pm1a_evt = io(LAYOUT_PM1_EVT_PORT, 32),
		.x_pm1a_cnt = io(LAYOUT_PM1_CNT_PORT, 16),
	};
	size_t at = begin(t, "FACP", 6);

	aml_bytes(&t->out, (char *)&f + sizeof(f.h), sizeof(f) - sizeof(f.h));
	return end(t, at);
}

static void put_override(struct tables *t, unsigned int irq)
{
	struct madt_override e = {
		.type = MADT_OVERRIDE,
		.length = sizeof(e),
		.irq = (uint8_t)irq,
		.gsi = irq,
		.flags = LEVEL_HIGH,
	};

	aml_bytes(&t->out, &e, sizeof(e));
}

static uint64_t put_madt(struct tables *t, unsigned int nr_cpus)
{
	struct madt m = { .lapic = (uint32_t)LAYOUT_LAPIC,
			  .flags = MADT_PCAT_COMPAT };
	struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC,
		.length = sizeof(ioapic),
		.address = (uint32_t)LAYOUT_IOAPIC,
	};
	struct madt_nmi nmi = {
		.type = MADT_LAPIC_NMI,
		.length = sizeof(nmi),
		.uid = ALL_CPUS,
		.lint = 1,
	};
	size_t at = begin(t, "APIC", 5);
	unsigned int i;

	aml_bytes(&t->out, (char *)&m + sizeof(m.h), sizeof(m) - sizeof(m.h));
	for (i = 0; i < nr_cpus; i++) {
		struct madt_lapic cpu = {
			.type = MADT_LAPIC,
			.length = sizeof(cpu),
			.uid = (uint8_t)i,
			.id = (uint8_t)i,
			.flags = 1,
		};

		aml_bytes(&t->out, &cpu, sizeof(cpu));
	}
	aml_bytes(&t->out, &ioapic, sizeof(ioapic));
	/* Also for those that take devices from the command line. */
	put_override(t, LAYOUT_SCI_IRQ);
	for (i = 0; i < LAYOUT_VIRTIO_MAX; i++)
		put_override(t, layout_virtio_irq(i));
	aml_bytes(&t->out, &nmi, sizeof(nmi));
	return end(t, at);
}

int acpi_build(void *buf, size_t size, uint64_t gpa, unsigned int nr_cpus,
	       uint32_t virtio_slots)
{
	struct tables t = {
		.out = { .buf = buf, .size = size, .used = sizeof(struct rsdp) },
		.gpa = gpa,
	};
	struct rsdp *rsdp = buf;
	uint64_t table[2], facs;
	size_t at;

	if (size < sizeof(*rsdp))
		return -ENOSPC;
	facs = put_facs(&t);
	table[0] = put_fadt(&t, put_dsdt(&t, virtio_slots), facs);
	table[1] = put_madt(&t, nr_cpus);
	at = begin(&t, "XSDT", 1);
	aml_bytes(&t.out, table, sizeof(table));
	rsdp->xsdt = end(&t, at);
	if (t.out.err)
		return t.out.err;
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem, "HYP   ", sizeof(rsdp->oem));
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->checksum = checksum(rsdp, 20); /* what ACPI 1.0 had */
	rsdp->ext_checksum = checksum(rsdp, sizeof(*rsdp));
	return (int)t.out.used;
}
