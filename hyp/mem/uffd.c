// SPDX-License-Identifier: GPL-2.0-only
/* userfaultfd ioctls; Documentation/admin-guide/mm/userfaultfd.rst */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hyp/mem/host.h"
#include "hyp/mem/mem.h"
#include "hyp/mem/uffd.h"
#include "hyp/mem/uffd_abi.h"

static int open_fd(void)
{
	int flags = O_CLOEXEC | O_NONBLOCK;
	int dev;
	int err;
	int fd;

	/* Not UFFD_USER_MODE_ONLY: KVM and the kernel fault here as well. */
	fd = (int)syscall(SYS_userfaultfd, flags);
	if (fd >= 0)
		return fd;
	err = errno;
	dev = open("/dev/userfaultfd", O_RDONLY | O_CLOEXEC);
	if (dev < 0)
		return -err;
	fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
	err = errno;
	close(dev);
	return fd < 0 ? -err : fd;
}

/* Property of the host: the same for all descriptors. */
static atomic_bool has_move = true;

bool uffd_can_move(void)
{
	return atomic_load(&has_move);
}

static int ask_api(int uffd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	if ((features & UFFD_FEATURE_POISON && !host_may_have(HOST_POISON)) ||
	    (features & UFFD_FEATURE_MOVE && !host_may_have(HOST_MOVE)) ||
	    (features & UFFD_FEATURE_PAGEFAULT_FLAG_WP &&
	     !host_may_have(HOST_WP)))
		return -EINVAL;
	return ioctl(uffd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

/* The most that there is.  A refused request leaves the descriptor as it was. */
static int ask_features(int uffd, bool *protect)
{
	const uint64_t wp = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	int err = -EINVAL;

	atomic_store(&has_move, true);
	if (*protect)
		err = ask_api(uffd,
			      UFFD_FEATURE_POISON | UFFD_FEATURE_MOVE | wp);
	if (!err)
		return 0;
	if (!ask_api(uffd, UFFD_FEATURE_POISON | UFFD_FEATURE_MOVE)) {
		*protect = false;
		return 0;
	}
	/* Pages that are moved are protected while they are copied. */
	atomic_store(&has_move, false);
	return ask_api(uffd, UFFD_FEATURE_POISON | wp);
}

int uffd_open(int *fd, bool *protect, const char **why)
{
	int uffd = open_fd();
	int err;

	if (uffd == -ENOSYS) {
		*why = "no userfaultfd: the host kernel needs CONFIG_USERFAULTFD";
		return uffd;
	}
	if (uffd < 0) {
		*why = "userfaultfd refused: let this user read /dev/userfaultfd, or set sysctl vm.unprivileged_userfaultfd=1, or run as root";
		return uffd;
	}
	err = ask_features(uffd, protect);
	if (err) {
		close(uffd);
		*why = "userfaultfd cannot poison pages: the host needs Linux 6.6 or newer";
		return err;
	}
	*fd = uffd;
	return 0;
}

int uffd_register(int fd, void *addr, size_t len, bool protect,
		  const char **why)
{
	const bool wp = protect || !uffd_can_move();
	const uint64_t need = 1ull << _UFFDIO_COPY | 1ull << _UFFDIO_WAKE |
			      1ull << _UFFDIO_POISON |
			      (uint64_t)uffd_can_move() << _UFFDIO_MOVE |
			      (uint64_t)wp << _UFFDIO_WRITEPROTECT;
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)addr, .len = len },
		.mode = UFFDIO_REGISTER_MODE_MISSING |
			(wp ? UFFDIO_REGISTER_MODE_WP : 0),
	};

	if (ioctl(fd, UFFDIO_REGISTER, &reg) < 0) {
		*why = "cannot register guest memory with userfaultfd";
		return -errno;
	}
	if ((reg.ioctls & need) != need) {
		*why = "userfaultfd cannot do what guest memory needs: the host needs Linux 6.6 or newer";
		return -EOPNOTSUPP;
	}
	return 0;
}

