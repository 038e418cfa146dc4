// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads and lock order: see hyp/DESIGN.
 */
#include "hyp/vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hyp/console.h"
#include "hyp/dev/legacy.h"
#include "hyp/dev/virtio/blk.h"
#include "hyp/kvm/boot.h"
#include "hyp/kvm/cpuid.h"
#include "hyp/kvm/kvm.h"
#include "hyp/kvm/layout.h"
#include "hyp/kvm/vcpu.h"
#include "hyp/loop.h"
#include "hyp/mem/mem.h"
#include "hyp/sandbox.h"
#include "hyp/stats.h"

/* A vCPU thread ends within a disk access; longer means a bug. */
#define JOIN_TIMEOUT_MS		10000

/* Where Linux tells the firmware how to start again, and what it writes. */
#define RESET_FLAG_GPA		0x472
#define RESET_FLAG_WARM		0x1234

struct vm {
	const struct config *cfg;
	struct mem *mem;
	bool mem_started;
	struct kvm *kvm;
	struct loop *loop;
	struct console *console;
	struct legacy legacy;
	struct bus pio, mmio;
	struct blk *disks[CONFIG_MAX_DISKS];
	struct vcpu *vcpus[CONFIG_MAX_CPUS];
	struct vcpu_env env;
	pthread_mutex_t gate;
	void *info;			/* information areas, or NULL */
	size_t info_bytes;
	uint64_t info_gpa;
	struct loop_handler signals, timeout, stats_tick;
	FILE *stats_file, *summary_file;
	uint64_t start_ms;

	/* Why the VM stops: written once, by whoever sets @stopping first. */
	bool stopping;			/* atomic */
	int stop_code;
	struct why stop_why;
};

/*
 * The first cause wins.  loop_quit() comes last: the loop's thread reads the
 * cause after it has seen the event.
 */
static void vm_stop(void *ctx, int code, const char *what)
{
	struct vm *vm = ctx;

	if (__atomic_exchange_n(&vm->stopping, true, __ATOMIC_ACQ_REL))
		return;
	vm->stop_code = code;
	if (what)
		why_set(&vm->stop_why, 0, "%s", what);
	loop_quit(vm->loop);
}

static void on_mem_fatal(void *ctx, int err, const char *what)
{
	char line[300];

	snprintf(line, sizeof(line), "%s: %s", what, strerror(-err));
	vm_stop(ctx, EXIT_HYP_FAILED, line);
}

static void on_guest_exit(void *ctx, unsigned int code)
{
	vm_stop(ctx, code > 99 ? 99 : (int)code, NULL);
}

/*
 * hyp's part of the command line asks a panicking Linux for a warm reboot and
 * leaves others cold: the flag tells them apart.
 */
static void on_guest_reset(void *ctx)
{
	struct vm *vm = ctx;
	uint16_t flag;

	if (!mem_read(vm->mem, RESET_FLAG_GPA, &flag, sizeof(flag)) &&
	    flag == RESET_FLAG_WARM)
		vm_stop(vm, EXIT_GUEST_CRASHED, "guest panicked");
	else
		vm_stop(vm, 0, NULL);
}

static const struct legacy_ops legacy_ops = { on_guest_reset, on_guest_exit };

static void take_stats(struct vm *vm, struct stats *s)
{
	unsigned int i;

	*s = (struct stats){ .ms = now_ms() - vm->start_ms };
	mem_get_stats(vm->mem, &s->mem);
	mem_get_dist(vm->mem, &s->dist);
	for (i = 0; i < vm->cfg->nr_disks; i++)
		blk_add_stats(vm->disks[i], &s->disk);
	for (i = 0; i < vm->cfg->cpus; i++) {
		vcpu_add_counts(vm->vcpus[i], s->counts);
		vcpu_add_kvmstats(vm->vcpus[i], s->kvm);
	}
}

