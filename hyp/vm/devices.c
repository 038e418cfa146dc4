// SPDX-License-Identifier: GPL-2.0-only
/* The machine's devices: which there are, where they are, their life. */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <unistd.h>

#include "hyp/ctl/path.h"
#include "hyp/kvm/layout.h"
#include "hyp/vm/priv.h"
#include "hyp/vm/watch.h"

/* Slots of virtio devices; disks come first: their order gives them names. */
#define SLOT_BALLOON CONFIG_MAX_DISKS
#define SLOT_ENTROPY (CONFIG_MAX_DISKS + 1)
#define SLOT_CONSOLE (CONFIG_MAX_DISKS + 2)

_Static_assert(CONFIG_MAX_CHANNELS <= VCON_MAX_CHANNELS &&
		       CTL_NAME_MAX <= VCON_MAX_NAME,
	       "every channel has a port");
_Static_assert(SLOT_CONSOLE < LAYOUT_VIRTIO_MAX, "every device has a slot");

/* Where Linux tells the firmware how to start again, and what it writes. */
#define RESET_FLAG_GPA	0x472
#define RESET_FLAG_WARM 0x1234

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

static const struct legacy_ops legacy_ops = { on_guest_reset, on_guest_exit,
					      NULL };
static const struct legacy_ops legacy_test_ops = { on_guest_reset,
						   on_guest_exit, vm_mark };

static void virtio_irq(void *ctx, unsigned int irq, bool level)
{
	kvm_irq_line(ctx, irq, level);
}

static void on_power_off(void *ctx)
{
	vm_stop(ctx, 0, NULL);
}

static void on_sci(void *ctx, bool level)
{
	struct vm *vm = ctx;

	kvm_irq_line(vm->kvm, LAYOUT_SCI_IRQ, level);
}

static const struct acpi_pm_ops pm_ops = { on_power_off, on_sci };

static uint64_t slot_gpa(unsigned int slot)
{
	return LAYOUT_VIRTIO_BASE + slot * LAYOUT_VIRTIO_STRIDE;
}

static struct virtio_irq slot_irq(const struct vm *vm, unsigned int slot)
{
	return (struct virtio_irq){ virtio_irq, vm->kvm,
				    layout_virtio_irq(slot) };
}

/* A notification is the most frequent write: it goes to the device's thread. */
static int attach(struct vm *vm, unsigned int slot,
		  struct virtio_mmio *transport, int kick_fd)
{
	int err;

	err = bus_add(&vm->mmio, slot_gpa(slot), LAYOUT_VIRTIO_STRIDE,
		      &virtio_mmio_bus_ops, transport);
	if (err)
		return err;
	vm->virtio_slots |= 1u << slot;
	return kvm_ioeventfd(vm->kvm, slot_gpa(slot) + VIRTIO_MMIO_QUEUE_NOTIFY,
			     kick_fd);
}

static int create_disk(struct vm *vm, unsigned int i, struct why *why)
{
	const struct config_disk *disk = &vm->cfg->disks[i];
	struct virtio_irq irq = slot_irq(vm, i);
	/* No more than there are processors to use them. */
	unsigned int nr_queues =
		vm->cfg->cpus < BLK_MAX_QUEUES ? vm->cfg->cpus : BLK_MAX_QUEUES;
	char serial[CONFIG_MAX_SERIAL + 1];
	int err;

	err = blk_create(&vm->disks[i], disk->path, disk->read_only, nr_queues,
			 vm->mem, &irq, why);
	if (err)
		return err;
	snprintf(serial, sizeof(serial), "hyp-disk%u", i);
	blk_set_serial(vm->disks[i], disk->serial ? disk->serial : serial);
	return attach(vm, i, blk_transport(vm->disks[i]),
		      blk_kick_fd(vm->disks[i]));
}

static int create_balloon(struct vm *vm)
{
	struct virtio_irq irq = slot_irq(vm, SLOT_BALLOON);
	int err;

	err = balloon_create(&vm->balloon, vm->mem, vm->cfg->mem_bytes, &irq);
	if (!err)
		err = balloon_set_target(vm->balloon, vm->cfg->balloon_bytes);
	if (err)
		return err;
	balloon_on_change(vm->balloon, vm_news, vm);
	/* Nobody but the file wants them. */
	if (vm->cfg->stats_path)
		balloon_stats_every(vm->balloon,
				    (unsigned int)vm->cfg->stats_ms);
	return attach(vm, SLOT_BALLOON, balloon_transport(vm->balloon),
		      balloon_kick_fd(vm->balloon));
}