int uffd_copy(int fd, void *dst, const void *src, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct uffdio_copy c = {
			.dst = (uintptr_t)dst + done,
			.src = (uintptr_t)src + done,
			.len = len - done,
		};

		if (ioctl(fd, UFFDIO_COPY, &c) == 0)
			return 0;
		if (c.copy > 0) {
			done += (size_t)c.copy;
		} else if (errno == EEXIST) {
			uffd_wake(fd, (uint8_t *)dst + done, MEM_PAGE_SIZE);
			done += MEM_PAGE_SIZE;
		} else if (errno != EAGAIN) {
			return -errno;
		}
	}
	return 0;
}

int uffd_poison(int fd, void *addr, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct uffdio_poison p = {
			.range = { .start = (uintptr_t)addr + done,
				   .len = len - done },
		};

		if (ioctl(fd, UFFDIO_POISON, &p) == 0)
			return 0;
		if (p.updated > 0)
			done += (size_t)p.updated;
		else if (errno != EAGAIN)
			return -errno;
	}
	return 0;
}

void uffd_wake(int fd, void *addr, size_t len)
{
	struct uffdio_range r = { .start = (uintptr_t)addr, .len = len };

	/* Cannot fail for a registered range. */
	ioctl(fd, UFFDIO_WAKE, &r);
}

static int write_protect(int fd, void *addr, size_t len, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)addr, .len = len },
		.mode = mode,
	};

	while (ioctl(fd, UFFDIO_WRITEPROTECT, &wp) < 0)
		if (errno != EAGAIN)
			return -errno;
	return 0;
}

int uffd_protect(int fd, void *addr, size_t len)
{
	return write_protect(fd, addr, len, UFFDIO_WRITEPROTECT_MODE_WP);
}

int uffd_unprotect(int fd, void *addr, size_t len)
{
	return write_protect(fd, addr, len, 0);
}

/*
 * Without UFFDIO_MOVE.  Nobody can write to what is protected, and who tries
 * waits, as for a page that has been moved; reads go on until it is released.
 */
static int copy_over(int fd, void *dst, void *src, size_t len, size_t *moved)
{
	int err = uffd_protect(fd, src, len);

	if (!err)
		err = uffd_copy(fd, dst, src, len);
	if (err) {
		uffd_unprotect(fd, src, len);
		return err;
	}
	*moved = len;
	return madvise(src, len, MADV_DONTNEED) ? -errno : 0;
}

int uffd_move(int fd, void *dst, void *src, size_t len, size_t *moved)
{
	*moved = 0;
	if (!uffd_can_move())
		return copy_over(fd, dst, src, len, moved);
	while (*moved < len) {
		struct uffdio_move m = {
			.dst = (uintptr_t)dst + *moved,
			.src = (uintptr_t)src + *moved,
			.len = len - *moved,
		};

		if (ioctl(fd, UFFDIO_MOVE, &m) == 0) {
			*moved = len;
			return 0;
		}
		if (m.move <= 0)
			return -errno;
		*moved += (size_t)m.move;
	}
	return 0;
}

int uffd_read(int fd, struct uffd_message *msg, unsigned int max)
{
	const uint64_t mask = ~(uint64_t)(MEM_PAGE_SIZE - 1);
	struct uffd_msg raw[UFFD_MAX_MESSAGES];
	unsigned int i, nr = 0;
	ssize_t n;

	if (max > UFFD_MAX_MESSAGES)
		max = UFFD_MAX_MESSAGES;
	while (!nr) {
		n = read(fd, raw, max * sizeof(raw[0]));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!n || n % (ssize_t)sizeof(raw[0]))
			return -EIO;
		for (i = 0; i < (size_t)n / sizeof(raw[0]); i++) {
			const struct uffd_msg *m = &raw[i];

			if (m->event != UFFD_EVENT_PAGEFAULT)
				continue;
			msg[nr++] = (struct uffd_message){
				.addr = (void *)(uintptr_t)(m->arg.pagefault
								    .address &
							    mask),
				.write = m->arg.pagefault.flags &
					 UFFD_PAGEFAULT_FLAG_WP,
			};
		}
	}
	return (int)nr;
}
