/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * userfaultfd: the only place that issues its ioctls.
 *
 * MISSING and POISON (Linux 6.6) are needed, and MOVE (Linux 6.8) or write
 * protection; the latter is used beside MOVE where the host has it (host.h).
 * EVENT_REMOVE is not asked for: with it,
 * madvise() would sleep until the pager has read the event, and the pager waits
 * for reclaim.
 */
#ifndef HYP_MEM_UFFD_H
#define HYP_MEM_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * uffd_open() - a userfaultfd that can do all this needs
 * @fd:      set on success; close() it
 * @protect: wanted: uffd_protect(); cleared if the host cannot do that
 * @why:     on failure set to one static line that says what to do
 *
 * Return: 0 or a negative errno.
 */
int uffd_open(int *fd, bool *protect, const char **why);

/** uffd_can_move() - after uffd_open(): with UFFDIO_MOVE, or does it copy? */
bool uffd_can_move(void);

/**
 * uffd_register() - @len bytes of anonymous memory, accesses to what is missing
 * @protect: and writes to what uffd_protect() has protected
 */
int uffd_register(int fd, void *addr, size_t len, bool protect,
		  const char **why);

/**
 * uffd_copy() - fill pages from a buffer and wake who waits for them
 *
 * Pages that are present already are left alone.
 * Return: 0 or a negative errno.
 */
int uffd_copy(int fd, void *dst, const void *src, size_t len);

/** uffd_poison() - put poison markers on empty pages. 0 or a negative errno */
int uffd_poison(int fd, void *addr, size_t len);

/**
 * uffd_move() - move anonymous pages, both sides registered
 * @moved: bytes moved, also on failure
 *
 * Return: 0 or the negative errno of the page behind those moved.  Without
 * UFFDIO_MOVE it does not refuse pages that the kernel uses just then.
 */
int uffd_move(int fd, void *dst, void *src, size_t len, size_t *moved);

void uffd_wake(int fd, void *addr, size_t len);

/**
 * uffd_protect() - writes to pages that are present become messages
 *
 * Holds for whatever the TLBs had before, KVM's included, when it returns.
 * Return: 0 or a negative errno.
 */
int uffd_protect(int fd, void *addr, size_t len);

/** uffd_unprotect() - undo it, and wake who waits. 0 or a negative errno */
int uffd_unprotect(int fd, void *addr, size_t len);

/**
 * struct uffd_message - an access that waits
 * @addr:  page-aligned address of the access
 * @write: it is a write to a page that is present, and protected
 */
struct uffd_message {
	void *addr;
	bool write;
};

#define UFFD_MAX_MESSAGES 16u

/**
 * uffd_read() - next messages, if there are any
 * @msg: set
 * @max: how many there may be, up to UFFD_MAX_MESSAGES
 *
 * Return: how many; a negative errno.
 */
int uffd_read(int fd, struct uffd_message *msg, unsigned int max);

#endif /* HYP_MEM_UFFD_H */
