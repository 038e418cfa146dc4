// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/mem/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/uffd.h"

_Static_assert((unsigned int)HOST_NR_FEATURES <= MEM_MAX_HOST, "names");

static const char *const names[HOST_NR_FEATURES] = {
	[HOST_POISON] = "poison",
	[HOST_MOVE] = "move",
	[HOST_WP] = "wp",
	[HOST_PROCESS_MADVISE] = "process_madvise",
	[HOST_IO_URING] = "io_uring",
	[HOST_DIRECT] = "direct",
};

/* Of a list with commas: what it begins with.  HOST_NR_FEATURES: something else. */
static unsigned int next_feature(const char **list)
{
	size_t len = strcspn(*list, ",");
	unsigned int i;

	for (i = 0; i < HOST_NR_FEATURES; i++)
		if (strlen(names[i]) == len && !strncmp(names[i], *list, len))
			break;
	*list += len;
	*list += **list == ',';
	return i;
}

bool host_may_have(enum host_feature feature)
{
	const char *list = getenv("HYP_WITHOUT");

	while (list && *list)
		if (next_feature(&list) == feature)
			return false;
	return true;
}

int host_check(const char **why)
{
	const char *list = getenv("HYP_WITHOUT");

	*why = "HYP_WITHOUT must be some of poison, move, wp, process_madvise, io_uring and direct, with commas";
	while (list && *list)
		if (next_feature(&list) == HOST_NR_FEATURES)
			return -EINVAL;
	return 0;
}

unsigned int mem_host(const struct mem *mem, const char *used[MEM_MAX_HOST])
{
	const bool has[HOST_NR_FEATURES] = {
		[HOST_POISON] = true,
		[HOST_MOVE] = uffd_can_move(),
		[HOST_WP] = mem->track.offered || !uffd_can_move(),
		[HOST_PROCESS_MADVISE] = mem->has_process_madvise,
		[HOST_IO_URING] = mem->swap && mem->pager.in.queue.has_ring,
		[HOST_DIRECT] = mem->swap && mem->swap->direct,
	};
	unsigned int i, nr = 0;

	for (i = 0; i < HOST_NR_FEATURES; i++)
		if (has[i])
			used[nr++] = names[i];
	return nr;
}
