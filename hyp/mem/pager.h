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
	uint32_t idle; /* one bit for each that is not in flight */
	uint8_t *buf;  /* FILL_MAX_PRESERVED pages for each; NULL: no swap */
};

/** pager_init() - after the swap file. Return: 0 or -ENOMEM */
int pager_init(struct mem *mem);
void pager_fini(struct mem *mem);

/** pager_thread() - body of the thread; @arg is a struct mem */
void *pager_thread(void *arg);

#endif /* HYP_MEM_PAGER_H */
