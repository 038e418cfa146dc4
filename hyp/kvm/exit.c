// SPDX-License-Identifier: GPL-2.0-only
/* Exits of KVM_RUN: who answers which. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include <essa/abi.h>

#include "hyp/config.h"
#include "hyp/kvm/vcpu_priv.h"
#include "hyp/mem/mem.h"
#include "hyp/record.h"

/* Attempts to get an instruction done that KVM failed to emulate. */
#define MAX_EMULATION  8
#define INVALID_OPCODE 6

static void handle_slow_path(struct vcpu *v)
{
	const struct kvm_regs *regs = &v->run->s.regs.regs;
	int32_t result = -EINVAL;
	uint8_t *data = (uint8_t *)v->run + v->run->io.data_offset;
	uint32_t i;

	vcpu_inc(v, VCPU_HYPERCALL);
	if (v->run->io.count == 1) {
		result = mem_hypercall(v->env->mem, regs->rdi, regs->rsi,
				       regs->rcx, v->env->test_hooks);
		record_call(v->env->record, regs->rdi, regs->rsi, regs->rcx,
			    result);
	}
	for (i = 0; i < v->run->io.count; i++, data += sizeof(result))
		memcpy(data, &result, sizeof(result));
}

static void handle_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;

	if (run->io.port == ESSA_PORT && run->io.size == 4 &&
	    run->io.direction == KVM_EXIT_IO_IN && v->env->hints) {
		handle_slow_path(v);
		return;
	}
	vcpu_inc(v, VCPU_IO);
	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(v->env->pio, run->io.port, data, run->io.size);
		else
			bus_write(v->env->pio, run->io.port, data,
				  run->io.size);
	}
}

static bool in_ram(const struct vcpu *v, uint64_t gpa)
{
	const struct mem_region *regions;
	unsigned int i, nr = mem_regions(v->env->mem, &regions);

	for (i = 0; i < nr; i++)
		if (gpa >= regions[i].gpa &&
		    gpa - regions[i].gpa < regions[i].size_bytes)
			return true;
	return false;
}

/*
 * KVM's instruction emulator could not reach RAM (it does not wait for a
 * page, nor does it raise SIGBUS) and takes it for a device.
 */
static void handle_ram_access(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	int err;

	if (run->mmio.is_write)
		err = mem_write(v->env->mem, run->mmio.phys_addr,
				run->mmio.data, run->mmio.len);
	else
		err = mem_read(v->env->mem, run->mmio.phys_addr, run->mmio.data,
			       run->mmio.len);
	/* Zeros here would be a silent loss; there is no fault to deliver. */
	if (err && err != -ECANCELED)
		vcpu_stop_vm(v, EXIT_GUEST_CRASHED,
			     "emulated instruction touched a discarded page");
}

static void handle_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	vcpu_inc(v, VCPU_MMIO);
	if (in_ram(v, run->mmio.phys_addr))
		handle_ram_access(v);
	else if (run->mmio.is_write)
		bus_write(v->env->mmio, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(v->env->mmio, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

/* Flags, instruction bytes, exit reason and information: see KVM's api.rst. */
static void log_internal_error(const struct vcpu *v)
{
	uint32_t i, nr = v->run->internal.ndata;

	for (i = 0; i < nr && i < ARRAY_SIZE(v->run->internal.data); i++)
		log_line("vcpu %u: internal error, data[%u] = 0x%016llx",
			 v->index, i,
			 (unsigned long long)v->run->internal.data[i]);
}

/*
 * KVM could not emulate an instruction.  It reads the bytes of the instruction
 * and its operands without waiting for a page and without raising SIGBUS, so
 * one that was discarded or paged out at this moment fails.  Nothing of the
 * instruction was done: execute it again, and the processor faults in what KVM
 * could not reach.  Counted, and not for ever: where that does not help, the
 * guest executes what is no memory, or not for devices, and gets what KVM gives
 * without KVM_CAP_EXIT_ON_EMULATION_FAILURE.
 */
static void handle_emulation(struct vcpu *v)
{
	unsigned long long rip = v->run->s.regs.regs.rip;

	if (v->emulation.rip != rip)
		v->emulation.seen = 0;
	v->emulation.rip = rip;
	vcpu_inc(v, VCPU_EMULATION);
	if (++v->emulation.seen <= MAX_EMULATION)
		return;
	v->emulation.seen = 0;
	log_guest(
		&v->log,
		"vcpu %u: KVM cannot emulate the instruction at rip 0x%llx, the guest is told that it is invalid",
		v->index, rip);
	if (fault_inject(v, INVALID_OPCODE))
		vcpu_stop_vm(v, EXIT_GUEST_CRASHED,
			     "guest crashed: KVM cannot deliver an event");
}

static void handle_unexpected(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	char what[100];

	switch (run->exit_reason) {
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what),
			 "hardware refused to enter the guest (reason 0x%llx)",
			 (unsigned long long)
				 run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
			handle_emulation(v);
			return;
		}
		snprintf(what, sizeof(what), "KVM internal error %u",
			 run->internal.suberror);
		log_internal_error(v);
		break;
	default:
		snprintf(what, sizeof(what), "unexpected exit %u",
			 run->exit_reason);
	}
	vcpu_inc(v, VCPU_OTHER);
	vcpu_stop_vm(v, EXIT_HYP_FAILED, what);
}

void exit_handle(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(v);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(v);
		break;
	case KVM_EXIT_HLT:
		vcpu_inc(v, VCPU_HLT);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		vcpu_inc(v, VCPU_SHUTDOWN);
		vcpu_stop_vm(v, EXIT_GUEST_CRASHED,
			     "guest crashed (triple fault)");
		break;
	default:
		handle_unexpected(v);
	}
}
