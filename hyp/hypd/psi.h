/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is the host itself short of memory?  The kernel says so when tasks have waited
 * for memory for a tenth of two seconds (Documentation/accounting/psi.rst); where
 * that file cannot be had, nothing does.
 */
#ifndef HYP_HYPD_PSI_H
#define HYP_HYPD_PSI_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/loop.h"

/* So long after the last time the host counts as pressed. */
#define PSI_HOLD_MS 10000

/** struct psi - embedded */
struct psi {
	struct loop *loop;
	struct loop_handler handler; /* fd -1: there is none */
	bool pressed;
	uint64_t until_ms;
	void (*changed)(void *ctx);
	void *ctx;
};

/** psi_init() - watch; @changed is called when psi->pressed has become true */
void psi_init(struct psi *psi, struct loop *loop, void (*changed)(void *ctx),
	      void *ctx);
void psi_fini(struct psi *psi);

/** psi_due_ms() - when to call psi_tick(); UINT64_MAX: never */
uint64_t psi_due_ms(const struct psi *psi);

/** psi_tick() - Return: true if it is not pressed any more */
bool psi_tick(struct psi *psi, uint64_t now_ms);

#endif /* HYP_HYPD_PSI_H */
