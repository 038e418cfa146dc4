/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pager thread: sole reader of the userfaultfd.  Resolves accesses to frames
 * that have no page, wherever in the kernel or guest they happen.  What it has
 * to read from the swap file for that: pagein.h.
 */
#ifndef HYP_MEM_PAGER_H
#define HYP_MEM_PAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/mem/pagein.h"
#include "hyp/mem/uffd.h"

struct mem;

/* Messages that are read at a time. */
#define PAGER_MESSAGES 16u

/* The thread's own. */
struct pager {
	struct pagein in;
	struct uffd_message message[PAGER_MESSAGES];
	unsigned int nr,
		next;	   /* those from @next on have still to be handled */
	uint64_t since_ns; /* when they were read */
};

/** pager_thread() - body of the thread; @arg is a struct mem */
void *pager_thread(void *arg);

#endif /* HYP_MEM_PAGER_H */
