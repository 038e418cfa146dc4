// SPDX-License-Identifier: GPL-2.0-only
/*
 * The topology is one package of N cores without threads, APIC ID = index.
 * Sources: Intel SDM volume 2 (CPUID), AMD APM volume 3 appendix E,
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "hyp/kvm/cpuid.h"

#include <cpuid.h>
#include <linux/kvm_para.h>
#include <stdlib.h>
#include <string.h>

#include <essa/abi.h>

#include "hyp/kvm/layout.h"

/* Entries that cpuid_build() adds to KVM's. */
#define EXTRA_ENTRIES 8

#define LEAF_HYPERVISOR	     0x40000000u
#define LEAF_TOPOLOGY	     0x0b
#define LEAF_TOPOLOGY_V2     0x1f
#define LEAF_KVM_FEATURES    0x40000001
#define LEAF_AMD_SIZES	     0x80000008
#define LEAF_AMD_TOPOLOGY    0x8000001e
#define LEAF_AMD_TOPOLOGY_V2 0x80000026

#define HTT	     (1u << 28) /* leaf 1, EDX */
#define HYPERVISOR   (1u << 31) /* leaf 1, ECX */
#define TSC_DEADLINE (1u << 24) /* leaf 1, ECX */
#define CMP_LEGACY   (1u << 1)	/* leaf 0x80000001, ECX */

/*
 * Asynchronous page faults would move a fault on guest RAM from the vCPU
 * thread to a worker, where nobody sees its SIGBUS.
 */
#define ASYNC_PF_FEATURES                                                      \
	((1u << KVM_FEATURE_ASYNC_PF) | (1u << KVM_FEATURE_ASYNC_PF_VMEXIT) |  \
	 (1u << KVM_FEATURE_ASYNC_PF_INT))

static unsigned int id_bits(unsigned int nr_cpus)
{
	unsigned int bits = 0;

	while ((1u << bits) < nr_cpus)
		bits++;
	return bits;
}

static struct kvm_cpuid_entry2 *add(struct kvm_cpuid2 *c, uint32_t function)
{
	struct kvm_cpuid_entry2 *e = &c->entries[c->nent++];

	*e = (struct kvm_cpuid_entry2){ .function = function };
	return e;
}

/* Return: false if the entry is to be left out. */
static bool adapt(struct kvm_cpuid_entry2 *e, unsigned int index,
		  unsigned int nr_cpus)
{
	switch (e->function) {
	case 0x1:
		e->ebx &= 0x0000ffff;
		e->ebx |= index << 24 | nr_cpus << 16;
		e->ecx |= HYPERVISOR | TSC_DEADLINE;
		if (nr_cpus > 1)
			e->edx |= HTT;
		else
			e->edx &= ~HTT;
		return true;
	case 0x4:
		/* Cores in the package, threads that share this cache. */
		if (e->eax & 0x1f)
			e->eax = (e->eax & 0x3fff) |
				 ((1u << id_bits(nr_cpus)) - 1) << 26;
		return true;
	case LEAF_TOPOLOGY:
	case LEAF_TOPOLOGY_V2:
	case LEAF_AMD_TOPOLOGY_V2:
		return false;
	case LEAF_KVM_FEATURES:
		e->eax &= ~ASYNC_PF_FEATURES;
		return true;
	case 0x80000001:
		if (nr_cpus > 1)
			e->ecx |= CMP_LEGACY;
		else
			e->ecx &= ~CMP_LEGACY;
		return true;
	case LEAF_AMD_SIZES:
		e->ecx = (nr_cpus - 1) | id_bits(nr_cpus) << 12;
		return true;
	case LEAF_AMD_TOPOLOGY:
		e->eax = index;
		e->ebx = index;
		e->ecx = 0;
		return true;
	default:
		return true;
	}
}

static void add_topology(struct kvm_cpuid2 *c, unsigned int index,
			 unsigned int nr_cpus)
{
	struct kvm_cpuid_entry2 *e;
	unsigned int level;

	for (level = 0; level < 3; level++) {
		e = add(c, LEAF_TOPOLOGY);
		e->index = level;
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e->edx = index;
		e->ecx = level;
		if (level == 0) { /* threads of a core */
			e->ebx = 1;
			e->ecx |= 1u << 8;
		} else if (level == 1) { /* cores of the package */
			e->eax = id_bits(nr_cpus);
			e->ebx = nr_cpus;
			e->ecx |= 2u << 8;
		}
	}
}

static void add_hints(struct kvm_cpuid2 *c, unsigned int nr_cpus,
		      const struct cpuid_hints *hints)
{
	struct kvm_cpuid_entry2 *e;

	e = add(c, ESSA_CPUID_BASE);
	e->eax = ESSA_CPUID_INFO;
	e->ebx = ESSA_SIG_EBX;
	e->ecx = ESSA_SIG_ECX;
	e->edx = ESSA_SIG_EDX;
	e = add(c, ESSA_CPUID_ID);
	e->eax = ESSA_VERSION;
	e->ebx = hints->features | ESSA_FEAT_PRESSURE;
	if (hints->test_hooks)
		e->ebx |= ESSA_FEAT_TEST;
	e->ecx = ESSA_PORT;
	e->edx = ESSA_VECTOR;
	e = add(c, ESSA_CPUID_TABLE);
	e->eax = (uint32_t)hints->table_gpa;
	e->ebx = (uint32_t)(hints->table_gpa >> 32);
	e->ecx = (uint32_t)hints->nr_frames;
	e->edx = (uint32_t)(hints->nr_frames >> 32);
	e = add(c, ESSA_CPUID_INFO);
	e->eax = (uint32_t)hints->info_gpa;
	e->ebx = (uint32_t)(hints->info_gpa >> 32);
	e->ecx = LAYOUT_INFO_STRIDE;
	e->edx = nr_cpus;
}

struct kvm_cpuid2 *cpuid_build(const struct kvm_cpuid2 *supported,
			       unsigned int index, unsigned int nr_cpus,
			       const struct cpuid_hints *hints)
{
	uint32_t i, max_basic = 0;
	struct kvm_cpuid2 *c;

	c = calloc(1, sizeof(*c) + (supported->nent + EXTRA_ENTRIES) *
					   sizeof(c->entries[0]));
	if (!c)
		return NULL;
	for (i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 e = supported->entries[i];

		if (e.function == 0)
			max_basic = e.eax;
		if (adapt(&e, index, nr_cpus))
			c->entries[c->nent++] = e;
	}
	if (max_basic >= LEAF_TOPOLOGY)
		add_topology(c, index, nr_cpus);
	if (hints->offered)
		add_hints(c, nr_cpus, hints);
	return c;
}

/* QEMU's emulation of SVM injects all vectors below 31 as exceptions. */
static bool is_emulated(void)
{
	unsigned int max, name[3];

	__cpuid(LEAF_HYPERVISOR, max, name[0], name[1], name[2]);
	return max >= LEAF_HYPERVISOR && !memcmp(name, "TCGTCGTCGTCG", 12);
}

bool cpuid_inject_as_interrupt(void)
{
	unsigned int eax, name[3];

	if (!__get_cpuid(0, &eax, &name[0], &name[2], &name[1]))
		return false;
	if (memcmp(name, "AuthenticAMD", 12) &&
	    memcmp(name, "HygonGenuine", 12))
		return false;
	return !is_emulated();
}
