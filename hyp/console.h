/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's serial port on hyp's standard input and output. */
#ifndef HYP_CONSOLE_H
#define HYP_CONSOLE_H

#include <stdbool.h>

#include "hyp/dev/uart.h"
#include "hyp/kvm/kvm.h"
#include "hyp/loop.h"

struct console; /* opaque */

/**
 * console_create() - create the UART and connect it
 * @out:   set on success; caller owns, console_destroy()
 * @loop:  where input and output are handled
 * @kvm:   for its interrupt
 * @input: false: standard input is for somebody else
 *
 * A terminal on standard input passes characters on at once, without echo,
 * until console_destroy().  Ctrl-C still is a signal.
 * Return: 0 or a negative errno.
 */
int console_create(struct console **out, struct loop *loop, struct kvm *kvm,
		   bool input);

/** console_destroy() - restore the terminal; accepts NULL.  No vCPU runs. */
void console_destroy(struct console *console);

/** console_uart() - to be put on the bus with uart_bus_ops */
struct uart *console_uart(struct console *console);

/** console_flush() - write what is left; waits a second for a slow reader */
void console_flush(struct console *console);

#endif /* HYP_CONSOLE_H */
