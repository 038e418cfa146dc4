// SPDX-License-Identifier: GPL-2.0-only
/* Starting another CPU: INIT, start-up IPI, trampoline (start.S). */
#include "guest-tests/lib/guest.h"

#define APIC_BASE   0xfee00000u
#define APIC_SVR    0x0f0
#define APIC_ICR    0x300
#define APIC_ICR2   0x310
#define ICR_INIT    0x4500
#define ICR_STARTUP 0x4600
#define SVR_ENABLE  0x1ff

/* Emulated, and the host may be running something else just now. */
#define START_SPINS 2000000000u

static uint8_t ap_stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(16)));
static struct {
	unsigned int cpu;
	void (*fn)(void);
	bool up;
} ap_arg;
uint64_t ap_stack; /* start.S loads it */

extern const char ap_code[], ap_code_end[];
void ap_boot(void);

static void apic_write(unsigned int reg, uint32_t v)
{
	*(volatile uint32_t *)(uintptr_t)(APIC_BASE + reg) = v;
}

static void send_ipi(unsigned int cpu, uint32_t icr)
{
	apic_write(APIC_ICR2, cpu << 24);
	apic_write(APIC_ICR, icr);
}

/**
 * ap_boot() - a new CPU's first C code
 */
void ap_boot(void)
{
	void (*fn)(void) = ap_arg.fn;

	trap_init(ap_arg.cpu);
	/* smp_start() may use ap_arg for the next CPU from here on. */
	__atomic_store_n(&ap_arg.up, true, __ATOMIC_RELEASE);
	fn();
}

bool smp_start(unsigned int cpu, void (*fn)(void))
{
	unsigned int i;

	memcpy((void *)AP_START, ap_code, (size_t)(ap_code_end - ap_code));
	ap_stack = (uintptr_t)ap_stacks[cpu] + STACK_SIZE;
	ap_arg.cpu = cpu;
	ap_arg.fn = fn;
	ap_arg.up = false;
	apic_write(APIC_SVR, SVR_ENABLE);
	send_ipi(cpu, ICR_INIT);
	send_ipi(cpu, ICR_STARTUP | AP_START >> 12);
	for (i = 0; i < START_SPINS; i++) {
		if (__atomic_load_n(&ap_arg.up, __ATOMIC_ACQUIRE))
			return true;
		cpu_relax();
	}
	return false;
}
