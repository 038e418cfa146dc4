/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few bits of PC hardware without which Linux waits, asks or cannot stop:
 * keyboard controller (reset), CMOS clock, and the ports of tests: one ends the
 * guest, one asks for the counters of this moment.
 */
#ifndef HYP_DEV_LEGACY_H
#define HYP_DEV_LEGACY_H

#include <stdint.h>

#include "hyp/dev/bus.h"

/** struct legacy_ops - what these devices can do to the VM */
struct legacy_ops {
	void (*reset)(void *ctx);
	void (*exit)(void *ctx, unsigned int code);
	/* NULL: there is no such port. */
	void (*mark)(void *ctx, unsigned int number);
};

/**
 * struct legacy - state of these devices; embedded, zero-initialised
 * Registers are single bytes, accessed atomically: a guest that uses them
 * from two vCPUs at once confuses only itself.
 */
struct legacy {
	const struct legacy_ops *ops;
	void *ctx;
	uint8_t kbd_status, kbd_command, kbd_out, kbd_config;
	uint8_t cmos_index;
};

/**
 * legacy_attach() - put the devices onto the port bus
 * @legacy: zeroed; lives as long as @bus
 * @bus:    ports
 * @ops:    may be called from any vCPU thread
 * @ctx:    first argument of @ops
 *
 * Return: 0 or the error of bus_add().
 */
int legacy_attach(struct legacy *legacy, struct bus *bus,
		  const struct legacy_ops *ops, void *ctx);

#endif /* HYP_DEV_LEGACY_H */
