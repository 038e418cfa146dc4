// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/kvm/vcpu_state.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hyp/kvm/layout.h"

#define MSR_IA32_MISC_ENABLE	0x1a0
#define MISC_ENABLE_FAST_STRING (1ull << 0)
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLE_WRITE_BACK	0xc06

#define APIC_LVT0	 0x350
#define APIC_LVT1	 0x360
#define APIC_MODE_NMI	 0x400
#define APIC_MODE_EXTINT 0x700

#define CR0_PE	     (1u << 0)
#define CR0_ET	     (1u << 4)
#define CR0_PG	     (1u << 31)
#define CR4_PAE	     (1u << 5)
#define EFER_LME     (1u << 8)
#define EFER_LMA     (1u << 10)
#define RFLAGS_FIXED (1u << 1)

#define BOOT_CS	  0x10
#define BOOT_DS	  0x18
#define GDT_BYTES 32

static int set_msrs(int fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[2];
	} msrs = { .head.nmsrs = 2 };
	struct kvm_msr_entry *e = msrs.entries;
	int n;

	e[0].index = MSR_IA32_MISC_ENABLE;
	e[0].data = MISC_ENABLE_FAST_STRING;
	e[1].index = MSR_MTRR_DEF_TYPE;
	e[1].data = MTRR_ENABLE_WRITE_BACK;
	n = ioctl(fd, KVM_SET_MSRS, &msrs);
	if (n < 0)
		return -errno;
	return n == 2 ? 0 : -EINVAL;
}

static void set_lvt(struct kvm_lapic_state *lapic, unsigned int reg,
		    uint32_t value)
{
	memcpy(&lapic->regs[reg], &value, sizeof(value));
}

/* Virtual wire mode: the PIC through LINT0 of the boot processor. */
static int set_lapic(int fd, unsigned int index)
{
	struct kvm_lapic_state lapic;

	if (ioctl(fd, KVM_GET_LAPIC, &lapic))
		return -errno;
	if (index == 0)
		set_lvt(&lapic, APIC_LVT0, APIC_MODE_EXTINT);
	set_lvt(&lapic, APIC_LVT1, APIC_MODE_NMI);
	return ioctl(fd, KVM_SET_LAPIC, &lapic) ? -errno : 0;
}

int vcpu_state_init(int fd, unsigned int index, struct kvm_cpuid2 *cpuid)
{
	int err;

	if (ioctl(fd, KVM_SET_CPUID2, cpuid))
		return -errno;
	err = set_msrs(fd);
	if (err)
		return err;
	return set_lapic(fd, index);
}

int vcpu_state_boot(int fd, uint64_t entry_gpa)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = BOOT_CS,
		.type = 11,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = BOOT_DS,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = {
		.rip = entry_gpa,
		.rsi = LAYOUT_BOOT_PARAMS,
		.rsp = LAYOUT_STACK,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		return -errno;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = LAYOUT_GDT;
	sregs.gdt.limit = GDT_BYTES - 1;
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs.cr3 = LAYOUT_PAGE_TABLES;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(fd, KVM_SET_SREGS, &sregs))
		return -errno;
	return ioctl(fd, KVM_SET_REGS, &regs) ? -errno : 0;
}
