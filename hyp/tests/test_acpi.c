// SPDX-License-Identifier: GPL-2.0-only
/* What firmware would have left behind, and the registers it speaks of. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/dev/acpi_pm.h"
#include "hyp/kvm/acpi.h"
#include "hyp/kvm/layout.h"
#include "hyp/util.h"

#define MAX_CPUS  64u
#define ALL_SLOTS ((1u << LAYOUT_VIRTIO_MAX) - 1)

static uint8_t tables[LAYOUT_ACPI_MAX] __attribute__((aligned(64)));

static uint8_t *at(uint64_t gpa)
{
	assert_true(gpa >= LAYOUT_ACPI && gpa < LAYOUT_ACPI + sizeof(tables));
	return tables + (gpa - LAYOUT_ACPI);
}

static uint64_t get(const uint8_t *p, unsigned int offset, unsigned int len)
{
	uint64_t value = 0;

	memcpy(&value, p + offset, len);
	return value;
}

static uint8_t sum(const uint8_t *p, uint64_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static uint8_t *table(uint64_t gpa, const char *signature)
{
	uint8_t *t = at(gpa);

	assert_memory_equal(t, signature, 4);
	assert_int_equal(sum(t, get(t, 4, 4)), 0);
	return t;
}

/* DSDT=FILE: for iasl -d. */
static void dump(const uint8_t *dsdt)
{
	FILE *f = getenv("DSDT") ? fopen(getenv("DSDT"), "we") : NULL;

	if (f) {
		fwrite(dsdt, 1, get(dsdt, 4, 4), f);
		fclose(f);
	}
}

/* An ACPI 2.0 system finds all of it from the root pointer. */
static void tables_are_found_from_the_root(void **state)
{
	uint8_t *rsdp = tables, *xsdt, *fadt, *madt, *dsdt;
	unsigned int i, cpus = 0, irqs = 0;
	int used;

	(void)state;
	memset(tables, 0, sizeof(tables));
	used = acpi_build(tables, sizeof(tables), LAYOUT_ACPI, MAX_CPUS,
			  ALL_SLOTS);
	assert_true(used > 0);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	xsdt = table(get(rsdp, 24, 8), "XSDT");
	assert_int_equal(get(xsdt, 4, 4), 36 + 2 * 8);
	fadt = table(get(xsdt, 36, 8), "FACP");
	assert_int_equal(get(fadt, 4, 4), 276);
	assert_int_equal(get(fadt, 46, 2), LAYOUT_SCI_IRQ);
	assert_int_equal(get(fadt, 64, 4), LAYOUT_PM1_CNT_PORT);
	assert_int_equal(get(fadt, 148 + 4, 8), LAYOUT_PM1_EVT_PORT);
	assert_memory_equal(at(get(fadt, 36, 4)), "FACS", 4);
	dsdt = table(get(fadt, 140, 8), "DSDT");
	assert_true(get(dsdt, 4, 4) > 36);
	madt = table(get(xsdt, 44, 8), "APIC");
	for (i = 44; i < get(madt, 4, 4); i += madt[i + 1]) {
		cpus += madt[i] == 0;
		irqs += madt[i] == 2;
		assert_true(madt[i + 1] >= 6);
	}
	assert_int_equal(i, get(madt, 4, 4));
	assert_int_equal(cpus, MAX_CPUS);
	assert_int_equal(irqs, LAYOUT_VIRTIO_MAX + 1);
	dump(dsdt);
}

/* In memory of exactly that size: the address sanitizer sees one more. */
static void too_little_room_is_an_error(void **state)
{
	size_t size, used;
	int ret;

	(void)state;
	memset(tables, 0, sizeof(tables));
	ret = acpi_build(tables, sizeof(tables), LAYOUT_ACPI, 2, 3);
	assert_true(ret > 0);
	used = (size_t)ret;
	for (size = 1; size <= used; size++) {
		uint8_t *buf = calloc(1, size);

		ret = acpi_build(buf, size, LAYOUT_ACPI, 2, 3);
		assert_int_equal(ret, size < used ? -ENOSPC : (int)used);
		free(buf);
	}
}

struct machine {
	struct acpi_pm pm;
	struct bus bus;
	unsigned int offs;
	bool sci;
};

static void on_off(void *ctx)
{
	((struct machine *)ctx)->offs++;
}

static void on_irq(void *ctx, bool level)
{
	((struct machine *)ctx)->sci = level;
}

static const struct acpi_pm_ops ops = { on_off, on_irq };

static void start(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	acpi_pm_init(&m->pm, &ops, m);
	assert_int_equal(acpi_pm_attach(&m->pm, &m->bus), 0);
	bus_seal(&m->bus);
}

static uint32_t in(struct machine *m, uint64_t port, unsigned int len)
{
	uint32_t value = 0;

	assert_true(bus_read(&m->bus, port, &value, len));
	return value;
}

static void out(struct machine *m, uint64_t port, uint32_t value,
		unsigned int len)
{
	assert_true(bus_write(&m->bus, port, &value, len));
}

static void the_power_button_interrupts_who_listens(void **state)
{
	struct machine m;

	(void)state;
	start(&m);
	assert_int_equal(acpi_pm_press_button(&m.pm), -EAGAIN);
	assert_false(m.sci);
	assert_int_equal(in(&m, LAYOUT_PM1_EVT_PORT, 2), 0);
	out(&m, LAYOUT_PM1_EVT_PORT + 2, 0xffff, 2);
	assert_int_equal(in(&m, LAYOUT_PM1_EVT_PORT, 4), 0x1000000);
	/* Whoever listens later is not told of what was refused. */
	assert_false(m.sci);
	assert_int_equal(acpi_pm_press_button(&m.pm), 0);
	assert_true(m.sci);
	/* By bytes: what is written as zero stays. */
	out(&m, LAYOUT_PM1_EVT_PORT, 0xff, 1);
	assert_true(m.sci);
	out(&m, LAYOUT_PM1_EVT_PORT + 1, 0x01, 1);
	assert_false(m.sci);
	assert_int_equal(in(&m, LAYOUT_PM1_EVT_PORT, 2), 0);
	acpi_pm_fini(&m.pm);
}

static void only_the_sleep_that_is_off_powers_off(void **state)
{
	struct machine m;

	(void)state;
	start(&m);
	assert_int_equal(in(&m, LAYOUT_PM1_CNT_PORT, 2), 1);
	out(&m, LAYOUT_PM1_CNT_PORT, LAYOUT_PM_S5 << 10, 2);
	out(&m, LAYOUT_PM1_CNT_PORT, 1 << 13 | 3 << 10, 2);
	assert_int_equal(m.offs, 0);
	assert_int_equal(in(&m, LAYOUT_PM1_CNT_PORT, 2), 1 | 3 << 10);
	out(&m, LAYOUT_PM1_CNT_PORT, 1 << 13 | LAYOUT_PM_S5 << 10, 2);
	assert_int_equal(m.offs, 1);
	acpi_pm_fini(&m.pm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_found_from_the_root),
		cmocka_unit_test(too_little_room_is_an_error),
		cmocka_unit_test(the_power_button_interrupts_who_listens),
		cmocka_unit_test(only_the_sleep_that_is_off_powers_off),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
