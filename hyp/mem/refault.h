/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Refault distance: how many frames reclaim took between taking one and its being
 * wanted again, as in mm/workingset.c.  With so many frames more, it had still been
 * there.
 */
#ifndef HYP_MEM_REFAULT_H
#define HYP_MEM_REFAULT_H

#include <stdatomic.h>
#include <stdint.h>

#include "hyp/mem/mem.h"

enum refault_kind {
	REFAULT_DISCARDED, /* a discard fault */
	REFAULT_SWAPPED,   /* paged in, not as what was read ahead */
	REFAULT_NR
};

struct refault {
	uint32_t *left; /* frame: @taken when it went */
	_Atomic uint32_t taken;
	_Atomic uint64_t after[REFAULT_NR][MEM_DISTANCES];
};

/** refault_init() - Return: 0 or -ENOMEM */
int refault_init(struct mem *mem);
void refault_fini(struct mem *mem);

/** refault_left() - reclaim has taken a frame; caller holds its stripe */
void refault_left(struct mem *mem, uint64_t idx);

/** refault_note() - it is wanted again; no stripe held */
void refault_note(struct mem *mem, uint64_t idx, enum refault_kind kind);

#endif /* HYP_MEM_REFAULT_H */
