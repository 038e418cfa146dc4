// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers and bits are those of <linux/serial_reg.h> (National PC16550D).
 * Everything in struct uart is guarded by @lock.
 */
#include "hyp/dev/uart.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Powers of two.  Linux prints bursts of some KiB while it boots. */
#define TX_SIZE 16384u
#define RX_SIZE 256u
/* A driver that finds the transmitter empty sends this much without looking. */
#define FIFO_SIZE 16u

struct uart {
	pthread_mutex_t lock;
	const struct uart_ops *ops;
	void *ctx;
	uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
	bool thr_pending; /* transmitter empty, not yet reported */
	bool level;	  /* of the interrupt line */
	unsigned int tx_head, tx_tail, rx_head, rx_tail;
	uint8_t tx[TX_SIZE];
	uint8_t rx[RX_SIZE];
};

int uart_create(struct uart **out, const struct uart_ops *ops, void *ctx)
{
	struct uart *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	pthread_mutex_init(&u->lock, NULL);
	u->ops = ops;
	u->ctx = ctx;
	*out = u;
	return 0;
}

void uart_destroy(struct uart *uart)
{
	if (!uart)
		return;
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

static bool rx_ready(const struct uart *u)
{
	return u->rx_head != u->rx_tail;
}

static bool tx_ready(const struct uart *u)
{
	return TX_SIZE - (u->tx_head - u->tx_tail) >= FIFO_SIZE;
}

static uint8_t pending_interrupt(const struct uart *u)
{
	if ((u->ier & UART_IER_RDI) && rx_ready(u))
		return UART_IIR_RDI;
	if ((u->ier & UART_IER_THRI) && u->thr_pending)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

static void __update_irq(struct uart *u)
{
	/* On a PC, OUT2 connects the port to its interrupt line. */
	bool level = (u->mcr & UART_MCR_OUT2) && !(u->mcr & UART_MCR_LOOP) &&
		     pending_interrupt(u) != UART_IIR_NO_INT;

	if (level != u->level) {
		u->level = level;
		u->ops->irq(u->ctx, level);
	}
}

/*
 * A driver empties the port when it opens it: what came before would be lost.
 * It is open when receive interrupts are on and connected.
 */
static bool __is_open(const struct uart *u)
{
	return (u->ier & UART_IER_RDI) && (u->mcr & UART_MCR_OUT2);
}

static void __receive(struct uart *u, uint8_t byte)
{
	if (u->rx_head - u->rx_tail < RX_SIZE)
		u->rx[u->rx_head++ % RX_SIZE] = byte;
}

static void __transmit(struct uart *u, uint8_t byte)
{
	unsigned int used = u->tx_head - u->tx_tail;

	if (u->mcr & UART_MCR_LOOP) {
		__receive(u, byte);
	} else if (used < TX_SIZE) {
		u->tx[u->tx_head++ % TX_SIZE] = byte;
		if (used == 0)
			u->ops->output(u->ctx, false);
		else if (used == TX_SIZE / 2)
			u->ops->output(u->ctx, true);
	}
	/* If not, uart_take_output() makes up for it. */
	u->thr_pending = tx_ready(u);
}

static uint8_t __read_data(struct uart *u)
{
	bool was_full = u->rx_head - u->rx_tail == RX_SIZE;
	uint8_t byte = 0;

	if (rx_ready(u))
		byte = u->rx[u->rx_tail++ % RX_SIZE];
	if (was_full)
		u->ops->input(u->ctx);
	return byte;
}

static uint8_t __read_lsr(const struct uart *u)
{
	uint8_t lsr = rx_ready(u) ? UART_LSR_DR : 0;

	if (tx_ready(u))
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	return lsr;
}

static uint8_t __read_msr(const struct uart *u)
{
	uint8_t msr = 0;

	if (!(u->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (u->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (u->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (u->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (u->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

static uint8_t __read_iir(struct uart *u)
{
	uint8_t iir = pending_interrupt(u);

	/* Reading it acknowledges a transmitter interrupt, and only that. */
	if (iir == UART_IIR_THRI)
		u->thr_pending = false;
	if (u->fcr & UART_FCR_ENABLE_FIFO)
		iir |= 0xc0;
	return iir;
}

static uint8_t __read_reg(struct uart *u, uint64_t reg)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? u->dll : __read_data(u);
	case UART_IER:
		return dlab ? u->dlm : u->ier;
	case UART_IIR:
		return __read_iir(u);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return __read_lsr(u);
	case UART_MSR:
		return __read_msr(u);
	default:
		return u->scr;
	}
}

static void __write_reg(struct uart *u, uint64_t reg, uint8_t value)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			u->dll = value;
		else
			__transmit(u, value);
		break;
	case UART_IER:
		if (dlab) {
			u->dlm = value;
			break;
		}
		/* Enabling the interrupt reports an empty transmitter at once. */
		if ((value & ~u->ier) & UART_IER_THRI)
			u->thr_pending = tx_ready(u);
		u->ier = value & 0x0f;
		break;
	case UART_FCR:
		u->fcr = value;
		if (value & UART_FCR_CLEAR_RCVR)
			u->rx_tail = u->rx_head;
		break;
	case UART_LCR:
		u->lcr = value;
		break;
	case UART_MCR:
		u->mcr = value & 0x1f;
		break;
	case UART_SCR:
		u->scr = value;
		break;
	}
}

static void uart_bus_read(void *dev, uint64_t offset, void *data,
			  unsigned int len)
{
	struct uart *u = dev;

	(void)len; /* a byte device: the other bytes stay all ones */
	pthread_mutex_lock(&u->lock);
	*(uint8_t *)data = __read_reg(u, offset);
	__update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

static void uart_bus_write(void *dev, uint64_t offset, const void *data,
			   unsigned int len)
{
	struct uart *u = dev;
	bool was_open;

	(void)len;
	pthread_mutex_lock(&u->lock);
	was_open = __is_open(u);
	__write_reg(u, offset, *(const uint8_t *)data);
	if (!was_open && __is_open(u))
		u->ops->input(u->ctx);
	__update_irq(u);
	pthread_mutex_unlock(&u->lock);
}

const struct bus_ops uart_bus_ops = { uart_bus_read, uart_bus_write };

size_t uart_room(struct uart *uart)
{
	size_t room = 0;

	pthread_mutex_lock(&uart->lock);
	if (__is_open(uart))
		room = RX_SIZE - (uart->rx_head - uart->rx_tail);
	pthread_mutex_unlock(&uart->lock);
	return room;
}

void uart_receive(struct uart *uart, const uint8_t *data, size_t len)
{
	pthread_mutex_lock(&uart->lock);
	while (len--)
		__receive(uart, *data++);
	__update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

size_t uart_take_output(struct uart *uart, uint8_t *buf, size_t size)
{
	size_t n = 0;
	bool was_ready;

	pthread_mutex_lock(&uart->lock);
	was_ready = tx_ready(uart);
	while (n < size && uart->tx_tail != uart->tx_head)
		buf[n++] = uart->tx[uart->tx_tail++ % TX_SIZE];
	if (!was_ready && tx_ready(uart)) {
		uart->thr_pending = true;
		__update_irq(uart);
	}
	pthread_mutex_unlock(&uart->lock);
	return n;
}
