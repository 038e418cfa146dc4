/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for what is in the guest's pages: RAM itself, and wherever they are on their
 * way out of it and back.
 *
 * A child never has it: its copy would keep pages from being moved, or what is read
 * from coming here.  Nor has a core dump (which --no-sandbox alone permits).
 */
#ifndef HYP_MEM_CONTENT_H
#define HYP_MEM_CONTENT_H

#include <stddef.h>

/**
 * content_map() - private pages of 4 KiB, which take memory when they are touched
 * @bytes: a multiple of 4 KiB, > 0
 *
 * Return: caller owns, content_unmap(); NULL: no address space.
 */
void *content_map(size_t bytes);

/** content_unmap() - accepts NULL */
void content_unmap(void *p, size_t bytes);

#endif /* HYP_MEM_CONTENT_H */
