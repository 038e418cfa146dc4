/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings that can do I/O and nothing else.
 *
 * An operation of io_uring goes past the seccomp filter: it may open files and
 * sockets, too.  And the ring lies in memory, where another thread that a guest
 * has taken over could write to it.  So what it takes is fixed when it is made
 * (IORING_REGISTER_RESTRICTIONS, Linux 5.10), for the life of the ring.
 */
#ifndef HYP_URING_H
#define HYP_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * uring_open() - a ring that takes a few operations only
 * @ring:  io_uring_queue_exit() it
 * @depth: submissions it has room for
 * @ops:   IORING_OP_* it takes, with no flag of IOSQE_*
 * @nr:    of @ops, at most URING_MAX_OPS
 * @buf:   to be registered as buffer 0, or NULL
 * @fixed: set to whether that worked (RLIMIT_MEMLOCK); may be NULL
 *
 * Return: 0 or a negative errno.
 */
int uring_open(struct io_uring *ring, unsigned int depth, const uint8_t *ops,
	       unsigned int nr, const struct iovec *buf, bool *fixed);

#define URING_MAX_OPS 8

#endif /* HYP_URING_H */
