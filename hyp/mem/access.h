/* SPDX-License-Identifier: GPL-2.0-only */
/* Accesses that a thread of hyp makes or resolves on behalf of the guest. */
#ifndef HYP_MEM_ACCESS_H
#define HYP_MEM_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

struct mem;

/**
 * access_resident() - make a frame resident
 * @mem:     memory
 * @idx:     frame
 * @end:     behind the last frame that is wanted next: what follows @idx up to
 *	     here may be filled with it, but is not pinned
 * @pin:     and keep it so: one more pin
 * @counter: counts the frames that had to be filled
 * @since_ns: when the guest's access became known; 0: it is none, or none that
 *	      is measured
 *
 * Context: may sleep; no stripe held; not the pager's or reclaim's thread.
 * Return: 0; -EFAULT if it is discarded; -ECANCELED or the errno of a fill.
 */
int access_resident(struct mem *mem, uint64_t idx, uint64_t end, bool pin,
		    _Atomic uint64_t *counter, uint64_t since_ns);

#endif /* HYP_MEM_ACCESS_H */
