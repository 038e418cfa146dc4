// SPDX-License-Identifier: GPL-2.0-only
/* Kernel images, whole, truncated and made up; the tables built for them. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/kvm/boot.h"
#include "hyp/kvm/layout.h"
#include "hyp/kvm/mptable.h"

#define SETUP_SECTS   4
#define SETUP_BYTES   ((SETUP_SECTS + 1) * 512)
#define PAYLOAD_BYTES 8192
#define IMAGE_BYTES   (SETUP_BYTES + PAYLOAD_BYTES)

/* An image in a file of its own, opened anew for each case. */
struct fixture {
	uint8_t bytes[IMAGE_BYTES];
	size_t len;
	char path[40];
	struct boot_image img;
	struct why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	strcpy(f->path, "/tmp/hyp-boot-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	close(fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	free(f);
	return 0;
}

static int open_bytes(struct fixture *f)
{
	FILE *file = fopen(f->path, "w");
	int ret;

	assert_non_null(file);
	assert_int_equal(fwrite(f->bytes, 1, f->len, file), f->len);
	fclose(file);
	memset(&f->why, 0, sizeof(f->why));
	ret = boot_open(&f->img, f->path, &f->why);
	boot_close(&f->img);
	return ret;
}

static struct setup_header *bz(struct fixture *f)
{
	return (struct setup_header *)(f->bytes + 0x1f1);
}

static void make_bzimage(struct fixture *f)
{
	struct setup_header h = {
		.setup_sects = SETUP_SECTS,
		.syssize = PAYLOAD_BYTES / 16,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.cmdline_size = 2047,
		.xloadflags = XLF_KERNEL_64,
		.pref_address = 0x1000000,
		.init_size = 4 * PAYLOAD_BYTES,
	};

	memset(f->bytes, 0x90, sizeof(f->bytes));
	memcpy(f->bytes + 0x1f1, &h, sizeof(h));
	f->len = IMAGE_BYTES;
}

static Elf64_Phdr *phdr(struct fixture *f)
{
	return (Elf64_Phdr *)(f->bytes + sizeof(Elf64_Ehdr));
}

static void make_elf(struct fixture *f)
{
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_entry = 0x100010,
		.e_phoff = sizeof(eh),
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	Elf64_Phdr ph[2] = {
		{ .p_type = PT_LOAD,
		  .p_offset = 0x1000,
		  .p_paddr = 0x100000,
		  .p_filesz = 0x800,
		  .p_memsz = 0x3000 },
		{ .p_type = PT_NOTE, .p_filesz = ~0ull },
	};

	memset(f->bytes, 0, sizeof(f->bytes));
	memcpy(f->bytes, &eh, sizeof(eh));
	memcpy(f->bytes + sizeof(eh), ph, sizeof(ph));
	f->len = 0x1800;
}

static void expect_refusal(struct fixture *f, const char *reason,
			   const char *what)
{
	if (open_bytes(f) >= 0 || !strstr(f->why.text, reason))
		fail_msg("%s: \"%s\"", what, f->why.text);
}

static void a_bzimage_is_understood(void **state)
{
	struct fixture *f = *state;

	make_bzimage(f);
	assert_int_equal(open_bytes(f), 0);
	assert_int_equal(f->img.entry_gpa, 0x1000200);
	assert_int_equal(f->img.nr_segments, 1);
	assert_int_equal(f->img.segments[0].file_offset, SETUP_BYTES);
	assert_int_equal(f->img.segments[0].file_bytes, PAYLOAD_BYTES);
	assert_int_equal(f->img.segments[0].mem_bytes, 4 * PAYLOAD_BYTES);
}

static void a_truncated_bzimage_is_refused(void **state)
{
	static const size_t lengths[] = { 0x260, SETUP_BYTES - 1, SETUP_BYTES,
					  SETUP_BYTES + 1, IMAGE_BYTES - 16 };
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		make_bzimage(f);
		f->len = lengths[i];
		expect_refusal(f, "is truncated", "length");
	}
}

