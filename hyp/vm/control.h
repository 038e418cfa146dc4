/* SPDX-License-Identifier: GPL-2.0-only */
/* What the control socket is asked for, and done about it: the commands. */
#ifndef HYP_VM_CONTROL_H
#define HYP_VM_CONTROL_H

#include "hyp/util.h"

struct vm;
struct control; /* opaque */

/**
 * vm_open_control() - create the socket that the configuration asks for
 * @vm:  with the event loop; no other thread exists yet
 * @why: set on failure
 *
 * Without --control, a VM without a socket is a line on standard error; but one
 * whose name is in use is a failure.
 * Return: 0 or a negative errno.
 */
int vm_open_control(struct vm *vm, struct why *why);

/** vm_serve_control() - the VM is built. Return: 0 or a negative errno. */
int vm_serve_control(struct vm *vm, struct why *why);

/** vm_close_control() - whether or not it was opened; mem has been stopped */
void vm_close_control(struct vm *vm);

#endif /* HYP_VM_CONTROL_H */