static int create_entropy(struct vm *vm)
{
	struct virtio_irq irq = slot_irq(vm, SLOT_ENTROPY);
	int err;

	err = entropy_create(&vm->entropy, vm->mem, &irq);
	return err ? err :
		     attach(vm, SLOT_ENTROPY, entropy_transport(vm->entropy),
			    entropy_kick_fd(vm->entropy));
}

static int create_vcon(struct vm *vm)
{
	struct virtio_irq irq = slot_irq(vm, SLOT_CONSOLE);
	struct vcon_config cfg = {
		.console = vm->cfg->virtio_console,
		.in_fd = STDIN_FILENO,
		.out_fd = STDOUT_FILENO,
		.nr_channels = vm->cfg->nr_channels,
	};
	unsigned int i;
	int err;

	for (i = 0; i < vm->cfg->nr_channels; i++)
		cfg.channels[i] = (struct vcon_channel){
			.name = vm->cfg->channels[i].name,
			.listen_fd = vm->channels[i].fd,
		};
	err = vcon_create(&vm->vcon, vm->mem, &cfg, &irq);
	return err ? err :
		     attach(vm, SLOT_CONSOLE, vcon_transport(vm->vcon),
			    vcon_kick_fd(vm->vcon));
}

int vm_create_devices(struct vm *vm, struct why *why)
{
	unsigned int i;
	int err;

	acpi_pm_init(&vm->pm, &pm_ops, vm);
	err = acpi_pm_attach(&vm->pm, &vm->pio);
	if (!err)
		err = console_create(&vm->console, vm->loop, vm->kvm,
				     !vm->cfg->virtio_console);
	if (!err)
		err = bus_add(&vm->pio, LAYOUT_UART_PORT, UART_PORTS,
			      &uart_bus_ops, console_uart(vm->console));
	if (!err)
		err = legacy_attach(&vm->legacy, &vm->pio,
				    vm->cfg->test_hooks ? &legacy_test_ops :
							  &legacy_ops,
				    vm);
	for (i = 0; !err && i < vm->cfg->nr_disks; i++)
		err = create_disk(vm, i, why);
	if (!err && vm->cfg->balloon)
		err = create_balloon(vm);
	if (!err)
		err = create_entropy(vm);
	if (!err && (vm->cfg->virtio_console || vm->cfg->nr_channels))
		err = create_vcon(vm);
	bus_seal(&vm->pio);
	bus_seal(&vm->mmio);
	return err ? why_set(why, err, "cannot create the devices") : 0;
}

int vm_open_channels(struct vm *vm, struct why *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < vm->cfg->nr_channels; i++)
		err = ctl_listen(&vm->channels[i], vm->cfg->channels[i].path,
				 false, why);
	return err;
}

void vm_close_channels(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->cfg->nr_channels; i++)
		ctl_unlisten(&vm->channels[i]);
}

int vm_device_words(const struct vm *vm, char *buf, size_t size)
{
	unsigned int slot;
	int len = 0;

	buf[0] = '\0';
	for (slot = 0; slot < LAYOUT_VIRTIO_MAX && (size_t)len < size; slot++)
		if (vm->virtio_slots & 1u << slot)
			len += snprintf(buf + len, size - (size_t)len,
					" virtio_mmio.device=4K@0x%llx:%u",
					(unsigned long long)slot_gpa(slot),
					layout_virtio_irq(slot));
	return len;
}

int vm_start_devices(struct vm *vm)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < vm->cfg->nr_disks; i++)
		err = blk_start(vm->disks[i]);
	if (!err && vm->balloon)
		err = balloon_start(vm->balloon);
	if (!err)
		err = entropy_start(vm->entropy);
	if (!err && vm->vcon)
		err = vcon_start(vm->vcon);
	return err;
}

const char *vm_stop_devices(struct vm *vm, unsigned int timeout_ms)
{
	unsigned int i;

	for (i = 0; i < vm->cfg->nr_disks; i++)
		if (blk_stop(vm->disks[i], timeout_ms))
			return "disk";
	if (vm->balloon && balloon_stop(vm->balloon, timeout_ms))
		return "balloon";
	if (entropy_stop(vm->entropy, timeout_ms))
		return "entropy device";
	if (vm->vcon && vcon_stop(vm->vcon, timeout_ms))
		return "virtio console";
	return NULL;
}

void vm_destroy_devices(struct vm *vm)
{
	unsigned int i;

	console_destroy(vm->console);
	if (vm->pm.ops)
		acpi_pm_fini(&vm->pm);
	for (i = 0; i < vm->cfg->nr_disks; i++)
		blk_destroy(vm->disks[i]);
	balloon_destroy(vm->balloon);
	entropy_destroy(vm->entropy);
	vcon_destroy(vm->vcon);
}
