/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hard rule: nothing that hypd does makes the sum over all VMs of what they
 * have and may take, max(charged, limit), exceed the host's limit.
 *
 * So limits are lowered at once, and a limit is raised only by what the VMs'
 * own figures say is free already: a VM that is slow to give memory up, or never
 * does, goes on counting what it has.
 */
#ifndef HYP_HYPD_LEDGER_H
#define HYP_HYPD_LEDGER_H

#include <stddef.h>
#include <stdint.h>

/** struct ledger_vm - bytes */
struct ledger_vm {
	uint64_t counted; /* what it has, may take, or may have been granted */
	uint64_t limit;	  /* now */
	uint64_t want;	  /* by policy */
	uint64_t guaranteed; /* of it, first */
	uint64_t grant; /* set: limit to have from now on; @limit: leave it */
};

/**
 * ledger_settle() - what may be granted now
 * @limit_bytes: the host's
 * @vms:	 all of them
 * @nr:		 how many
 *
 * The sum of max(counted, grant) is at most @limit_bytes, or at most the sum of
 * counted if that is more.
 */
void ledger_settle(uint64_t limit_bytes, struct ledger_vm *vms, size_t nr);

#endif /* HYP_HYPD_LEDGER_H */
