/* SPDX-License-Identifier: GPL-2.0-only */
/* Is an initrd whole? */
#ifndef HYP_KVM_INITRD_H
#define HYP_KVM_INITRD_H

#include <stdint.h>

/**
 * initrd_check() - find out whether an initrd was cut short
 * @fd:  the file
 * @len: its length in bytes
 *
 * Follows what the kernel unpacks (Documentation/driver-api/early-userspace/
 * buffer-format.rst): cpio archives, plain or compressed, one behind the other
 * with zeros in between.  What is behind a format other than "newc" and gzip is
 * taken as it is.
 *
 * Return: 0; -EINVAL if something is missing at the end; or the negative errno
 * of a read.
 */
int initrd_check(int fd, uint64_t len);

#endif /* HYP_KVM_INITRD_H */
