/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel images and what they expect to find in memory.
 *
 * boot_open() looks at a file and knows nothing of a VM; boot_load() puts it
 * into guest memory.  An image may be truncated or no kernel at all: every
 * offset and length of it is checked before it is used.
 */
#ifndef HYP_KVM_BOOT_H
#define HYP_KVM_BOOT_H

#include <asm/bootparam.h>
#include <stdint.h>

#include "hyp/util.h"

#define BOOT_MAX_SEGMENTS 16

struct mem;

/** struct boot_segment - part of the file and where it goes */
struct boot_segment {
	uint64_t gpa;
	uint64_t file_offset;
	uint64_t file_bytes;
	uint64_t mem_bytes; /* >= file_bytes; the rest is zero */
};

/** struct boot_image - a kernel file, parsed */
struct boot_image {
	int fd; /* owned */
	const char *path;
	uint64_t entry_gpa;
	uint64_t initrd_max; /* highest address of an initrd's last byte */
	unsigned int cmdline_max;
	unsigned int nr_segments;
	struct boot_segment segments[BOOT_MAX_SEGMENTS];
	struct setup_header header; /* all zero for an ELF image */
};

/** struct boot_setup - the machine it is to run on */
struct boot_setup {
	uint64_t ram_bytes;
	const char *initrd; /* NULL: none */
	const char *cmdline;
	unsigned int nr_cpus;
	uint32_t virtio_slots;	 /* bit i: there is a device in slot i */
	uint64_t reserved_gpa;	 /* behind RAM, announced as reserved */
	uint64_t reserved_bytes; /* 0: none */
};

/**
 * boot_open() - open and parse a bzImage or an ELF64 executable
 * @img:  filled in; boot_close() in any case
 * @path: must outlive @img
 * @why:  set on failure
 *
 * Return: 0 or a negative errno.
 */
int boot_open(struct boot_image *img, const char *path, struct why *why);

/** boot_close() - close the file; accepts an all-zero image */
void boot_close(struct boot_image *img);

/**
 * boot_load() - fill guest memory: kernel, initrd, boot_params, firmware tables
 * @img:   from boot_open()
 * @mem:   started
 * @setup: machine
 * @why:   set on failure
 *
 * Context: may sleep; no vCPU runs yet.
 * Return: 0 or a negative errno.
 */
int boot_load(const struct boot_image *img, struct mem *mem,
	      const struct boot_setup *setup, struct why *why);

#endif /* HYP_KVM_BOOT_H */
