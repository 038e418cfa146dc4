/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of hyp/vm share: the VM itself, and what one asks of another. */
#ifndef HYP_VM_PRIV_H
#define HYP_VM_PRIV_H

#include <pthread.h>
#include <stdio.h>

#include "hyp/config.h"
#include "hyp/console.h"
#include "hyp/ctl/listen.h"
#include "hyp/dev/acpi_pm.h"
#include "hyp/dev/legacy.h"
#include "hyp/dev/virtio/balloon.h"
#include "hyp/dev/virtio/blk.h"
#include "hyp/dev/virtio/entropy.h"
#include "hyp/dev/virtio/vcon.h"
#include "hyp/kvm/kvm.h"
#include "hyp/kvm/vcpu.h"
#include "hyp/loop.h"
#include "hyp/mem/mem.h"
#include "hyp/record.h"
#include "hyp/stats.h"
#include "hyp/vm/pause.h"
#include "hyp/vm/vm.h"

struct control;
struct watchers;

struct vm {
	const struct config *cfg;
	struct mem *mem;
	bool mem_started;
	struct kvm *kvm;
	struct loop *loop;
	struct console *console;
	struct legacy legacy;
	struct acpi_pm pm;
	struct bus pio, mmio;
	struct blk *disks[CONFIG_MAX_DISKS];
	struct balloon *balloon; /* NULL: none */
	struct entropy *entropy;
	struct vcon *vcon; /* NULL: none */
	struct ctl_socket channels[CONFIG_MAX_CHANNELS];
	uint32_t virtio_slots; /* bit i: slot i of the layout has a device */
	struct vcpu *vcpus[CONFIG_MAX_CPUS];
	struct vcpu_env env;
	pthread_mutex_t gate;
	struct pause pause;
	void *info; /* information areas, or NULL */
	size_t info_bytes;
	uint64_t info_gpa;
	struct loop_handler signals, timeout, stats_tick;
	FILE *stats_file, *summary_file;
	struct record *record;	   /* NULL: none */
	struct control *control;   /* NULL: no control socket */
	struct watchers *watchers; /* NULL: likewise */
	struct share share;
	uint64_t start_ms;

	/* Why the VM stops: written once, by whoever sets @stopping first. */
	bool stopping; /* atomic */
	int stop_code;
	struct why stop_why;
};

/**
 * vm_stop() - the VM is to end
 * @ctx:  struct vm
 * @code: exit code of the process
 * @what: why, if hyp or the guest failed; NULL: it did not
 *
 * The first cause wins.  Any thread; returns at once.
 */
void vm_stop(void *ctx, int code, const char *what);

/**
 * vm_build() - memory, devices, vCPUs, and the guest loaded into them
 * @vm:  with KVM and the event loop
 * @why: set on failure
 *
 * What a failure leaves behind, vm_destroy() frees.
 * Return: 0 or a negative errno.
 */
int vm_build(struct vm *vm, struct why *why);

/** vm_take_stats() - a snapshot of all counters.  Loop's thread. */
void vm_take_stats(struct vm *vm, struct stats *s);

/**
 * vm_create_devices() - make the devices and put them onto the buses
 * @vm:  with KVM, memory and the event loop
 * @why: set on failure
 *
 * Return: 0 or a negative errno.
 */
int vm_create_devices(struct vm *vm, struct why *why);

/**
 * vm_open_channels() - the sockets of channels, each with its janitor
 * @vm:  with the configuration
 * @why: set on failure
 *
 * Context: no other thread exists yet.
 * Return: 0 or a negative errno.
 */
int vm_open_channels(struct vm *vm, struct why *why);

/** vm_close_channels() - returns when their files are gone */
void vm_close_channels(struct vm *vm);

/** vm_device_words() - what the command line says of them, to @buf. As snprintf() */
int vm_device_words(const struct vm *vm, char *buf, size_t size);

/** vm_start_devices() - their threads. Return: 0 or a negative errno. */
int vm_start_devices(struct vm *vm);

/**
 * vm_stop_devices() - finish what is under way, join the threads
 * @vm:         no vCPU runs
 * @timeout_ms: for each
 *
 * Return: NULL, or the name of the device that does not end.
 */
const char *vm_stop_devices(struct vm *vm, unsigned int timeout_ms);

/** vm_destroy_devices() - those that there are */
void vm_destroy_devices(struct vm *vm);

/** vm_open_reports() - files, signals, timers. Return: 0 or negative errno. */
int vm_open_reports(struct vm *vm, struct why *why);

/**
 * vm_mark() - log what the vCPUs have counted so far
 * @ctx:    struct vm
 * @number: the guest's, to tell one mark from another
 *
 * Any thread.  A vCPU that marks is in no exit but that of the mark.
 */
void vm_mark(void *ctx, unsigned int number);

/** vm_start_reports() - the recorder's thread. Return: 0 or negative errno. */
int vm_start_reports(struct vm *vm);

/** vm_finish_reports() - last line, summary. Return: 0 or negative errno. */
int vm_finish_reports(struct vm *vm, struct why *why);

/** vm_close_reports() - whether or not they were opened */
void vm_close_reports(struct vm *vm);

#endif /* HYP_VM_PRIV_H */
