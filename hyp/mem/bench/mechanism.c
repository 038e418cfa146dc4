// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways in which Linux lets a program resolve a fault, beside each other: the
 * elapsed time of a touch, without anything of hyp/mem.  Those that this kernel
 * does not have are left out.
 *
 * In hyp the threads that touch are mostly vCPUs inside KVM_RUN.  There SIGBUS
 * mode is no way (KVM_RUN returns EFAULT without an address on Linux 6.12), and a
 * marker on a page that has content makes accesses fail that the kernel makes for
 * the guest, which wait for a message's answer.  So hyp uses markers where the
 * guest is to be told (discarded), messages and UFFDIO_COPY where it is to wait.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hyp/mem/bench/bench.h"
#include "hyp/mem/uffd.h"

#define PAGES 512u
#define BYTES ((size_t)PAGES * MEM_PAGE_SIZE)

/* Newer than the headers of Debian 12. */
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#endif

enum way {
	ALONE,
	COPY,
	MOVE,
	CONTINUE,
	SIGBUS_COPY,
	MARKER,
	WP,
	WP_ASYNC,
	WAYS
};

static struct mechanism {
	const char *name;
	uint64_t features, mode;
	unsigned int base; /* another of them */
	int fd, stop;
	uint8_t *area,
		*other; /* @other: the second mapping, or what is moved */
	unsigned int line;
	bool works;
} mechanisms[WAYS] = {
	[COPY] = { .name = "message, copy",
		   .mode = UFFDIO_REGISTER_MODE_MISSING,
		   .base = COPY },
	[MOVE] = { .name = "message, move",
		   .features = UFFD_FEATURE_MOVE,
		   .mode = UFFDIO_REGISTER_MODE_MISSING,
		   .base = COPY },
	[CONTINUE] = { .name = "message, continue",
		       .features = UFFD_FEATURE_MINOR_SHMEM,
		       .mode = UFFDIO_REGISTER_MODE_MINOR,
		       .base = COPY },
	[SIGBUS_COPY] = { .name = "SIGBUS mode, copy",
			  .features = UFFD_FEATURE_SIGBUS,
			  .mode = UFFDIO_REGISTER_MODE_MISSING,
			  .base = COPY },
	[MARKER] = { .name = "marker, copy",
		     .features = UFFD_FEATURE_POISON,
		     .mode = UFFDIO_REGISTER_MODE_MISSING,
		     .base = COPY },
	[ALONE] = { .name = "kernel alone", .base = COPY },
	[WP] = { .name = "protected, message",
		 .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
		 .mode = UFFDIO_REGISTER_MODE_WP,
		 .base = WP },
	[WP_ASYNC] = { .name = "protected, async",
		       .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
				   UFFD_FEATURE_WP_ASYNC,
		       .mode = UFFDIO_REGISTER_MODE_WP,
		       .base = WP },
};

static const uint8_t page[MEM_PAGE_SIZE]
	__attribute__((aligned(MEM_PAGE_SIZE)));
static _Atomic(struct mechanism *) current;

static void resolve(const struct mechanism *m, uint8_t *addr)
{
	enum way way = (enum way)(m - mechanisms);
	struct uffdio_continue c = {
		.range = { .start = (uintptr_t)addr, .len = MEM_PAGE_SIZE },
	};
	size_t moved;
	int err;

	switch (way) {
	case MOVE:
		err = uffd_move(m->fd, addr, m->other + (addr - m->area),
				MEM_PAGE_SIZE, &moved);
		break;
	case CONTINUE:
		err = ioctl(m->fd, UFFDIO_CONTINUE, &c) ? -errno : 0;
		break;
	case WP:
		err = uffd_unprotect(m->fd, addr, MEM_PAGE_SIZE);
		break;
	default:
		err = uffd_copy(m->fd, addr, page, MEM_PAGE_SIZE);
	}
	bench_must(err, m->name);
}

static void on_sigbus(int sig, siginfo_t *si, void *uc)
{
	uintptr_t addr = (uintptr_t)si->si_addr &
			 ~(uintptr_t)(MEM_PAGE_SIZE - 1);

	(void)sig;
	(void)uc;
	resolve(atomic_load(&current), (uint8_t *)addr);
}

