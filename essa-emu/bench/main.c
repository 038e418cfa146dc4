// SPDX-License-Identifier: GPL-2.0-only
/* What operations, batches and scans of states cost on this processor. */
#include <stdio.h>
#include <sys/mman.h>

#include "essa-emu/bench/bench.h"

int main(int argc, char **argv)
{
	static const struct bench_group groups[] = {
		{ ops_add, ops_round, ops_end },
		{ batch_add, batch_round, NULL },
		{ scan_add, scan_round, NULL },
	};
	static struct bench b;

	b.table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (b.table == MAP_FAILED) {
		fprintf(stderr, "bench: no memory\n");
		return 1;
	}
	return bench_main(argc, argv, &b, groups,
			  sizeof(groups) / sizeof(groups[0]));
}
