// SPDX-License-Identifier: GPL-2.0-only
/* From a configuration to a machine with a guest in it; no guest code runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <essa/abi.h>

#include "hyp/kvm/boot.h"
#include "hyp/kvm/cpuid.h"
#include "hyp/kvm/layout.h"
#include "hyp/thread.h"
#include "hyp/vm/priv.h"
#include "hyp/vm/watch.h"

static void on_mem_fatal(void *ctx, int err, const char *what)
{
	char line[300];

	snprintf(line, sizeof(line), "%s: %s", what, strerror(-err));
	vm_stop(ctx, EXIT_HYP_FAILED, line);
}

/* The guest stands until memory says that all is well again. */
static void on_mem_trouble(void *ctx, int err, const char *what)
{
	if (err) {
		log_line("%s: %s", what, strerror(-err));
		vm_pause(ctx, VM_PAUSE_SWAP);
	} else {
		log_line("memory has what it waited for: the guest goes on");
		vm_resume(ctx, VM_PAUSE_SWAP);
	}
}

/* The guest may read it at any time, and writes over it at worst. */
static void on_pressure(void *ctx, bool on)
{
	struct vm *vm = ctx;
	unsigned int i;

	for (i = 0; vm->info && i < vm->cfg->cpus; i++) {
		struct essa_vcpu_info *info =
			(void *)((char *)vm->info +
				 (size_t)i * LAYOUT_INFO_STRIDE);

		__atomic_store_n(&info->pressure,
				 on ? ESSA_PRESSURE_SOME : ESSA_PRESSURE_NONE,
				 __ATOMIC_RELAXED);
	}
}

/* Before there is anybody who would want to write to it. */
static int create_info(struct vm *vm, struct why *why)
{
	if (!vm->cfg->hints)
		return 0;
	vm->info_bytes = ((size_t)vm->cfg->cpus * LAYOUT_INFO_STRIDE +
			  MEM_PAGE_SIZE - 1) &
			 ~(size_t)(MEM_PAGE_SIZE - 1);
	vm->info = mmap(NULL, vm->info_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->info != MAP_FAILED)
		return 0;
	vm->info = NULL;
	return why_set(why, -errno, "cannot allocate information areas");
}

static int create_mem(struct vm *vm, struct why *why)
{
	const struct config *cfg = vm->cfg;
	struct mem_config mc = {
		.size_bytes = cfg->mem_bytes,
		.limit_bytes = cfg->limit_bytes,
		.swap_dir = cfg->swap_dir,
		.swap_bytes = cfg->swap_bytes,
		.hinting = cfg->hints,
		.potential = true,
		.storm = cfg->storm,
		.always_pressure = cfg->pressure,
		.fatal = on_mem_fatal,
		.trouble = on_mem_trouble,
		.pressure = on_pressure,
		.news = vm_news,
		.ctx = vm,
		.start_thread = thread_start,
	};
	const char *text = NULL;
	int err;

	err = mem_create(&vm->mem, &mc, &text);
	if (err)
		return why_set(why, err, "%s",
			       text ? text : "cannot set up guest memory");
	/* Nobody can mend it before the event loop runs. */
	mem_bear_trouble(vm->mem, false);
	err = mem_start(vm->mem);
	if (err)
		return why_set(why, err, "cannot start the memory threads");
	vm->mem_started = true;
	return 0;
}

static int map_mem(struct vm *vm, struct cpuid_hints *hints, struct why *why)
{
	const struct mem_region *regions;
	unsigned int i, nr = mem_regions(vm->mem, &regions);
	size_t table_bytes;
	void *table;
	int err = 0;

	for (i = 0; !err && i < nr; i++)
		err = kvm_map(vm->kvm, regions[i].gpa, regions[i].size_bytes,
			      regions[i].hva);
	if (err || !vm->cfg->hints)
		goto out;
	table = mem_table(vm->mem, &table_bytes, &hints->nr_frames);
	hints->offered = true;
	hints->test_hooks = vm->cfg->test_hooks;
	hints->features = mem_features(vm->mem);
	hints->table_gpa = LAYOUT_ESSA_TABLE;
	hints->info_gpa = LAYOUT_ESSA_TABLE + table_bytes;
	vm->info_gpa = hints->info_gpa;
	err = kvm_map(vm->kvm, hints->table_gpa, table_bytes, table);
	if (!err)
		err = kvm_map(vm->kvm, hints->info_gpa, vm->info_bytes,
			      vm->info);
out:
	return err ? why_set(why, err, "cannot map guest memory") : 0;
}

