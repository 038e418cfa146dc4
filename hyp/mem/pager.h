/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pager thread: sole reader of the userfaultfd.  Resolves accesses to frames
 * that have no page, wherever in the kernel or guest they happen.
 */
#ifndef HYP_MEM_PAGER_H
#define HYP_MEM_PAGER_H

/** pager_thread() - body of the thread; @arg is a struct mem */
void *pager_thread(void *arg);

#endif /* HYP_MEM_PAGER_H */
