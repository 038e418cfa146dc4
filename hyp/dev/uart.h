/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 8250-compatible serial port.  Output goes to a buffer that the console
 * empties once per tick; when it is full the port says "transmitter busy" and
 * the guest waits, as it would for a slow line.
 */
#ifndef HYP_DEV_UART_H
#define HYP_DEV_UART_H

#include <stddef.h>
#include <stdint.h>

#include "hyp/dev/bus.h"

#define UART_PORTS 8

struct uart; /* opaque */

/**
 * struct uart_ops - what a UART asks for; called with its lock held, from any
 * vCPU thread or the caller of uart_receive() or uart_take_output(); must not
 * call back
 */
struct uart_ops {
	void (*irq)(void *ctx, bool level);
	void (*output)(void *ctx,
		       bool urgent); /* there is some; urgent: much */
	void (*input)(void *ctx);    /* there is room again */
};

extern const struct bus_ops uart_bus_ops;

/**
 * uart_create() - a port with nothing in its buffers
 * @out: set on success; caller owns, uart_destroy()
 * @ops: not NULL
 * @ctx: first argument of @ops
 *
 * Return: 0 or -ENOMEM.
 */
int uart_create(struct uart **out, const struct uart_ops *ops, void *ctx);

/** uart_destroy() - accepts NULL */
void uart_destroy(struct uart *uart);

/** uart_room() - how many bytes to give to uart_receive(); 0 until it is open */
size_t uart_room(struct uart *uart);

/** uart_receive() - bytes for the guest; what finds no room is lost */
void uart_receive(struct uart *uart, const uint8_t *data, size_t len);

/**
 * uart_take_output() - remove the oldest bytes that the guest has sent
 * @uart: port
 * @buf:  at least @size bytes
 * @size: of @buf
 *
 * Return: number of bytes, 0: there are none.
 */
size_t uart_take_output(struct uart *uart, uint8_t *buf, size_t size);

#endif /* HYP_DEV_UART_H */
