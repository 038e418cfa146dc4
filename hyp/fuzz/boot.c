// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that a guest is made of: a kernel image that is parsed and, if it passes,
 * loaded; or an initrd.  The first byte says which.
 */
#include "hyp/fuzz/guest.h"
#include "hyp/kvm/boot.h"
#include "hyp/kvm/initrd.h"

#define RAM_BYTES (32u << 20)

static void try_kernel(const char *path, const char *initrd)
{
	const struct boot_setup setup = {
		.ram_bytes = RAM_BYTES,
		.initrd = initrd,
		.cmdline = "console=ttyS0",
		.nr_cpus = 1,
	};
	/* One for all: what is in it does not matter to the loader. */
	static struct mem *mem;
	struct why why = { "" };
	struct boot_image img;
	int err;

	if (!mem)
		mem = guest_create(
			(struct mem_config){ .size_bytes = RAM_BYTES });
	err = boot_open(&img, path, &why);
	if (!err) {
		must(img.nr_segments && img.nr_segments <= BOOT_MAX_SEGMENTS);
		err = boot_load(&img, mem, &setup, &why);
		must(err || img.entry_gpa < RAM_BYTES);
	}
	/* Whatever is wrong with it, there is one line. */
	must(!err == !why.text[0]);
	boot_close(&img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char path[32];
	int fd;

	if (!len)
		return 0;
	fd = file_of(data + 1, len - 1, path);
	if (data[0] & 1)
		initrd_check(fd, len - 1);
	else
		try_kernel(path, data[0] & 2 ? path : NULL);
	close(fd);
	return 0;
}
