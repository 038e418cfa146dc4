// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/uring.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* liburing 2.3 of Debian 12 declares functions for it and does not export them. */
static int reg(const struct io_uring *ring, unsigned int op, const void *arg,
	       unsigned int nr)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, op, arg, nr) < 0 ?
		       -errno :
		       0;
}

static int restrict_to(struct io_uring *ring, const uint8_t *ops,
		       unsigned int nr)
{
	struct io_uring_restriction res[URING_MAX_OPS] = { 0 };
	unsigned int i;
	int err;

	if (nr > URING_MAX_OPS)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = ops[i];
	}
	err = reg(ring, IORING_REGISTER_RESTRICTIONS, res, nr);
	return err ? err : reg(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int uring_open(struct io_uring *ring, unsigned int depth, const uint8_t *ops,
	       unsigned int nr, const struct iovec *buf, bool *fixed)
{
	int err;

	err = io_uring_queue_init(depth, ring, IORING_SETUP_R_DISABLED);
	if (err)
		return err;
	if (fixed)
		*fixed = buf && !io_uring_register_buffers(ring, buf, 1);
	err = restrict_to(ring, ops, nr);
	if (err) {
		io_uring_queue_exit(ring);
		return err;
	}
	return 0;
}