static void on_signal(void *ctx, uint32_t events)
{
	struct signalfd_siginfo si;
	struct vm *vm = ctx;
	struct stats s;

	(void)events;
	while (read(vm->signals.fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGUSR1) {
			take_stats(vm, &s);
			stats_print(&s);
		} else {
			vm_stop(vm, 128 + (int)si.ssi_signo, NULL);
		}
	}
}

static void on_timeout(void *ctx, uint32_t events)
{
	(void)events;
	vm_stop(ctx, EXIT_TIMED_OUT, "guest did not end in time (--timeout)");
}

static void write_stats_line(struct vm *vm)
{
	struct stats s;

	if (!vm->stats_file)
		return;
	take_stats(vm, &s);
	if (stats_csv_line(vm->stats_file, &s))
		vm_stop(vm, EXIT_HYP_FAILED, "cannot write to the --stats file");
}

static void on_stats_tick(void *ctx, uint32_t events)
{
	struct vm *vm = ctx;

	(void)events;
	loop_timer_ack(vm->stats_tick.fd);
	write_stats_line(vm);
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
		.storm = cfg->storm,
		.fatal = on_mem_fatal,
		.fatal_ctx = vm,
	};
	const char *text = NULL;
	int err;

	err = mem_create(&vm->mem, &mc, &text);
	if (err)
		return why_set(why, err, "%s",
			       text ? text : "cannot set up guest memory");
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
	vm->info_bytes = ((size_t)vm->cfg->cpus * LAYOUT_INFO_STRIDE +
			  MEM_PAGE_SIZE - 1) & ~(size_t)(MEM_PAGE_SIZE - 1);
	vm->info = mmap(NULL, vm->info_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->info == MAP_FAILED) {
		vm->info = NULL;
		err = -errno;
		goto out;
	}
	hints->offered = true;
	hints->test_hooks = vm->cfg->test_hooks;
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

static void virtio_irq(void *ctx, unsigned int irq, bool level)
{
	kvm_irq_line(ctx, irq, level);
}

static int create_devices(struct vm *vm, struct why *why)
{
	unsigned int i;
	int err;

	err = console_create(&vm->console, vm->loop, vm->kvm);
	if (!err)
		err = bus_add(&vm->pio, LAYOUT_UART_PORT, UART_PORTS,
			      &uart_bus_ops, console_uart(vm->console));
	if (!err)
		err = legacy_attach(&vm->legacy, &vm->pio, &legacy_ops, vm);
	for (i = 0; !err && i < vm->cfg->nr_disks; i++) {
		struct virtio_irq irq = { virtio_irq, vm->kvm,
					  LAYOUT_VIRTIO_IRQ + i };

		err = blk_create(&vm->disks[i], vm->cfg->disks[i].path,
				 vm->cfg->disks[i].read_only, vm->mem, &irq,
				 why);
		if (!err)
			err = bus_add(&vm->mmio,
				      LAYOUT_VIRTIO_BASE +
					      i * LAYOUT_VIRTIO_STRIDE,
				      LAYOUT_VIRTIO_STRIDE,
				      &virtio_mmio_bus_ops,
				      blk_transport(vm->disks[i]));
	}
	bus_seal(&vm->pio);
	bus_seal(&vm->mmio);
	return err ? why_set(why, err, "cannot create the devices") : 0;
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
		.ctx = vm,
	};
	err = kvm_supported_cpuid(vm->kvm, &supported);
	if (err)
		return why_set(why, err, "KVM_GET_SUPPORTED_CPUID");
	for (i = 0; !err && i < vm->cfg->cpus; i++) {
		cpuid = cpuid_build(supported, i, vm->cfg->cpus, hints);
		err = cpuid ? vcpu_create(&vm->vcpus[i], &vm->env, i, cpuid,
					  why)
			    : why_set(why, -ENOMEM, "vcpu");
		free(cpuid);
	}
	free(supported);
	return err;
}