static void *answer(void *arg)
{
	const struct mechanism *m = arg;
	struct pollfd fds[] = { { .fd = m->stop, .events = POLLIN },
				{ .fd = m->fd, .events = POLLIN } };
	struct uffd_message msg[UFFD_MAX_MESSAGES];
	int i, n;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		n = uffd_read(m->fd, msg, UFFD_MAX_MESSAGES);
		for (i = 0; i < n; i++)
			resolve(m, msg[i].addr);
	}
}

static void *map(void)
{
	void *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bench_must(p == MAP_FAILED ? -ENOMEM : 0, "cannot map memory");
	madvise(p, BYTES, MADV_NOHUGEPAGE);
	return p;
}

/* As in uffd.c, but with what is not used there. */
static bool set_up(struct mechanism *m)
{
	struct uffdio_api api = { .api = UFFD_API, .features = m->features };
	struct uffdio_register reg = { .mode = m->mode };
	int file;

	if (m == &mechanisms[CONTINUE]) {
		file = memfd_create("bench", MFD_CLOEXEC);
		bench_must(file < 0 || ftruncate(file, BYTES) ? -errno : 0,
			   "memfd");
		m->area = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			       file, 0);
		m->other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				file, 0);
		close(file);
	} else {
		m->area = map();
		m->other = map();
	}
	if (m == &mechanisms[ALONE])
		return true;
	m->stop = eventfd(0, EFD_NONBLOCK);
	m->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (m->fd < 0 || ioctl(m->fd, UFFDIO_API, &api))
		return false;
	reg.range.start = (uintptr_t)m->area;
	reg.range.len = BYTES;
	return !ioctl(m->fd, UFFDIO_REGISTER, &reg);
}

static void prepare(const struct mechanism *m)
{
	switch ((enum way)(m - mechanisms)) {
	case WP:
	case WP_ASYNC:
		/* No messages for what is missing. */
		memset(m->area, 1, BYTES);
		bench_must(uffd_protect(m->fd, m->area, BYTES), m->name);
		return;
	default:
		memset(m->other, 1, BYTES);
		madvise(m->area, BYTES, MADV_DONTNEED);
	}
	if (m == &mechanisms[MARKER])
		bench_must(uffd_poison(m->fd, m->area, BYTES), m->name);
}

static double touch(struct mechanism *m)
{
	bool by_message = m->fd && m != &mechanisms[MARKER] &&
			  m != &mechanisms[SIGBUS_COPY] &&
			  m != &mechanisms[WP_ASYNC];
	uint64_t start, end;
	pthread_t thread;
	unsigned int i;

	prepare(m);
	atomic_store(&current, m);
	if (by_message)
		bench_must(pthread_create(&thread, NULL, answer, m),
			   "cannot start a thread");
	start = now_ns();
	for (i = 0; i < PAGES; i++)
		*(volatile uint8_t *)(m->area + (size_t)(i * 389u % PAGES) *
							MEM_PAGE_SIZE) = 1;
	end = now_ns();
	if (by_message) {
		eventfd_write(m->stop, 1);
		pthread_join(thread, NULL);
		eventfd_read(m->stop, &(eventfd_t){ 0 });
	}
	return (double)(end - start) / PAGES;
}

void mechanism_add(struct bench *b)
{
	static const enum way order[] = { COPY,	  MOVE,	 CONTINUE, SIGBUS_COPY,
					  MARKER, ALONE, WP,	   WP_ASYNC };
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		struct mechanism *m = &mechanisms[order[i]];
		const struct mechanism *base = &mechanisms[m->base];

		m->works = set_up(m);
		if (m->works)
			m->line = bench_add(b, "mechanism", m->name,
					    m->base == WP ? "write" : "missing",
					    "ns/fault",
					    m == base ? b->nr : base->line);
	}
}

void mechanism_round(struct bench *b, unsigned int round)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus,
				.sa_flags = SA_SIGINFO };
	struct sigaction old;
	unsigned int i;

	/* fault.c has another handler. */
	sigaction(SIGBUS, &sa, &old);
	for (i = 0; i < WAYS; i++) {
		struct mechanism *m = &mechanisms[(i + round) % WAYS];

		if (m->works)
			b->line[m->line].v[round] = touch(m);
	}
	sigaction(SIGBUS, &old, NULL);
}
