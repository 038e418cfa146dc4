// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parsing of kernel images.  Sources: Documentation/arch/x86/boot.rst (boot
 * protocol 2.12 and later, 64-bit entry), ELF-64 Object File Format 1.5.
 */
#include "hyp/kvm/boot.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyp/kvm/layout.h"

#define SECTOR		       512u
#define BZ_HEADER_OFFSET       0x1f1
#define BZ_MAGIC	       0x53726448 /* "HdrS" */
#define BZ_BOOT_FLAG	       0xaa55
#define BZ_MIN_VERSION	       0x020c /* has xloadflags */
#define BZ_ENTRY64	       0x200  /* from the payload's start */
#define BZ_DEFAULT_SETUP_SECTS 4

static int truncated(const struct boot_image *img, struct why *why)
{
	return why_set(why, 0, "kernel %s is truncated; copy or build it again",
		       img->path);
}

static int not_a_kernel(const struct boot_image *img, const char *what,
			struct why *why)
{
	return why_set(why, 0, "%s is not a kernel hyp can boot: %s", img->path,
		       what);
}

/* Return: 0, 1 if the file ends before that, or a negative errno. */
static int read_at(const struct boot_image *img, void *buf, size_t len,
		   uint64_t offset)
{
	ssize_t n;

	do {
		n = pread(img->fd, buf, len, (off_t)offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n < len;
}

static int parse_bzimage(struct boot_image *img, uint64_t file_bytes,
			 struct why *why)
{
	const struct setup_header *h = &img->header;
	struct boot_segment *seg = &img->segments[0];
	uint64_t setup_bytes, payload_bytes;
	int ret;

	ret = read_at(img, &img->header, sizeof(img->header), BZ_HEADER_OFFSET);
	if (ret)
		return ret < 0 ? why_set(why, ret, "cannot read kernel %s",
					 img->path) :
				 truncated(img, why);
	if (h->version < BZ_MIN_VERSION || !(h->xloadflags & XLF_KERNEL_64))
		return not_a_kernel(img, "it has no 64-bit entry point", why);
	if (!(h->loadflags & LOADED_HIGH))
		return not_a_kernel(img, "a zImage", why);
	setup_bytes = (uint64_t)((h->setup_sects ? h->setup_sects :
						   BZ_DEFAULT_SETUP_SECTS) +
				 1) *
		      SECTOR;
	payload_bytes = (uint64_t)h->syssize * 16;
	/* syssize counts 16-byte units; the last one may be incomplete. */
	if (setup_bytes >= file_bytes ||
	    payload_bytes > file_bytes - setup_bytes + 15)
		return truncated(img, why);
	if (payload_bytes <= BZ_ENTRY64 || h->init_size < payload_bytes)
		return not_a_kernel(img, "its header contradicts itself", why);
	if (h->pref_address < LAYOUT_HIGH_START ||
	    h->pref_address >= LAYOUT_RAM_HOLE)
		return not_a_kernel(img, "it wants to be at a strange address",
				    why);
	seg->gpa = h->pref_address;
	seg->file_offset = setup_bytes;
	seg->file_bytes = file_bytes - setup_bytes;
	if (seg->file_bytes > payload_bytes)
		seg->file_bytes = payload_bytes;
	seg->mem_bytes = h->init_size;
	img->nr_segments = 1;
	img->entry_gpa = seg->gpa + BZ_ENTRY64;
	img->initrd_max = h->initrd_addr_max;
	img->cmdline_max = h->cmdline_size;
	return 0;
}

static int parse_elf_segment(struct boot_image *img, uint64_t file_bytes,
			     const Elf64_Phdr *ph, struct why *why)
{
	struct boot_segment *seg = &img->segments[img->nr_segments];

	if (ph->p_type != PT_LOAD || !ph->p_memsz)
		return 0;
	if (img->nr_segments == BOOT_MAX_SEGMENTS)
		return not_a_kernel(img, "too many segments", why);
	if (ph->p_filesz > ph->p_memsz)
		return not_a_kernel(img, "its headers contradict themselves",
				    why);
	if (ph->p_offset > file_bytes ||
	    ph->p_filesz > file_bytes - ph->p_offset)
		return truncated(img, why);
	if (ph->p_paddr < LAYOUT_HIGH_START || ph->p_paddr >= LAYOUT_RAM_HOLE ||
	    ph->p_memsz > LAYOUT_RAM_HOLE - ph->p_paddr)
		return not_a_kernel(
			img, "a segment is not between 1 MiB and 3 GiB", why);
	seg->gpa = ph->p_paddr;
	seg->file_offset = ph->p_offset;
	seg->file_bytes = ph->p_filesz;
	seg->mem_bytes = ph->p_memsz;
	img->nr_segments++;
	return 0;
}

static int parse_elf(struct boot_image *img, uint64_t file_bytes,
		     struct why *why)
{
	uint64_t entry_ok = 0;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	unsigned int i;
	int ret;

	ret = read_at(img, &eh, sizeof(eh), 0);
	if (ret)
		return truncated(img, why);
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != EM_X86_64 ||
	    eh.e_type != ET_EXEC || eh.e_phentsize != sizeof(ph))
		return not_a_kernel(img, "not a static x86-64 executable", why);
	for (i = 0; i < eh.e_phnum; i++) {
		/* No overflow: e_phoff is bounded by the size of the file. */
		if (eh.e_phoff > file_bytes)
			return truncated(img, why);
		ret = read_at(img, &ph, sizeof(ph),
			      eh.e_phoff + (uint64_t)i * sizeof(ph));
		if (ret)
			return truncated(img, why);
		ret = parse_elf_segment(img, file_bytes, &ph, why);
		if (ret)
			return ret;
	}
	for (i = 0; i < img->nr_segments; i++)
		entry_ok |= eh.e_entry >= img->segments[i].gpa &&
			    eh.e_entry - img->segments[i].gpa <
				    img->segments[i].mem_bytes;
	if (!entry_ok)
		return not_a_kernel(img, "its entry point is in no segment",
				    why);
	img->entry_gpa = eh.e_entry;
	img->initrd_max = LAYOUT_RAM_HOLE - 1;
	img->cmdline_max = LAYOUT_CMDLINE_MAX - 1;
	return 0;
}

int boot_open(struct boot_image *img, const char *path, struct why *why)
{
	struct {
		uint16_t flag;
		uint16_t jump;
		uint32_t magic;
	} bz;
	unsigned char elf[SELFMAG];
	struct stat st;
	int ret;

	*img = (struct boot_image){ .path = path };
	img->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (img->fd < 0)
		return why_set(why, -errno, "cannot open kernel %s", path);
	if (fstat(img->fd, &st))
		return why_set(why, -errno, "cannot open kernel %s", path);
	if (!S_ISREG(st.st_mode))
		return why_set(why, 0, "kernel %s is not a file", path);
	ret = read_at(img, elf, sizeof(elf), 0);
	if (ret < 0)
		return why_set(why, ret, "cannot read kernel %s", path);
	if (!ret && !memcmp(elf, ELFMAG, SELFMAG))
		return parse_elf(img, (uint64_t)st.st_size, why);
	ret = read_at(img, &bz, sizeof(bz), 0x1fe);
	if (ret < 0)
		return why_set(why, ret, "cannot read kernel %s", path);
	if (ret || bz.flag != BZ_BOOT_FLAG || bz.magic != BZ_MAGIC)
		return not_a_kernel(img, "neither a bzImage nor an ELF64 image",
				    why);
	return parse_bzimage(img, (uint64_t)st.st_size, why);
}

void boot_close(struct boot_image *img)
{
	if (img->path && img->fd >= 0)
		close(img->fd);
	img->path = NULL;
}
