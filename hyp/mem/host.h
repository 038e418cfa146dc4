/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host's kernel may be asked for.  Each of these is looked for at
 * start, by trying it, and done without where it is not there, or refused:
 *
 *	feature		 since	  without it
 *	poison		 6.6	  hyp does not run
 *	move		 6.8	  page-out protects, copies and releases: wp
 *	wp		 5.7	  no Potentially Volatile; with no move: does not run
 *	process_madvise	 6.13	  a madvise() for each run that is released
 *	io_uring	 5.1	  one transfer of the swap file at a time
 *	direct		 	  the swap file goes through the page cache
 *
 * (process_madvise() is older, but discards only since then.)  The environment
 * variable HYP_WITHOUT, a list with commas, has hyp take some for missing: this
 * is how tests run what older hosts do.
 */
#ifndef HYP_MEM_HOST_H
#define HYP_MEM_HOST_H

#include <stdbool.h>

enum host_feature {
	HOST_POISON,
	HOST_MOVE,
	HOST_WP,
	HOST_PROCESS_MADVISE,
	HOST_IO_URING,
	HOST_DIRECT,
	HOST_NR_FEATURES,
};

/** host_may_have() - false: HYP_WITHOUT says that it is not there */
bool host_may_have(enum host_feature feature);

/** host_check() - does HYP_WITHOUT name features only? Return: 0 or -EINVAL */
int host_check(const char **why);

#endif /* HYP_MEM_HOST_H */
