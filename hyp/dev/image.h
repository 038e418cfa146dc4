/* SPDX-License-Identifier: GPL-2.0-only */
/* Disk images: a raw file or a block device. */
#ifndef HYP_DEV_IMAGE_H
#define HYP_DEV_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/util.h"

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  (1u << SECTOR_SHIFT)

/**
 * image_open() - open and lock a disk image
 * @path:      file or block device
 * @read_only: others may read it meanwhile; else nobody may use it
 * @sectors:   set to its size
 * @why:       set on failure
 *
 * Refuses an image that is visibly cut short: one that ends within a sector,
 * or that is an ext2, ext3 or ext4 file system larger than the image.
 *
 * Return: a file descriptor, or a negative errno.
 */
int image_open(const char *path, bool read_only, uint64_t *sectors,
	       struct why *why);

#endif /* HYP_DEV_IMAGE_H */
