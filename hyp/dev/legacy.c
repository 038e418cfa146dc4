// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/legacy.h"

#include <time.h>

#include "hyp/kvm/layout.h"

/* 8042 keyboard controller: status bits and commands. */
#define KBD_STATUS_OUT_FULL  0x01
#define KBD_STATUS_SYSTEM    0x14 /* self-test passed, not locked */
#define KBD_CMD_READ_CONFIG  0x20
#define KBD_CMD_WRITE_CONFIG 0x60
#define KBD_CMD_SELF_TEST    0xaa
#define KBD_CMD_TEST_PORT    0xab
#define KBD_CMD_RESET	     0xfe
#define KBD_PORTS_DISABLED   0x30

static uint8_t get8(const uint8_t *reg)
{
	return __atomic_load_n(reg, __ATOMIC_RELAXED);
}

static void set8(uint8_t *reg, uint8_t value)
{
	__atomic_store_n(reg, value, __ATOMIC_RELAXED);
}

static void kbd_reply(struct legacy *l, uint8_t byte)
{
	set8(&l->kbd_out, byte);
	set8(&l->kbd_status, KBD_STATUS_SYSTEM | KBD_STATUS_OUT_FULL);
}

static void kbd_data_read(void *dev, uint64_t offset, void *data,
			  unsigned int len)
{
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	*(uint8_t *)data = get8(&l->kbd_out);
	set8(&l->kbd_status, KBD_STATUS_SYSTEM);
}

static void kbd_data_write(void *dev, uint64_t offset, const void *data,
			   unsigned int len)
{
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	if (get8(&l->kbd_command) == KBD_CMD_WRITE_CONFIG)
		set8(&l->kbd_config, *(const uint8_t *)data);
	set8(&l->kbd_command, 0);
}

static void kbd_status_read(void *dev, uint64_t offset, void *data,
			    unsigned int len)
{
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	*(uint8_t *)data = get8(&l->kbd_status);
}

static void kbd_command_write(void *dev, uint64_t offset, const void *data,
			      unsigned int len)
{
	uint8_t command = *(const uint8_t *)data;
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	set8(&l->kbd_command, command);
	switch (command) {
	case KBD_CMD_READ_CONFIG:
		kbd_reply(l, get8(&l->kbd_config));
		break;
	case KBD_CMD_SELF_TEST:
		kbd_reply(l, 0x55);
		break;
	case KBD_CMD_TEST_PORT:
		kbd_reply(l, 0x01); /* clock line stuck: nothing attached */
		break;
	case KBD_CMD_RESET:
		l->ops->reset(l->ctx);
		break;
	}
}

static void cmos_index_write(void *dev, uint64_t offset, const void *data,
			     unsigned int len)
{
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	set8(&l->cmos_index, *(const uint8_t *)data & 0x7f);
}

/* Registers of the MC146818, in binary and 24-hour mode, read-only. */
static void cmos_data_read(void *dev, uint64_t offset, void *data,
			   unsigned int len)
{
	struct legacy *l = dev;
	time_t now = time(NULL);
	uint8_t value = 0;
	struct tm tm;

	(void)offset;
	(void)len;
	gmtime_r(&now, &tm);
	switch (get8(&l->cmos_index)) {
	case 0x00:
		value = (uint8_t)tm.tm_sec;
		break;
	case 0x02:
		value = (uint8_t)tm.tm_min;
		break;
	case 0x04:
		value = (uint8_t)tm.tm_hour;
		break;
	case 0x06:
		value = (uint8_t)(tm.tm_wday + 1);
		break;
	case 0x07:
		value = (uint8_t)tm.tm_mday;
		break;
	case 0x08:
		value = (uint8_t)(tm.tm_mon + 1);
		break;
	case 0x09:
		value = (uint8_t)(tm.tm_year % 100);
		break;
	case 0x0a:
		value = 0x26; /* no update in progress, 32 kHz */
		break;
	case 0x0b:
		value = 0x06; /* binary, 24 hours */
		break;
	case 0x0d:
		value = 0x80; /* battery is good */
		break;
	case 0x32:
		value = (uint8_t)(19 + tm.tm_year / 100);
		break;
	}
	*(uint8_t *)data = value;
}

static void exit_write(void *dev, uint64_t offset, const void *data,
		       unsigned int len)
{
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	l->ops->exit(l->ctx, *(const uint8_t *)data);
}

static void mark_write(void *dev, uint64_t offset, const void *data,
		       unsigned int len)
{
	struct legacy *l = dev;

	(void)offset;
	(void)len;
	l->ops->mark(l->ctx, *(const uint8_t *)data);
}

static const struct bus_ops kbd_data_ops = { kbd_data_read, kbd_data_write };
static const struct bus_ops kbd_command_ops = { kbd_status_read,
						kbd_command_write };
static const struct bus_ops cmos_index_ops = { NULL, cmos_index_write };
static const struct bus_ops cmos_data_ops = { cmos_data_read, NULL };
static const struct bus_ops exit_ops = { NULL, exit_write };
static const struct bus_ops mark_ops = { NULL, mark_write };

int legacy_attach(struct legacy *legacy, struct bus *bus,
		  const struct legacy_ops *ops, void *ctx)
{
	static const struct {
		uint16_t port;
		const struct bus_ops *ops;
	} ports[] = {
		{ 0x60, &kbd_data_ops },	 { 0x64, &kbd_command_ops },
		{ 0x70, &cmos_index_ops },	 { 0x71, &cmos_data_ops },
		{ LAYOUT_EXIT_PORT, &exit_ops },
	};
	unsigned int i;
	int err = 0;

	/* gmtime_r() reads the time zone's file once: not in the sandbox. */
	tzset();
	legacy->ops = ops;
	legacy->ctx = ctx;
	legacy->kbd_status = KBD_STATUS_SYSTEM;
	legacy->kbd_config = KBD_PORTS_DISABLED;
	for (i = 0; !err && i < sizeof(ports) / sizeof(ports[0]); i++)
		err = bus_add(bus, ports[i].port, 1, ports[i].ops, legacy);
	if (!err && ops->mark)
		err = bus_add(bus, LAYOUT_MARK_PORT, 1, &mark_ops, legacy);
	return err;
}
