/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest-physical address map.  RAM ends at 3 GiB and goes on at 4 GiB; what
 * lies between belongs to devices and to the page-hinting interface.
 */
#ifndef HYP_KVM_LAYOUT_H
#define HYP_KVM_LAYOUT_H

/* Low memory, used by the loader and free again once Linux runs. */
#define LAYOUT_BOOT_PARAMS 0x07000ull
#define LAYOUT_GDT	   0x08000ull
#define LAYOUT_PAGE_TABLES 0x09000ull /* PML4, PDPT, four PDs */
#define LAYOUT_STACK	   0x10000ull /* top; for ELF images */
#define LAYOUT_CMDLINE	   0x20000ull
#define LAYOUT_CMDLINE_MAX 0x01000ull
#define LAYOUT_LOW_END	   0x9fc00ull /* end of conventional memory */
#define LAYOUT_MPTABLE	   0xf0000ull /* where Linux looks for it */
#define LAYOUT_ACPI	   0xf1000ull /* likewise; a multiple of 64 */
#define LAYOUT_ACPI_MAX	   0x04000ull
#define LAYOUT_HIGH_START  0x100000ull

#define LAYOUT_RAM_HOLE 0xc0000000ull
#define LAYOUT_RAM_HIGH 0x100000000ull
/* State table; the vCPUs' information areas follow, page-aligned. */
#define LAYOUT_ESSA_TABLE    0xd0000000ull
#define LAYOUT_INFO_STRIDE   64
#define LAYOUT_VIRTIO_BASE   0xe0000000ull
#define LAYOUT_VIRTIO_STRIDE 0x1000ull
#define LAYOUT_VIRTIO_MAX    8
#define LAYOUT_IOAPIC	     0xfec00000ull
#define LAYOUT_LAPIC	     0xfee00000ull
#define LAYOUT_IDENTITY_MAP  0xfffbc000ull /* for KVM on Intel */
#define LAYOUT_TSS	     0xfffbd000ull /* three pages, likewise */

#define LAYOUT_UART_PORT    0x3f8
#define LAYOUT_UART_IRQ	    4
#define LAYOUT_SCI_IRQ	    9
#define LAYOUT_EXIT_PORT    0xf4
#define LAYOUT_MARK_PORT    0xf5 /* with --test-hooks */
#define LAYOUT_PM1_EVT_PORT 0x600
#define LAYOUT_PM1_CNT_PORT 0x604
#define LAYOUT_PM_S5	    5 /* type of sleep: off */

/** layout_virtio_irq() - of a slot below LAYOUT_VIRTIO_MAX: what ISA has free */
static inline unsigned int layout_virtio_irq(unsigned int slot)
{
	static const unsigned char irqs[LAYOUT_VIRTIO_MAX] = {
		5, 6, 7, 10, 11, 12, 14, 15,
	};

	return irqs[slot];
}

#endif /* HYP_KVM_LAYOUT_H */
