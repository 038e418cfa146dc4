// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors and the dispatch of exceptions.  Every vector has a stack of
 * its own (IST 1), since a test may fault with its stack in a discarded page;
 * a fault inside a handler would overwrite it and ends the program instead.
 */
#include "guest-tests/lib/guest.h"

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap;
} __attribute__((packed));

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

struct descriptor_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

#define GATE_INTERRUPT 0x8e
#define GATE_DPL3      0x60

static uint64_t gdt[5 + 2 * MAX_CPUS] = {
	[KERNEL_CS / 8] = 0x00af9b000000ffff,
	[KERNEL_DS / 8] = 0x00cf93000000ffff,
	[USER_DS / 8] = 0x00cff3000000ffff,
	[USER_CS / 8] = 0x00affb000000ffff,
};
static struct gate idt[NR_VECTORS] __attribute__((aligned(16)));
static struct tss tss[MAX_CPUS];
/* Behind TSS 1 both for traps and for double faults, which have their own. */
static uint8_t trap_stacks[MAX_CPUS][2][STACK_SIZE]
	__attribute__((aligned(16)));
static bool in_trap[MAX_CPUS];
void (*trap_invalid)(struct trap *t);

extern const char trap_stubs[];
void load_segments(void);
_Noreturn void user_return(uint64_t ret);
void trap_handle(struct trap *t);

static void set_gate(unsigned int vector)
{
	uint64_t entry = (uintptr_t)trap_stubs + 16 * vector;

	idt[vector] = (struct gate){
		.offset0 = (uint16_t)entry,
		.offset1 = (uint16_t)(entry >> 16),
		.offset2 = (uint32_t)(entry >> 32),
		.selector = KERNEL_CS,
		.ist = vector == VECTOR_DF ? 2 : 1,
		.type = GATE_INTERRUPT |
			(vector == VECTOR_USER ? GATE_DPL3 : 0),
	};
}

void trap_init(unsigned int cpu)
{
	struct descriptor_ptr gdtr = { sizeof(gdt) - 1, (uintptr_t)gdt };
	struct descriptor_ptr idtr = { sizeof(idt) - 1, (uintptr_t)idt };
	uint64_t base = (uintptr_t)&tss[cpu];
	unsigned int i;

	/* All CPUs write the same gates, and CPU 0 is done before others run. */
	if (!cpu)
		for (i = 0; i < NR_VECTORS; i++)
			set_gate(i);
	tss[cpu].ist[0] = (uintptr_t)trap_stacks[cpu][0] + STACK_SIZE;
	tss[cpu].ist[1] = (uintptr_t)trap_stacks[cpu][1] + STACK_SIZE;
	tss[cpu].iomap = sizeof(struct tss);
	gdt[TSS_SEL(cpu) / 8] = (sizeof(struct tss) - 1) |
				((base & 0xffffff) << 16) | (0x89ull << 40) |
				((base >> 24 & 0xff) << 56);
	gdt[TSS_SEL(cpu) / 8 + 1] = base >> 32;
	asm volatile("lgdt %0" : : "m"(gdtr));
	load_segments();
	asm volatile("lidt %0" : : "m"(idtr));
	asm volatile("ltr %w0" : : "r"(TSS_SEL(cpu)));
}

static void trap_dump(const struct trap *t)
{
	uint64_t cr2;

	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	print("# cpu %u rip %lx cs %lx rflags %lx rsp %lx cr2 %lx\n",
	      cpu_index(), t->rip, t->cs, t->rflags, t->rsp, cr2);
	print("# rax %lx rcx %lx rdx %lx rsi %lx rdi %lx\n", t->rax, t->rcx,
	      t->rdx, t->rsi, t->rdi);
}

/**
 * trap_handle() - every exception comes here
 * @t: registers; changes are loaded on return
 */
void trap_handle(struct trap *t)
{
	unsigned int cpu = cpu_index();

	if (t->vector == VECTOR_USER)
		user_return(t->rax);
	if (in_trap[cpu]) {
		trap_dump(t);
		bail_out("exception %lu inside an exception handler",
			 t->vector);
	}
	in_trap[cpu] = true;
	if (essa.table && t->vector == essa.vector) {
		essa_handle_fault(t);
	} else if (t->vector == VECTOR_UD && trap_invalid) {
		trap_invalid(t);
	} else {
		trap_dump(t);
		bail_out("unexpected exception %lu, error %lx", t->vector,
			 t->error);
	}
	in_trap[cpu] = false;
}
