// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the checksum of its own file, read where it can be from its own
 * mapped text and constants: pages that execution faulted in from the disk.
 */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "guest-tests/lib/sum.h"
#include "guest-tests/linux/ballast.h"

#define CHUNK 4096u

/* Where byte @off of the file is mapped unchanged and whole, or NULL. */
static const void *mapped(const Elf64_Phdr *ph, size_t nr, uint64_t off,
			  uint64_t len)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (ph[i].p_type != PT_LOAD || (ph[i].p_flags & PF_W))
			continue;
		if (off >= ph[i].p_offset &&
		    off - ph[i].p_offset <= ph[i].p_filesz &&
		    len <= ph[i].p_filesz - (off - ph[i].p_offset))
			return (const void *)(ph[i].p_vaddr +
					      (off - ph[i].p_offset));
	}
	return NULL;
}

/*
 * The ballast is code of one instruction per word: run some of it, so that
 * the pages are fetched and not only read.
 */
static void run_ballast(void)
{
	unsigned int i;

	for (i = 0; i < BALLAST_PAGES; i++)
		((void (*)(void))(ballast + (size_t)i * CHUNK))();
}

int main(void)
{
	const Elf64_Phdr *ph = (const void *)getauxval(AT_PHDR);
	size_t nr = getauxval(AT_PHNUM);
	uint8_t buf[CHUNK];
	const void *src;
	uint64_t off = 0;
	uint64_t h = SUM_INIT;
	ssize_t n;
	int fd;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror("selfsum: /proc/self/exe");
		return 1;
	}
	run_ballast();
	for (;; off += (uint64_t)n) {
		/* Also tells where the file ends. */
		n = pread(fd, buf, sizeof(buf), (off_t)off);
		if (n < 0) {
			perror("selfsum: pread");
			return 1;
		}
		if (!n)
			break;
		src = mapped(ph, nr, off, (uint64_t)n);
		h = sum_update(h, src ? src : buf, (size_t)n);
	}
	printf("%016" PRIx64 "\n", h);
	return 0;
}
