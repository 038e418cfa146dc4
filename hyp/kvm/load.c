// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory as the 64-bit boot protocol wants it: the kernel at its
 * preferred address, the initrd as high as it may be, an identity map of the
 * low 4 GiB, a GDT with __BOOT_CS and __BOOT_DS, boot_params with an e820 map.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyp/kvm/acpi.h"
#include "hyp/kvm/boot.h"
#include "hyp/kvm/initrd.h"
#include "hyp/kvm/layout.h"
#include "hyp/kvm/mptable.h"
#include "hyp/mem/mem.h"

#define E820_RAM       1
#define E820_RESERVED  2
#define LOADER_UNKNOWN 0xff

#define PTE_PRESENT_WRITE 0x03ull
#define PTE_LARGE	  0x80ull

/* Small enough that a loader cannot pin much of a tight resident limit. */
#define LOAD_CHUNK (256 * KIB)

static uint64_t low_ram_end(const struct boot_setup *setup)
{
	return setup->ram_bytes < LAYOUT_RAM_HOLE ? setup->ram_bytes :
						    LAYOUT_RAM_HOLE;
}

static int read_full(int fd, void *buf, size_t len, uint64_t offset)
{
	char *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* shorter than fstat() said */
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int load_file(struct mem *mem, int fd, uint64_t offset, uint64_t len,
		     uint64_t gpa)
{
	while (len) {
		size_t n = len < LOAD_CHUNK ? len : LOAD_CHUNK;
		void *hva;
		int err;

		err = mem_get(mem, gpa, n, &hva);
		if (err)
			return err;
		err = read_full(fd, hva, n, offset);
		mem_put(mem, gpa, n);
		if (err)
			return err;
		gpa += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int load_kernel(const struct boot_image *img, struct mem *mem,
		       const struct boot_setup *setup, uint64_t *end_gpa,
		       struct why *why)
{
	uint64_t ram_end = low_ram_end(setup);
	unsigned int i;
	int err;

	for (i = 0; i < img->nr_segments; i++) {
		const struct boot_segment *seg = &img->segments[i];

		if (seg->gpa >= ram_end || seg->mem_bytes > ram_end - seg->gpa)
			return why_set(
				why, 0,
				"kernel %s needs memory up to %lluM; give it more with --mem",
				img->path,
				(unsigned long long)(seg->gpa + seg->mem_bytes +
						     MIB - 1) /
					MIB);
		err = load_file(mem, img->fd, seg->file_offset, seg->file_bytes,
				seg->gpa);
		if (err)
			return why_set(why, err, "cannot load kernel %s",
				       img->path);
		if (seg->gpa + seg->mem_bytes > *end_gpa)
			*end_gpa = seg->gpa + seg->mem_bytes;
	}
	return 0;
}

static int load_initrd(const struct boot_image *img, struct mem *mem,
		       const struct boot_setup *setup, uint64_t kernel_end,
		       struct boot_params *bp, struct why *why)
{
	uint64_t end = low_ram_end(setup), gpa;
	struct stat st;
	int fd, err;

	fd = open(setup->initrd, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		err = why_set(why, -errno, "cannot open initrd %s",
			      setup->initrd);
		goto out;
	}
	if (st.st_size == 0) {
		err = why_set(why, 0, "initrd %s is empty", setup->initrd);
		goto out;
	}
	err = initrd_check(fd, (uint64_t)st.st_size);
	if (err) {
		if (err == -EINVAL)
			why_set(why, 0, "initrd %s is truncated or damaged",
				setup->initrd);
		else
			why_set(why, err, "cannot read initrd %s",
				setup->initrd);
		goto out;
	}
	if (img->initrd_max < end - 1)
		end = img->initrd_max + 1;
	kernel_end = (kernel_end + MEM_PAGE_SIZE - 1) & ~(MEM_PAGE_SIZE - 1ull);
	if (end < kernel_end || (uint64_t)st.st_size > end - kernel_end) {
		err = why_set(
			why, 0,
			"initrd %s does not fit behind the kernel; give more with --mem",
			setup->initrd);
		goto out;
	}
	gpa = (end - (uint64_t)st.st_size) & ~(MEM_PAGE_SIZE - 1ull);
	err = load_file(mem, fd, 0, (uint64_t)st.st_size, gpa);
	if (err) {
		why_set(why, err, "cannot load initrd %s", setup->initrd);
		goto out;
	}
	bp->hdr.ramdisk_image = (uint32_t)gpa;
	bp->hdr.ramdisk_size = (uint32_t)st.st_size;
out:
	if (fd >= 0)
		close(fd);
	return err;
}

static void add_e820(struct boot_params *bp, uint64_t start, uint64_t end,
		     uint32_t type)
{
	if (start < end)
		bp->e820_table[bp->e820_entries++] =
			(struct boot_e820_entry){ start, end - start, type };
}

static void fill_e820(struct boot_params *bp, const struct boot_setup *setup)
{
	add_e820(bp, 0, LAYOUT_LOW_END, E820_RAM);
	add_e820(bp, LAYOUT_LOW_END, 0xa0000, E820_RESERVED);
	add_e820(bp, LAYOUT_MPTABLE, LAYOUT_HIGH_START, E820_RESERVED);
	add_e820(bp, LAYOUT_HIGH_START, low_ram_end(setup), E820_RAM);
	add_e820(bp, setup->reserved_gpa,
		 setup->reserved_gpa + setup->reserved_bytes, E820_RESERVED);
	if (setup->ram_bytes > LAYOUT_RAM_HOLE)
		add_e820(bp, LAYOUT_RAM_HIGH,
			 LAYOUT_RAM_HIGH + setup->ram_bytes - LAYOUT_RAM_HOLE,
			 E820_RAM);
}

static int write_page_tables(struct mem *mem)
{
	const uint64_t pml4 = LAYOUT_PAGE_TABLES;
	const uint64_t pdpt = pml4 + MEM_PAGE_SIZE;
	const uint64_t pd = pdpt + MEM_PAGE_SIZE;
	uint64_t table[512] = { pdpt | PTE_PRESENT_WRITE };
	unsigned int i, j;
	int err;

	err = mem_write(mem, pml4, table, sizeof(table));
	if (err)
		return err;
	for (i = 0; i < 4; i++)
		table[i] = (pd + i * MEM_PAGE_SIZE) | PTE_PRESENT_WRITE;
	err = mem_write(mem, pdpt, table, sizeof(table));
	for (i = 0; !err && i < 4; i++) {
		for (j = 0; j < 512; j++)
			table[j] = (uint64_t)(i * 512 + j) << 21 |
				   PTE_PRESENT_WRITE | PTE_LARGE;
		err = mem_write(mem, pd + i * MEM_PAGE_SIZE, table,
				sizeof(table));
	}
	return err;
}

static int write_low_memory(struct mem *mem, const struct boot_setup *setup,
			    const struct boot_params *bp)
{
	/* Null, unused, __BOOT_CS (0x10), __BOOT_DS (0x18). */
	static const uint64_t gdt[4] = {
		0,
		0,
		0x00af9b000000ffffull,
		0x00cf93000000ffffull,
	};
	uint8_t tables[LAYOUT_ACPI_MAX] __attribute__((aligned(64))) = { 0 };
	int len, err;

	len = mptable_build(tables, LAYOUT_ACPI - LAYOUT_MPTABLE,
			    LAYOUT_MPTABLE, setup->nr_cpus);
	if (len < 0)
		return len;
	err = mem_write(mem, LAYOUT_MPTABLE, tables, (size_t)len);
	if (err)
		return err;
	memset(tables, 0, sizeof(tables));
	len = acpi_build(tables, sizeof(tables), LAYOUT_ACPI, setup->nr_cpus,
			 setup->virtio_slots);
	if (len < 0)
		return len;
	err = mem_write(mem, LAYOUT_ACPI, tables, (size_t)len);
	if (!err)
		err = write_page_tables(mem);
	if (!err)
		err = mem_write(mem, LAYOUT_GDT, gdt, sizeof(gdt));
	if (!err)
		err = mem_write(mem, LAYOUT_CMDLINE, setup->cmdline,
				strlen(setup->cmdline) + 1);
	if (!err)
		err = mem_write(mem, LAYOUT_BOOT_PARAMS, bp, sizeof(*bp));
	return err;
}

int boot_load(const struct boot_image *img, struct mem *mem,
	      const struct boot_setup *setup, struct why *why)
{
	struct boot_params bp = { .hdr = img->header };
	size_t cmdline_bytes = strlen(setup->cmdline);
	uint64_t kernel_end = 0;
	int err;

	if (cmdline_bytes > img->cmdline_max ||
	    cmdline_bytes >= LAYOUT_CMDLINE_MAX)
		return why_set(why, 0, "--cmdline is too long for this kernel");
	err = load_kernel(img, mem, setup, &kernel_end, why);
	if (!err && setup->initrd)
		err = load_initrd(img, mem, setup, kernel_end, &bp, why);
	if (err)
		return err;
	bp.hdr.type_of_loader = LOADER_UNKNOWN;
	bp.hdr.cmd_line_ptr = (uint32_t)LAYOUT_CMDLINE;
	/* Others look for it where it is. */
	bp.acpi_rsdp_addr = LAYOUT_ACPI;
	fill_e820(&bp, setup);
	err = write_low_memory(mem, setup, &bp);
	if (err)
		return why_set(why, err, "cannot prepare guest memory");
	return 0;
}
