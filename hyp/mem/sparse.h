/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables that have an entry for each frame, of which most guests never touch the
 * most: what nobody has written to takes no memory, and no time to set up.  Malloc()
 * promises neither.
 *
 * So zero is what an entry has to begin with, and who walks a table writes only
 * what he changes: a read of what nobody has written costs no memory.
 */
#ifndef HYP_MEM_SPARSE_H
#define HYP_MEM_SPARSE_H

#include <stddef.h>

/**
 * sparse_alloc() - zeroes, in pages of 4 KiB, which come when they are written to
 * @bytes: > 0
 *
 * Whoever goes behind the end by 64 bytes or more gets a SIGSEGV: the sanitizers do
 * not watch this memory.
 * Return: caller owns, sparse_free(); aligned to 64 bytes, and to a page if @bytes
 * are whole pages; NULL: no address space.
 */
void *sparse_alloc(size_t bytes);

/** sparse_free() - accepts NULL; @bytes are those of sparse_alloc() */
void sparse_free(void *p, size_t bytes);

#endif /* HYP_MEM_SPARSE_H */
