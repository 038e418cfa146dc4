/* SPDX-License-Identifier: GPL-2.0-only */
/* Selectors, vectors and the few instructions that C has no name for. */
#ifndef GUEST_X86_H
#define GUEST_X86_H

#define KERNEL_CS    0x08
#define KERNEL_DS    0x10
#define USER_DS	     0x1b
#define USER_CS	     0x23
#define TSS_SEL(cpu) (0x28 + 16 * (cpu))

#define VECTOR_UD   6
#define VECTOR_DF   8
#define VECTOR_USER 0x30 /* user code is done */
#define NR_VECTORS  0x31

#define MAX_CPUS   4
#define STACK_SIZE 16384
#define AP_START   0x8000 /* page the start-up IPI names */

#ifndef __ASSEMBLY__
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf)
{
	struct cpuid r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(0));
	return r;
}

/* Which CPU this is, without the exit that CPUID takes. */
static inline unsigned int cpu_index(void)
{
	uint16_t tr;

	asm volatile("str %0" : "=r"(tr));
	return (tr - TSS_SEL(0)) / 16;
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}
#endif /* __ASSEMBLY__ */

#endif /* GUEST_X86_H */
