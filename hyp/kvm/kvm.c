// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/kvm/kvm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hyp/kvm/layout.h"

#define CPUID_MAX_ENTRIES 256

static const struct {
	int cap;
	const char *name;
} required_caps[] = {
	{ KVM_CAP_IRQCHIP, "an in-kernel interrupt controller" },
	{ KVM_CAP_PIT2, "an in-kernel timer" },
	{ KVM_CAP_USER_MEMORY, "user memory slots" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_SET_TSS_ADDR" },
	{ KVM_CAP_EXT_CPUID, "CPUID control" },
	{ KVM_CAP_VCPU_EVENTS, "event injection" },
	{ KVM_CAP_SYNC_REGS, "synchronised registers" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exits" },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "ioeventfd of any length" },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE,
	  "exits for instructions that it cannot emulate" },
};

static int open_kvm(struct kvm *kvm, struct why *why)
{
	int version;
	size_t i;

	kvm->sys_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->sys_fd < 0) {
		int err = -errno;

		if (err == -ENOENT)
			return why_set(why, 0,
				       "there is no /dev/kvm; load kvm-amd or kvm-intel, or run in the lab"),
			       err;
		if (err == -EACCES || err == -EPERM)
			return why_set(why, 0,
				       "no permission for /dev/kvm; run as root or join its group"),
			       err;
		return why_set(why, err, "cannot open /dev/kvm");
	}
	version = ioctl(kvm->sys_fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return why_set(why, -errno, "/dev/kvm is not KVM");
	if (version != KVM_API_VERSION)
		return why_set(why, 0, "KVM has API version %d, %d is needed",
			       version, KVM_API_VERSION);
	for (i = 0; i < ARRAY_SIZE(required_caps); i++)
		if (ioctl(kvm->sys_fd, KVM_CHECK_EXTENSION,
			  required_caps[i].cap) <= 0)
			return why_set(why, 0, "this KVM lacks %s",
				       required_caps[i].name);
	return 0;
}

static int create_chips(struct kvm *kvm, struct why *why)
{
	/* The dummy speaker keeps port 0x61, which Linux reads, in the kernel. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity = LAYOUT_IDENTITY_MAP;

	if (ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity))
		return why_set(why, -errno, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_TSS))
		return why_set(why, -errno, "KVM_SET_TSS_ADDR");
	if (ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0))
		return why_set(why, -errno, "KVM_CREATE_IRQCHIP");
	if (ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &pit))
		return why_set(why, -errno, "KVM_CREATE_PIT2");
	return 0;
}

static int create_vm(struct kvm *kvm, struct why *why)
{
	/* Without it the guest has #UD already when KVM tells; see exit.c. */
	struct kvm_enable_cap tell = {
		.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE,
		.args = { 1 },
	};
	int ret;

	do {
		kvm->vm_fd = ioctl(kvm->sys_fd, KVM_CREATE_VM, 0);
	} while (kvm->vm_fd < 0 && errno == EINTR);
	if (kvm->vm_fd < 0)
		return why_set(why, -errno,
			       "cannot create a VM (no SVM or VMX here?)");
	if (ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &tell))
		return why_set(why, -errno,
			       "KVM_CAP_EXIT_ON_EMULATION_FAILURE");
	ret = ioctl(kvm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < 0)
		return why_set(why, -errno, "KVM_GET_VCPU_MMAP_SIZE");
	kvm->run_bytes = (size_t)ret;
	ret = ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	kvm->max_vcpus = ret > 0 ? (unsigned int)ret : 4;
	return 0;
}

int kvm_create(struct kvm **out, struct why *why)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));
	int err;

	if (!kvm)
		return why_set(why, -ENOMEM, "KVM");
	kvm->sys_fd = -1;
	kvm->vm_fd = -1;
	err = open_kvm(kvm, why);
	if (err)
		goto err_destroy;
	err = create_vm(kvm, why);
	if (err)
		goto err_destroy;
	err = create_chips(kvm, why);
	if (err)
		goto err_destroy;
	*out = kvm;
	return 0;

err_destroy:
	kvm_destroy(kvm);
	return err;
}

void kvm_destroy(struct kvm *kvm)
{
	if (!kvm)
		return;
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	if (kvm->sys_fd >= 0)
		close(kvm->sys_fd);
	free(kvm);
}

int kvm_map(struct kvm *kvm, uint64_t gpa, uint64_t size_bytes, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = kvm->nr_slots,
		.guest_phys_addr = gpa,
		.memory_size = size_bytes,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		return -errno;
	kvm->nr_slots++;
	return 0;
}

int kvm_create_vcpu(struct kvm *kvm, unsigned int index)
{
	int fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);

	return fd < 0 ? -errno : fd;
}

int kvm_supported_cpuid(struct kvm *kvm, struct kvm_cpuid2 **out)
{
	struct kvm_cpuid2 *cpuid;
	int err;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES *
						   sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_MAX_ENTRIES;
	if (ioctl(kvm->sys_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
		err = -errno;
		free(cpuid);
		return err;
	}
	*out = cpuid;
	return 0;
}

int kvm_ioeventfd(struct kvm *kvm, uint64_t gpa, int fd)
{
	/* Any length and value: VMX need not decode the instruction then. */
	struct kvm_ioeventfd event = { .addr = gpa, .fd = fd };

	return ioctl(kvm->vm_fd, KVM_IOEVENTFD, &event) ? -errno : 0;
}

void kvm_irq_line(struct kvm *kvm, unsigned int irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };
	int err = ioctl(kvm->vm_fd, KVM_IRQ_LINE, &line);

	/* Fails only for a VM without interrupt controllers. */
	assert(!err);
	(void)err;
}
