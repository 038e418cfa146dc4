// SPDX-License-Identifier: GPL-2.0-only
/* Ports: UART, ACPI power management, keyboard controller, clock, exit. */
#include "hyp/dev/acpi_pm.h"
#include "hyp/dev/legacy.h"
#include "hyp/dev/uart.h"
#include "hyp/fuzz/input.h"
#include "hyp/kvm/layout.h"

static void on_nothing(void *ctx)
{
	(void)ctx;
}

static void on_code(void *ctx, unsigned int code)
{
	(void)ctx;
	(void)code;
}

static void on_level(void *ctx, bool level)
{
	(void)ctx;
	(void)level;
}

static const struct legacy_ops legacy_ops = { on_nothing, on_code, on_code };
static const struct acpi_pm_ops pm_ops = { on_nothing, on_level };
static const struct uart_ops uart_ops = { on_level, on_level, on_nothing };

static void access_port(const struct bus *bus, struct input *in, uint16_t port)
{
	unsigned int len = 1u << take_byte(in) % 4;
	bool write = take_byte(in) & 1;
	/* Of exactly that size. */
	uint8_t *data = malloc(len);

	must(data);
	take(in, data, len);
	if (write)
		bus_write(bus, port, data, len);
	else
		bus_read(bus, port, data, len);
	free(data);
}

/* What the host does to the UART. */
static void use_uart(struct uart *uart, struct input *in)
{
	uint8_t buf[64];
	size_t n;

	n = uart_take_output(uart, buf, sizeof(buf));
	must(n <= sizeof(buf));
	n = take_byte(in) % sizeof(buf);
	take(in, buf, n);
	uart_receive(uart, buf, n);
	/* A guest that turns it on and off must not make it more than it is. */
	must(uart_room(uart) <= 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = { data, len };
	struct bus bus = { .nr = 0 };
	struct legacy legacy;
	struct acpi_pm pm;
	struct uart *uart;

	memset(&legacy, 0, sizeof(legacy));
	acpi_pm_init(&pm, &pm_ops, NULL);
	must(!uart_create(&uart, &uart_ops, NULL));
	must(!acpi_pm_attach(&pm, &bus));
	must(!bus_add(&bus, LAYOUT_UART_PORT, UART_PORTS, &uart_bus_ops, uart));
	must(!legacy_attach(&legacy, &bus, &legacy_ops, NULL));
	bus_seal(&bus);
	while (in.len) {
		uint8_t what = take_byte(&in);

		if (what == 0)
			use_uart(uart, &in);
		else if (what == 1)
			acpi_pm_press_button(&pm);
		else if (what & 0x80)
			access_port(&bus, &in, take_word(&in));
		else /* near one of what there is */
			access_port(&bus, &in,
				    (uint16_t)(bus.ranges[what % bus.nr].start +
					       take_byte(&in) % 9 - 1));
	}
	uart_destroy(uart);
	acpi_pm_fini(&pm);
	return 0;
}