static int create_vcpus(struct vm *vm, const struct cpuid_hints *hints,
			struct why *why)
{
	struct kvm_cpuid2 *supported, *cpuid;
	unsigned int i;
	int err;

	if (vm->cfg->cpus > vm->kvm->max_vcpus)
		return why_set(why, 0, "--cpus: this KVM has at most %u",
			       vm->kvm->max_vcpus);
	vm->env = (struct vcpu_env){
		.kvm = vm->kvm,
		.mem = vm->mem,
		.pio = &vm->pio,
		.mmio = &vm->mmio,
		.info = vm->info,
		.hints = vm->cfg->hints,
		.test_hooks = vm->cfg->test_hooks,
		.inject_interrupt = cpuid_inject_as_interrupt(),
		.gate = &vm->gate,
		.stop = vm_stop,
		.left = vm_pause_left,
		.ctx = vm,
	};
	err = kvm_supported_cpuid(vm->kvm, &supported);
	if (err)
		return why_set(why, err, "KVM_GET_SUPPORTED_CPUID");
	for (i = 0; !err && i < vm->cfg->cpus; i++) {
		cpuid = cpuid_build(supported, i, vm->cfg->cpus, hints);
		err = cpuid ? vcpu_create(&vm->vcpus[i], &vm->env, i, cpuid,
					  why) :
			      why_set(why, -ENOMEM, "vcpu");
		free(cpuid);
	}
	free(supported);
	return err;
}

static int build_cmdline(const struct vm *vm, char *buf, size_t size)
{
	int len;

	/* i8042: do not look for a keyboard, that takes a second. */
	len = snprintf(
		buf, size,
		"console=ttyS0 reboot=k,panic_warm panic=-1 i8042.noaux i8042.nokbd");
	if (vm->cfg->virtio_console && (size_t)len < size)
		len += snprintf(buf + len, size - (size_t)len, " console=hvc0");
	if ((size_t)len < size)
		len += vm_device_words(vm, buf + len, size - (size_t)len);
	if (vm->cfg->record_path && (size_t)len < size)
		len += snprintf(buf + len, size - (size_t)len,
				" page_states_transport=hypercall");
	if ((size_t)len < size)
		len += snprintf(buf + len, size - (size_t)len, " %s",
				vm->cfg->cmdline);
	return (size_t)len < size ? 0 : -E2BIG;
}

static int load_guest(struct vm *vm, struct why *why)
{
	char cmdline[LAYOUT_CMDLINE_MAX];
	struct boot_setup setup = {
		.ram_bytes = vm->cfg->mem_bytes,
		.initrd = vm->cfg->initrd,
		.cmdline = cmdline,
		.nr_cpus = vm->cfg->cpus,
		.virtio_slots = vm->virtio_slots,
	};
	struct boot_image image = { 0 };
	int err;

	if (vm->info) {
		setup.reserved_gpa = LAYOUT_ESSA_TABLE;
		setup.reserved_bytes =
			vm->info_gpa + vm->info_bytes - LAYOUT_ESSA_TABLE;
	}
	err = build_cmdline(vm, cmdline, sizeof(cmdline));
	if (err)
		return why_set(why, 0, "--cmdline is too long");
	err = boot_open(&image, vm->cfg->kernel, why);
	if (!err)
		err = boot_load(&image, vm->mem, &setup, why);
	if (!err) {
		err = vcpu_set_boot_state(vm->vcpus[0], image.entry_gpa);
		if (err)
			why_set(why, err, "cannot set registers");
	}
	boot_close(&image);
	return err;
}

int vm_build(struct vm *vm, struct why *why)
{
	struct cpuid_hints hints = { 0 };
	int err;

	err = create_info(vm, why);
	if (!err)
		err = create_mem(vm, why);
	if (!err)
		err = map_mem(vm, &hints, why);
	if (!err)
		err = vm_create_devices(vm, why);
	if (!err)
		err = create_vcpus(vm, &hints, why);
	if (!err)
		err = load_guest(vm, why);
	return err;
}
