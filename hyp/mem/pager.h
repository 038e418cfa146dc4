/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pager thread: sole reader of the userfaultfd.  Resolves accesses to frames
 * that have no page, wherever in the kernel or guest they happen.
 */
#ifndef HYP_MEM_PAGER_H
#define HYP_MEM_PAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/mem/fill.h"

struct mem;

/* Reads in flight. */
#define PAGER_FILLS 16u

/* The thread's own. */
struct pager {
	struct swap_queue queue;
	struct fill fill[PAGER_FILLS];
	/* One bit each; who has none is in flight. */
	uint32_t idle, stalled;
	uint8_t *buf;  /* FILL_MAX_PRESERVED pages for each; NULL: no swap */
	int retry_fd;  /* eventfd: start again what is stalled */
	bool has_read; /* a message that had to wait */
	bool write;
	void *addr;
	uint64_t since_ns; /* when it was read */
};

/** pager_init() - there is a swap file now. Return: 0 or a negative errno */
int pager_init(struct mem *mem, const char **why);
void pager_fini(struct mem *mem);

/** pager_thread() - body of the thread; @arg is a struct mem */
void *pager_thread(void *arg);

#endif /* HYP_MEM_PAGER_H */
