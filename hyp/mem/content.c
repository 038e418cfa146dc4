// SPDX-License-Identifier: GPL-2.0-only
/* Memory for the content of guest pages; see content.h. */
#include <sys/mman.h>

#include "hyp/mem/content.h"

void *content_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_NOHUGEPAGE);
	madvise(p, bytes, MADV_DONTFORK);
	madvise(p, bytes, MADV_DONTDUMP);
	return p;
}

void content_unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}