static int build_cmdline(const struct vm *vm, char *buf, size_t size)
{
	int len;
	unsigned int i;

	/* i8042: do not look for a keyboard, that takes a second. */
	len = snprintf(buf, size,
		       "console=ttyS0 reboot=k,panic_warm panic=-1 i8042.noaux i8042.nokbd");
	for (i = 0; i < vm->cfg->nr_disks && (size_t)len < size; i++)
		len += snprintf(buf + len, size - (size_t)len,
				" virtio_mmio.device=4K@0x%llx:%u",
				LAYOUT_VIRTIO_BASE + i * LAYOUT_VIRTIO_STRIDE,
				LAYOUT_VIRTIO_IRQ + i);
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

static int open_output(FILE **file, const char *path, struct why *why)
{
	if (!path)
		return 0;
	*file = fopen(path, "we");
	if (!*file)
		return why_set(why, -errno, "cannot write to %s", path);
	return 0;
}

static int watch(struct vm *vm, struct loop_handler *handler, int fd,
		 void (*fn)(void *ctx, uint32_t events))
{
	*handler = (struct loop_handler){ fd, fn, vm };
	return fd < 0 ? fd : loop_add(vm->loop, handler, EPOLLIN);
}

static int create_sources(struct vm *vm, struct why *why)
{
	const struct config *cfg = vm->cfg;
	sigset_t set;
	int err;

	err = open_output(&vm->stats_file, cfg->stats_path, why);
	if (!err)
		err = open_output(&vm->summary_file, cfg->summary_path, why);
	if (!err && vm->stats_file && stats_csv_header(vm->stats_file))
		err = why_set(why, -EIO, "cannot write to %s", cfg->stats_path);
	if (err)
		return err;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	err = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	err = watch(vm, &vm->signals, err < 0 ? -errno : err, on_signal);
	if (!err && cfg->timeout_s)
		err = watch(vm, &vm->timeout,
			    loop_timer(cfg->timeout_s * 1000, 0), on_timeout);
	if (!err && vm->stats_file)
		err = watch(vm, &vm->stats_tick,
			    loop_timer(cfg->stats_ms, cfg->stats_ms),
			    on_stats_tick);
	return err ? why_set(why, err, "cannot set up signals and timers") : 0;
}

/*
 * All signals are blocked, in this thread and those it will create: they are
 * read from the signalfd, or opened inside KVM_RUN.
 */
static void block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
}

int vm_create(struct vm **out, const struct config *cfg, struct why *why)
{
	struct cpuid_hints hints = { 0 };
	struct vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return why_set(why, -ENOMEM, "VM");
	vm->cfg = cfg;
	vm->signals.fd = vm->timeout.fd = vm->stats_tick.fd = -1;
	pthread_mutex_init(&vm->gate, NULL);
	block_signals();
	vm->start_ms = now_ms();
	err = loop_create(&vm->loop);
	if (err) {
		why_set(why, err, "cannot create the event loop");
		goto err_destroy;
	}
	err = kvm_create(&vm->kvm, why);
	if (err)
		goto err_destroy;
	err = create_mem(vm, why);
	if (err)
		goto err_destroy;
	err = map_mem(vm, &hints, why);
	if (err)
		goto err_destroy;
	err = create_devices(vm, why);
	if (err)
		goto err_destroy;
	err = create_vcpus(vm, &hints, why);
	if (err)
		goto err_destroy;
	err = load_guest(vm, why);
	if (err)
		goto err_destroy;
	err = create_sources(vm, why);
	if (err)
		goto err_destroy;
	*out = vm;
	return 0;

err_destroy:
	/*
	 * When memory gives up, the loader only sees -ECANCELED.  The true
	 * cause may come from a thread of mem: read it when they have ended.
	 */
	if (vm->mem_started)
		mem_stop(vm->mem);
	vm->mem_started = false;
	if (vm->stop_why.text[0])
		*why = vm->stop_why;
	vm_destroy(vm);
	return err;
}

