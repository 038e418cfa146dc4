/* SPDX-License-Identifier: GPL-2.0-only */
/* Intel MultiProcessor Specification 1.4 tables, for guests without ACPI. */
#ifndef HYP_KVM_MPTABLE_H
#define HYP_KVM_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

/**
 * mptable_build() - floating pointer and configuration table
 * @buf:     zeroed
 * @size:    of @buf
 * @gpa:     where the guest will see @buf, a multiple of 16
 * @nr_cpus: enabled processors, APIC IDs 0 and up
 *
 * Return: bytes used, or -ENOSPC.
 */
int mptable_build(void *buf, size_t size, uint64_t gpa, unsigned int nr_cpus);

#endif /* HYP_KVM_MPTABLE_H */
