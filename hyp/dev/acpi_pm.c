// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/dev/acpi_pm.h"

#include <errno.h>
#include <string.h>

#include "hyp/kvm/layout.h"

#define POWER_BUTTON (1u << 8) /* status and enable */
#define SCI_EN	     (1u << 0) /* control: always in ACPI mode */
#define SLP_TYP	     10
#define SLP_TYP_MASK 7u
#define SLP_EN	     (1u << 13)
#define EVT_BYTES    4u
#define CNT_BYTES    2u

static void __set_irq(struct acpi_pm *pm)
{
	pm->ops->irq(pm->ctx, (pm->status & pm->enable) != 0);
}

/* Status, then enable; of any width. */
static void event_read(void *dev, uint64_t offset, void *data, unsigned int len)
{
	struct acpi_pm *pm = dev;
	uint16_t regs[2];

	if (len > EVT_BYTES - offset)
		return;
	pthread_mutex_lock(&pm->lock);
	regs[0] = pm->status;
	regs[1] = pm->enable;
	pthread_mutex_unlock(&pm->lock);
	memcpy(data, (char *)regs + offset, len);
}

static void event_write(void *dev, uint64_t offset, const void *data,
			unsigned int len)
{
	struct acpi_pm *pm = dev;
	uint16_t regs[2];

	if (len > EVT_BYTES - offset)
		return;
	pthread_mutex_lock(&pm->lock);
	regs[0] = 0; /* ones clear */
	regs[1] = pm->enable;
	memcpy((char *)regs + offset, data, len);
	pm->status &= (uint16_t)~regs[0];
	pm->enable = regs[1] & POWER_BUTTON;
	__set_irq(pm);
	pthread_mutex_unlock(&pm->lock);
}

static void control_read(void *dev, uint64_t offset, void *data,
			 unsigned int len)
{
	struct acpi_pm *pm = dev;
	uint16_t control;

	if (len > CNT_BYTES - offset)
		return;
	pthread_mutex_lock(&pm->lock);
	control = pm->control | SCI_EN;
	pthread_mutex_unlock(&pm->lock);
	memcpy(data, (char *)&control + offset, len);
}

static void control_write(void *dev, uint64_t offset, const void *data,
			  unsigned int len)
{
	struct acpi_pm *pm = dev;
	uint16_t control;

	if (len > CNT_BYTES - offset)
		return;
	pthread_mutex_lock(&pm->lock);
	control = pm->control;
	memcpy((char *)&control + offset, data, len);
	pm->control = control & (uint16_t)~SLP_EN; /* reads as zero */
	pthread_mutex_unlock(&pm->lock);
	if ((control & SLP_EN) &&
	    (control >> SLP_TYP & SLP_TYP_MASK) == LAYOUT_PM_S5)
		pm->ops->power_off(pm->ctx);
}

static const struct bus_ops event_ops = { event_read, event_write };
static const struct bus_ops control_ops = { control_read, control_write };

void acpi_pm_init(struct acpi_pm *pm, const struct acpi_pm_ops *ops, void *ctx)
{
	*pm = (struct acpi_pm){ .ops = ops, .ctx = ctx };
	pthread_mutex_init(&pm->lock, NULL);
}

void acpi_pm_fini(struct acpi_pm *pm)
{
	pthread_mutex_destroy(&pm->lock);
}

int acpi_pm_attach(struct acpi_pm *pm, struct bus *bus)
{
	int err = bus_add(bus, LAYOUT_PM1_EVT_PORT, EVT_BYTES, &event_ops, pm);

	return err ? err :
		     bus_add(bus, LAYOUT_PM1_CNT_PORT, CNT_BYTES, &control_ops,
			     pm);
}

int acpi_pm_press_button(struct acpi_pm *pm)
{
	bool listens;

	pthread_mutex_lock(&pm->lock);
	listens = pm->enable & POWER_BUTTON;
	if (listens)
		pm->status |= POWER_BUTTON;
	__set_irq(pm);
	pthread_mutex_unlock(&pm->lock);
	return listens ? 0 : -EAGAIN;
}