/* Device threads first; the vCPUs' wait at the gate until all is confined. */
static int start_threads(struct vm *vm, struct why *why)
{
	unsigned int i;
	int err = 0;

	pthread_mutex_lock(&vm->gate);
	for (i = 0; !err && i < vm->cfg->nr_disks; i++)
		err = blk_start(vm->disks[i]);
	for (i = 0; !err && i < vm->cfg->cpus; i++)
		err = vcpu_start(vm->vcpus[i]);
	if (err)
		why_set(why, err, "cannot start the threads");
	else if (vm->cfg->sandbox)
		err = sandbox_enter(why);
	if (err)
		vm_stop(vm, EXIT_HYP_FAILED, why->text);
	for (i = 0; err && i < vm->cfg->cpus; i++)
		vcpu_kick(vm->vcpus[i]); /* before they run a guest at all */
	pthread_mutex_unlock(&vm->gate);
	return err;
}

/* A thread that does not end may still use anything: no orderly way out. */
static void give_up(struct vm *vm, const char *what, unsigned int index)
{
	if (vm->stop_why.text[0])
		log_line("%s", vm->stop_why.text);
	log_line("%s %u does not stop; giving up", what, index);
	_exit(EXIT_HYP_FAILED);
}

/*
 * vCPUs first: until the last of them has ended, it may wait for a disk, the
 * pager or reclaim.  Then the disks, which only wait for memory.
 */
static void stop_threads(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->cfg->cpus; i++)
		vcpu_kick(vm->vcpus[i]);
	for (i = 0; i < vm->cfg->cpus; i++)
		if (vcpu_join(vm->vcpus[i], JOIN_TIMEOUT_MS))
			give_up(vm, "vcpu", i);
	for (i = 0; i < vm->cfg->nr_disks; i++)
		if (blk_stop(vm->disks[i], JOIN_TIMEOUT_MS))
			give_up(vm, "disk", i);
}

static int write_summary(struct vm *vm, struct why *why)
{
	struct stats s;

	write_stats_line(vm);
	if (!vm->summary_file)
		return 0;
	take_stats(vm, &s);
	if (stats_summary(vm->summary_file, &s, vm->stop_code))
		return why_set(why, -EIO, "cannot write to %s",
			       vm->cfg->summary_path);
	return 0;
}

int vm_run(struct vm *vm, struct why *why)
{
	int err;

	vm->start_ms = now_ms();
	start_threads(vm, why);
	err = loop_run(vm->loop);
	if (err)
		vm_stop(vm, EXIT_HYP_FAILED, "the event loop failed");
	stop_threads(vm);
	console_flush(vm->console);
	if (write_summary(vm, why))
		return EXIT_HYP_FAILED;
	if (vm->stop_why.text[0])
		why_set(why, 0, "%s", vm->stop_why.text);
	return vm->stop_code;
}

static void close_handler(struct loop_handler *handler)
{
	if (handler->fd >= 0)
		close(handler->fd);
}

void vm_destroy(struct vm *vm)
{
	unsigned int i;

	if (!vm)
		return;
	for (i = 0; i < vm->cfg->cpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	console_destroy(vm->console);
	for (i = 0; i < vm->cfg->nr_disks; i++)
		blk_destroy(vm->disks[i]);
	if (vm->mem_started)
		mem_stop(vm->mem);
	kvm_destroy(vm->kvm);
	if (vm->info)
		munmap(vm->info, vm->info_bytes);
	mem_destroy(vm->mem);
	close_handler(&vm->signals);
	close_handler(&vm->timeout);
	close_handler(&vm->stats_tick);
	if (vm->stats_file)
		fclose(vm->stats_file);
	if (vm->summary_file)
		fclose(vm->summary_file);
	loop_destroy(vm->loop);
	pthread_mutex_destroy(&vm->gate);
	free(vm);
}
