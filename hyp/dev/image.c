// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/image.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Documentation/filesystems/ext4/super.rst, "Super Block". */
#define EXT_SUPERBLOCK	       1024
#define EXT_BLOCKS_LO	       0x4
#define EXT_LOG_BLOCK_SIZE     0x18
#define EXT_MAGIC_AT	       0x38
#define EXT_MAGIC	       0xef53
#define EXT_INCOMPAT	       0x60
#define EXT_INCOMPAT_64BIT     0x80
#define EXT_BLOCKS_HI	       0x150
#define EXT_MAX_LOG_BLOCK_SIZE 6

static uint32_t get_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

/* Bytes of the file system in the image; 0 if it is none that we know. */
static uint64_t ext_bytes(int fd)
{
	uint8_t sb[1024];
	uint64_t blocks;
	uint32_t log;

	if (pread(fd, sb, sizeof(sb), EXT_SUPERBLOCK) != sizeof(sb) ||
	    (get_le32(sb + EXT_MAGIC_AT) & 0xffff) != EXT_MAGIC)
		return 0;
	log = get_le32(sb + EXT_LOG_BLOCK_SIZE);
	if (log > EXT_MAX_LOG_BLOCK_SIZE)
		return 0;
	blocks = get_le32(sb + EXT_BLOCKS_LO);
	if (get_le32(sb + EXT_INCOMPAT) & EXT_INCOMPAT_64BIT)
		blocks |= (uint64_t)(get_le32(sb + EXT_BLOCKS_HI) & 0xffff)
			  << 32;
	return blocks << (10 + log);
}

static int check_size(int fd, const char *path, uint64_t *sectors,
		      struct why *why)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t wanted;

	if (size < 0)
		return why_set(why, -errno, "cannot seek in disk %s", path);
	if (size == 0 || size % SECTOR_SIZE)
		return why_set(
			why, 0,
			"disk %s is truncated: %lld bytes are not a whole number of sectors",
			path, (long long)size);
	wanted = ext_bytes(fd);
	if (wanted > (uint64_t)size)
		return why_set(
			why, 0,
			"disk %s is truncated: it has %lld bytes, its file system %llu",
			path, (long long)size, (unsigned long long)wanted);
	*sectors = (uint64_t)size >> SECTOR_SHIFT;
	return 0;
}

int image_open(const char *path, bool read_only, uint64_t *sectors,
	       struct why *why)
{
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return why_set(why, -errno, "cannot open disk %s", path);
	if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		err = why_set(why, 0, "disk %s is in use by another process",
			      path);
	if (!err)
		err = check_size(fd, path, sectors, why);
	if (!err)
		return fd;
	close(fd);
	return err;
}
