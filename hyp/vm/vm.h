/* SPDX-License-Identifier: GPL-2.0-only */
/* One virtual machine: owns memory, vCPUs, devices and the event loop. */
#ifndef HYP_VM_VM_H
#define HYP_VM_VM_H

#include "hyp/config.h"
#include "hyp/util.h"

struct vm; /* opaque */

/**
 * vm_create() - build everything and load the guest; no guest code runs yet
 * @out: set on success; caller owns, vm_destroy()
 * @cfg: immutable, outlives the VM
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int vm_create(struct vm **out, const struct config *cfg, struct why *why);

/**
 * vm_run() - run the guest until it ends or is stopped
 * @vm:  VM, to be run once
 * @why: set if hyp or the guest failed
 *
 * No thread of the guest or of a device runs any more when it returns.
 * Return: exit code for the process.
 */
int vm_run(struct vm *vm, struct why *why);

/** vm_destroy() - free everything; accepts NULL */
void vm_destroy(struct vm *vm);

#endif /* HYP_VM_VM_H */
