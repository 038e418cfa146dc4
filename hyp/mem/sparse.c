// SPDX-License-Identifier: GPL-2.0-only
/* Tables with an entry for each frame; see sparse.h. */
#include <stdint.h>
#include <sys/mman.h>

#include "hyp/mem/mem.h"
#include "hyp/mem/sparse.h"

#define ALIGN 64u

static size_t round_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) / to * to;
}

/* Its end is at the end of a page, and the guard behind. */
static size_t before(size_t bytes)
{
	return round_up(bytes, MEM_PAGE_SIZE) - round_up(bytes, ALIGN);
}

void *sparse_alloc(size_t bytes)
{
	size_t len = round_up(bytes, MEM_PAGE_SIZE);
	uint8_t *p = mmap(NULL, len + MEM_PAGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p, len, PROT_READ | PROT_WRITE)) {
		munmap(p, len + MEM_PAGE_SIZE);
		return NULL;
	}
	/* A byte would take 2 MiB. */
	madvise(p, len, MADV_NOHUGEPAGE);
	return p + before(bytes);
}

void sparse_free(void *p, size_t bytes)
{
	if (p)
		munmap((uint8_t *)p - before(bytes),
		       round_up(bytes, MEM_PAGE_SIZE) + MEM_PAGE_SIZE);
}