static void what_is_no_kernel_is_refused(void **state)
{
	struct fixture *f = *state;

	f->len = 0;
	expect_refusal(f, "neither", "empty file");
	f->len = 100;
	expect_refusal(f, "neither", "short file");
	memset(f->bytes, 'x', sizeof(f->bytes));
	f->len = sizeof(f->bytes);
	expect_refusal(f, "neither", "text");
	make_bzimage(f);
	bz(f)->version = 0x0206;
	expect_refusal(f, "64-bit", "old protocol");
	make_bzimage(f);
	bz(f)->xloadflags = 0;
	expect_refusal(f, "64-bit", "32-bit kernel");
	make_bzimage(f);
	bz(f)->loadflags = 0;
	expect_refusal(f, "zImage", "zImage");
	make_bzimage(f);
	bz(f)->syssize = 0;
	expect_refusal(f, "contradicts", "no payload");
	make_bzimage(f);
	bz(f)->init_size = 16;
	expect_refusal(f, "contradicts", "init_size");
	make_bzimage(f);
	bz(f)->pref_address = 0xfffffffffffff000;
	expect_refusal(f, "strange", "pref_address");
}

static void an_elf_image_is_understood(void **state)
{
	struct fixture *f = *state;

	make_elf(f);
	assert_int_equal(open_bytes(f), 0);
	assert_int_equal(f->img.entry_gpa, 0x100010);
	assert_int_equal(f->img.nr_segments, 1);
	assert_int_equal(f->img.segments[0].gpa, 0x100000);
	assert_int_equal(f->img.segments[0].file_bytes, 0x800);
	assert_int_equal(f->img.segments[0].mem_bytes, 0x3000);
}

static void hostile_elf_images_are_refused(void **state)
{
	struct fixture *f = *state;
	Elf64_Ehdr *eh = (Elf64_Ehdr *)f->bytes;

	make_elf(f);
	f->len = 40;
	expect_refusal(f, "truncated", "half a header");
	make_elf(f);
	f->len = 0x17ff;
	expect_refusal(f, "truncated", "one byte missing");
	make_elf(f);
	eh->e_phoff = ~0ull;
	expect_refusal(f, "truncated", "e_phoff");
	make_elf(f);
	eh->e_phnum = 0xffff;
	expect_refusal(f, "", "e_phnum");
	make_elf(f);
	phdr(f)->p_offset = ~0ull;
	expect_refusal(f, "truncated", "p_offset");
	make_elf(f);
	phdr(f)->p_filesz = 0x4000;
	expect_refusal(f, "contradict", "p_filesz > p_memsz");
	make_elf(f);
	phdr(f)->p_memsz = ~0ull;
	expect_refusal(f, "1 MiB", "p_memsz");
	make_elf(f);
	phdr(f)->p_paddr = LAYOUT_BOOT_PARAMS;
	expect_refusal(f, "1 MiB", "over boot_params");
	make_elf(f);
	phdr(f)->p_paddr = LAYOUT_ESSA_TABLE;
	expect_refusal(f, "1 MiB", "over the table");
	make_elf(f);
	eh->e_entry = 0x103000;
	expect_refusal(f, "entry point", "e_entry");
	make_elf(f);
	eh->e_machine = EM_386;
	expect_refusal(f, "x86-64", "e_machine");
	make_elf(f);
	eh->e_type = ET_DYN;
	expect_refusal(f, "x86-64", "e_type");
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s += *p++;
	return s;
}

static void mptable_lists_every_cpu(void **state)
{
	unsigned int cpus, i, found;
	uint8_t buf[4096];
	int len;

	(void)state;
	for (cpus = 1; cpus <= 64; cpus++) {
		memset(buf, 0, sizeof(buf));
		len = mptable_build(buf, sizeof(buf), LAYOUT_MPTABLE, cpus);
		assert_true(len > 60);
		assert_memory_equal(buf, "_MP_", 4);
		assert_memory_equal(buf + 16, "PCMP", 4);
		assert_int_equal(sum(buf, 16), 0);
		assert_int_equal(sum(buf + 16, (size_t)len - 16), 0);
		for (i = 60, found = 0; buf[i] == 0; i += 20) {
			assert_int_equal(buf[i + 1], found);
			found++;
		}
		assert_int_equal(found, cpus);
	}
}

static void mptable_needs_room(void **state)
{
	uint8_t buf[4096] = { 0 };
	int len = mptable_build(buf, sizeof(buf), LAYOUT_MPTABLE, 2);
	size_t size;

	(void)state;
	for (size = 0; size < (size_t)len; size++)
		assert_int_equal(mptable_build(buf, size, LAYOUT_MPTABLE, 2),
				 -ENOSPC);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_bzimage_is_understood),
		CASE(a_truncated_bzimage_is_refused),
		CASE(what_is_no_kernel_is_refused),
		CASE(an_elf_image_is_understood),
		CASE(hostile_elf_images_are_refused),
		cmocka_unit_test(mptable_lists_every_cpu),
		cmocka_unit_test(mptable_needs_room),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
