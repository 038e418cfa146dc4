// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the boot protocol's state to ours: own page tables, descriptors and
 * knowledge of the memory.  After that nothing of what the loader placed in
 * low memory is needed any more.
 */
#include "guest-tests/lib/guest.h"

#define PTE_PRESENT 0x01
#define PTE_WRITE   0x02
#define PTE_USER    0x04
#define PTE_LARGE   0x80

/* boot_params: the memory map */
#define BP_E820_ENTRIES 0x1e8
#define BP_E820_TABLE	0x2d0
#define E820_RAM	1

/* and the command line */
#define BP_CMD_LINE_PTR 0x228
#define CMDLINE_MAX	256

#define SCRATCH_START (16u << 20)
#define SCRATCH_MIN   (16u << 20)

struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

struct guest guest;
static char cmdline[CMDLINE_MAX];

uint64_t page_pml4[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t page_pdpt[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t page_pd[4 * 512] __attribute__((aligned(PAGE_SIZE)));

_Noreturn void guest_boot(const uint8_t *boot_params);

static void map_low_4g(void)
{
	const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_USER;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(page_pd); i++)
		page_pd[i] = ((uint64_t)i << 21) | flags | PTE_LARGE;
	for (i = 0; i < 4; i++)
		page_pdpt[i] = (uintptr_t)&page_pd[i * 512] | flags;
	page_pml4[0] = (uintptr_t)page_pdpt | flags;
	asm volatile("mov %0, %%cr3" : : "r"(page_pml4) : "memory");
}

static void find_ram(const uint8_t *boot_params)
{
	unsigned int nr = boot_params[BP_E820_ENTRIES];
	struct e820_entry e;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		memcpy(&e, boot_params + BP_E820_TABLE + i * sizeof(e),
		       sizeof(e));
		if (e.type == E820_RAM && e.addr <= SCRATCH_START &&
		    e.size > SCRATCH_START - e.addr)
			guest.ram_end = e.addr + e.size;
	}
	guest.scratch = SCRATCH_START;
	if (guest.ram_end < SCRATCH_START + SCRATCH_MIN)
		bail_out(
			"no memory from 16 to 32 MiB in the e820 map (%u entries)",
			nr);
}

static void copy_cmdline(const uint8_t *boot_params)
{
	const char *from;
	unsigned int i;
	uint32_t ptr;

	memcpy(&ptr, boot_params + BP_CMD_LINE_PTR, sizeof(ptr));
	from = (const char *)(uintptr_t)ptr;
	for (i = 0; from && i < CMDLINE_MAX - 1 && from[i]; i++)
		cmdline[i] = from[i];
}

/* Behind "name=" in a word of the command line, or NULL. */
static const char *option_value(const char *word, const char *name)
{
	while (*name && *word == *name) {
		word++;
		name++;
	}
	return *name || *word != '=' ? NULL : word + 1;
}

uint64_t guest_option(const char *name, uint64_t otherwise)
{
	const char *s, *digits;
	uint64_t v = 0;

	for (s = cmdline; *s; s++) {
		if (s != cmdline && s[-1] != ' ')
			continue;
		digits = option_value(s, name);
		if (!digits)
			continue;
		for (; *digits >= '0' && *digits <= '9'; digits++)
			v = v * 10 + (uint64_t)(*digits - '0');
		return v;
	}
	return otherwise;
}

/**
 * guest_boot() - first C code
 * @boot_params: as the boot protocol has it
 */
_Noreturn void guest_boot(const uint8_t *boot_params)
{
	map_low_4g();
	trap_init(0);
	find_ram(boot_params);
	copy_cmdline(boot_params);
	guest_main();
}

_Noreturn void guest_exit(uint8_t code)
{
	for (;;)
		outb(0xf4, code);
}

void *memcpy(void *dst, const void *src, size_t n)
{
	void *ret = dst;

	asm volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
	return ret;
}

void *memset(void *dst, int c, size_t n)
{
	void *ret = dst;

	asm volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory");
	return ret;
}
