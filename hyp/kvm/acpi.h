/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI tables: processors, interrupts, power, serial port and virtio devices,
 * for kernels that look for them there; mptable.h and the command line say the
 * same to those that do not.
 */
#ifndef HYP_KVM_ACPI_H
#define HYP_KVM_ACPI_H

#include <stddef.h>
#include <stdint.h>

/**
 * acpi_build() - write the tables
 * @buf:          zeroed memory that becomes guest memory at @gpa
 * @size:         its size
 * @gpa:          a multiple of 64; the root pointer is the first thing there
 * @nr_cpus:      processors, APIC IDs from 0 on, at most 255
 * @virtio_slots: bit i: there is a device in slot i of the layout
 *
 * Return: bytes used, or -ENOSPC.
 */
int acpi_build(void *buf, size_t size, uint64_t gpa, unsigned int nr_cpus,
	       uint32_t virtio_slots);

#endif /* HYP_KVM_ACPI_H */
