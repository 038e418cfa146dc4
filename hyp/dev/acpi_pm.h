/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI's fixed registers (ACPI 6.5, section 4.8.3): power-off and power button.
 */
#ifndef HYP_DEV_ACPI_PM_H
#define HYP_DEV_ACPI_PM_H

#include <pthread.h>
#include <stdint.h>

#include "hyp/dev/bus.h"

/** struct acpi_pm_ops - what the registers do; any vCPU thread */
struct acpi_pm_ops {
	void (*power_off)(void *ctx);
	/* SCI, level-triggered.  @lock is held: the line follows the register. */
	void (*irq)(void *ctx, bool level);
};

/** struct acpi_pm - embedded; acpi_pm_init() */
struct acpi_pm {
	const struct acpi_pm_ops *ops;
	void *ctx;
	pthread_mutex_t lock; /* guards these */
	uint16_t status, enable, control;
};

/** acpi_pm_init() - in reset; acpi_pm_fini() in any case */
void acpi_pm_init(struct acpi_pm *pm, const struct acpi_pm_ops *ops, void *ctx);
void acpi_pm_fini(struct acpi_pm *pm);

/** acpi_pm_attach() - put the registers onto the ports. Return: as bus_add(). */
int acpi_pm_attach(struct acpi_pm *pm, struct bus *bus);

/**
 * acpi_pm_press_button() - ask the guest to shut down
 * Whether it does is its own decision.  Any thread; does not wait.
 *
 * Return: 0, or -EAGAIN if no driver of the guest listens; nor is one that comes
 * later told of it then.
 */
int acpi_pm_press_button(struct acpi_pm *pm);

#endif /* HYP_DEV_ACPI_PM_H */
