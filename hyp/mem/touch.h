/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A "vCPU" without KVM, for the simulator and for tests: a thread that touches
 * guest RAM and takes SIGBUS to mem_fault(), as a vCPU thread of hyp does, and
 * that changes the state table as a guest does.
 */
#ifndef HYP_MEM_TOUCH_H
#define HYP_MEM_TOUCH_H

#include <stdint.h>

#include <essa/step.h>

#include "hyp/mem/mem.h"

/** guest_init() - install the handlers of SIGBUS and SIGUSR1, for all threads */
void guest_init(void);

enum guest_access {
	GUEST_OK,
	GUEST_DISCARDED, /* here a vCPU gets a discard fault */
	GUEST_GAVE_UP,	 /* kicked by SIGUSR1, or a fault loop */
};

/**
 * guest_access() - one 8-byte access, after guest_init()
 * @mem:      guest memory
 * @p:	      address in its RAM
 * @val:      what is read or written
 * @is_write: which
 *
 * Context: any thread but those of @mem; sleeps while the page is filled.
 */
enum guest_access guest_access(struct mem *mem, volatile uint64_t *p,
			       uint64_t *val, int is_write);

/**
 * guest_op() - a state operation of the guest, in place
 * @mem:   guest memory
 * @table: mem_table()
 * @gfn:   frame
 * @op:	   ESSA_OP_*
 *
 * Sleeps in ESSA_CMD_WAIT where the operation has to wait.
 * Return: the byte before.
 */
static inline uint8_t guest_op(struct mem *mem, uint8_t *table, uint64_t gfn,
			       unsigned int op)
{
	uint8_t old = __atomic_load_n(&table[gfn], __ATOMIC_SEQ_CST);
	int next;

	for (;;) {
		next = essa_next(old, op);
		if (next == ESSA_WAIT) {
			if (mem_hypercall(mem, ESSA_CMD_WAIT, gfn, 1, false))
				return old;
			old = __atomic_load_n(&table[gfn], __ATOMIC_SEQ_CST);
			continue;
		}
		if (__atomic_compare_exchange_n(
			    &table[gfn], &old, (uint8_t)next, 0,
			    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return old;
	}
}

#endif /* HYP_MEM_TOUCH_H */
