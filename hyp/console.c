// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads: the UART calls uart_irq(), uart_output() and uart_input() from vCPU
 * threads; they only use calls that any thread may make.  All else is the
 * loop's.
 */
#include "hyp/console.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "hyp/kvm/layout.h"

/* A line of a booting kernel takes longer to come: one write for several. */
#define TICK_NS	   5000000ull
#define AT_ONCE_NS 1ull
/* POLLOUT on a pipe promises this much (PIPE_BUF) without blocking. */
#define WRITE_CHUNK	 4096u
#define FLUSH_TIMEOUT_MS 1000
#define MAX_CHUNKS	 8

struct console {
	struct loop *loop;
	struct kvm *kvm;
	struct uart *uart;
	struct loop_handler tick, input, output;
	bool input_added, output_added, output_dead;
	bool tty_changed;
	struct termios tty_saved;
};

static void uart_irq(void *ctx, bool level)
{
	struct console *c = ctx;

	kvm_irq_line(c->kvm, LAYOUT_UART_IRQ, level);
}

static void uart_output(void *ctx, bool urgent)
{
	struct console *c = ctx;

	loop_timer_once(c->tick.fd, urgent ? AT_ONCE_NS : TICK_NS);
}

static void uart_input(void *ctx)
{
	struct console *c = ctx;

	loop_rearm(c->loop, &c->input, EPOLLIN | EPOLLONESHOT);
}

static const struct uart_ops console_uart_ops = { uart_irq, uart_output,
						  uart_input };

enum written { NOTHING, SOME, BLOCKED };

static enum written write_chunk(struct console *c, int timeout_ms)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	uint8_t buf[WRITE_CHUNK];
	size_t len, done = 0;

	if (!c->output_dead && poll(&out, 1, timeout_ms) == 0)
		return BLOCKED;
	len = uart_take_output(c->uart, buf, sizeof(buf));
	while (done < len && !c->output_dead) {
		ssize_t n = write(STDOUT_FILENO, buf + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			poll(&out, 1, FLUSH_TIMEOUT_MS);
		else if (errno != EINTR)
			c->output_dead = true; /* nobody listens any more */
	}
	return len ? SOME : NOTHING;
}

static void on_tick(void *ctx, uint32_t events)
{
	enum written written = SOME;
	struct console *c = ctx;
	int chunks;

	(void)events;
	loop_timer_ack(c->tick.fd);
	/* Bounded: a guest that prints all the time must not keep the loop. */
	for (chunks = 0; written == SOME && chunks < MAX_CHUNKS; chunks++)
		written = write_chunk(c, 0);
	if (written == SOME) {
		/* The UART reports only output that follows an empty buffer. */
		loop_timer_once(c->tick.fd, AT_ONCE_NS);
	} else if (written == BLOCKED) {
		if (!c->output_added)
			c->output_added = !loop_add(c->loop, &c->output,
						    EPOLLOUT | EPOLLONESHOT);
		else
			loop_rearm(c->loop, &c->output,
				   EPOLLOUT | EPOLLONESHOT);
	}
}

static void on_writable(void *ctx, uint32_t events)
{
	on_tick(ctx, events);
}

static void on_input(void *ctx, uint32_t events)
{
	struct console *c = ctx;
	size_t room = uart_room(c->uart);
	uint8_t buf[64];
	ssize_t n;

	(void)events;
	/*
	 * Without room, uart_input() switches us on again.  It may do so at
	 * any moment, also twice: being called once too often does no harm.
	 */
	if (!room)
		return;
	n = read(STDIN_FILENO, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		loop_remove(c->loop, &c->input);
		return;
	}
	if (n > 0)
		uart_receive(c->uart, buf, (size_t)n);
	if (uart_room(c->uart))
		loop_rearm(c->loop, &c->input, EPOLLIN | EPOLLONESHOT);
}

static void prepare_tty(struct console *c)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return;
	if (tcgetattr(STDIN_FILENO, &c->tty_saved))
		return;
	raw = c->tty_saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	c->tty_changed = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

int console_create(struct console **out, struct loop *loop, struct kvm *kvm,
		   bool input)
{
	struct console *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->kvm = kvm;
	c->input = (struct loop_handler){ STDIN_FILENO, on_input, c };
	c->output = (struct loop_handler){ STDOUT_FILENO, on_writable, c };
	c->tick = (struct loop_handler){ loop_timer(0, 0), on_tick, c };
	if (c->tick.fd < 0) {
		err = c->tick.fd;
		goto err_destroy;
	}
	err = loop_add(loop, &c->tick, EPOLLIN);
	if (err)
		goto err_destroy;
	err = uart_create(&c->uart, &console_uart_ops, c);
	if (err)
		goto err_destroy;
	/* Standard input may be closed, or a file, which is never "ready". */
	c->input_added = input &&
			 !loop_add(loop, &c->input, EPOLLIN | EPOLLONESHOT);
	prepare_tty(c);
	*out = c;
	return 0;

err_destroy:
	console_destroy(c);
	return err;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	if (console->tty_changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &console->tty_saved);
	uart_destroy(console->uart);
	if (console->tick.fd >= 0)
		close(console->tick.fd);
	free(console);
}

struct uart *console_uart(struct console *console)
{
	return console->uart;
}

void console_flush(struct console *console)
{
	while (write_chunk(console, FLUSH_TIMEOUT_MS) == SOME)
		;
}
