// SPDX-License-Identifier: GPL-2.0-only
/* A serial port whose reader is slow. */
#include <linux/serial_reg.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hyp/dev/uart.h"

/* What a driver of a 16550A sends when the transmitter is empty. */
#define FIFO_SIZE 16u
#define MANY	  100000u

struct port {
	struct uart *uart;
	bool level;
};

static void on_irq(void *ctx, bool level)
{
	struct port *p = ctx;

	p->level = level;
}

static void on_output(void *ctx, bool urgent)
{
	(void)ctx;
	(void)urgent;
}

static void on_input(void *ctx)
{
	(void)ctx;
}

static const struct uart_ops ops = { on_irq, on_output, on_input };

static void out(struct port *p, unsigned int reg, uint8_t value)
{
	uart_bus_ops.write(p->uart, reg, &value, 1);
}

static uint8_t in(struct port *p, unsigned int reg)
{
	uint8_t value;

	uart_bus_ops.read(p->uart, reg, &value, 1);
	return value;
}

static int setup(void **state)
{
	struct port *p = calloc(1, sizeof(*p));

	assert_int_equal(uart_create(&p->uart, &ops, p), 0);
	out(p, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(p, UART_MCR, UART_MCR_OUT2);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct port *p = *state;

	uart_destroy(p->uart);
	free(p);
	return 0;
}

/* Sends as long as the port is ready. Return: bytes. */
static unsigned int send_while_ready(struct port *p, unsigned int first)
{
	unsigned int i, n = 0;

	while ((in(p, UART_LSR) & UART_LSR_THRE) && n < MANY)
		for (i = 0; i < FIFO_SIZE; i++)
			out(p, UART_TX, (uint8_t)(first + n++));
	return n;
}

static void nothing_is_lost_while_the_port_says_ready(void **state)
{
	struct port *p = *state;
	unsigned int sent, got = 0, i;
	uint8_t buf[1000];
	size_t n;

	/* An odd number first: the buffer is no multiple of the FIFO then. */
	out(p, UART_TX, 0);
	sent = 1 + send_while_ready(p, 1);
	assert_true(sent < MANY);
	while ((n = uart_take_output(p->uart, buf, sizeof(buf))))
		for (i = 0; i < n; i++)
			assert_int_equal(buf[i], (uint8_t)got++);
	assert_int_equal(got, sent);
}

static void a_full_port_interrupts_when_it_has_room(void **state)
{
	struct port *p = *state;
	uint8_t buf[1000];

	out(p, UART_IER, UART_IER_THRI);
	send_while_ready(p, 0);
	/* The driver finds the transmitter busy and waits for an interrupt. */
	in(p, UART_IIR);
	assert_false(p->level);
	assert_false(in(p, UART_LSR) & UART_LSR_THRE);
	assert_int_equal(uart_take_output(p->uart, buf, sizeof(buf)),
			 sizeof(buf));
	assert_true(p->level);
	assert_int_equal(in(p, UART_IIR) & 0x0f, UART_IIR_THRI);
	assert_true(in(p, UART_LSR) & UART_LSR_THRE);
	assert_false(p->level);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_lost_while_the_port_says_ready),
		CASE(a_full_port_interrupts_when_it_has_room),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
