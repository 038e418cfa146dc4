/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Since when frames have been volatile, in generations: one a round of reclaim.
 *
 * Reclaim's thread only, but for ages_forget().
 */
#ifndef HYP_MEM_AGES_H
#define HYP_MEM_AGES_H

#include <stdint.h>

struct mem;

/**
 * ages_scan() - one pass over the table: Volatile frames are aged, Unused go
 * @mem:  memory
 * @need: stop to discard when the batch has freed or committed so many frames
 */
void ages_scan(struct mem *mem, uint64_t need);

/** ages_discard() - those that are oldest, until the batch has freed @need frames */
void ages_discard(struct mem *mem, uint64_t need);

/** ages_park() - @nr of those that are oldest go into probation, while there is time */
void ages_park(struct mem *mem, uint64_t nr);

/** ages_next() - what becomes volatile from now on is younger */
void ages_next(struct mem *mem);

/** ages_forget() - a frame was used, or has gone: it is young again.  Any thread */
void ages_forget(struct mem *mem, uint64_t idx);

#endif /* HYP_MEM_AGES_H */
