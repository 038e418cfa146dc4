// SPDX-License-Identifier: GPL-2.0-only
/* What the outside sees of a VM and says to it: signals, timers, counters. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hyp/vm/priv.h"

void vm_take_stats(struct vm *vm, struct stats *s)
{
	struct pause_state pause;
	unsigned int i;

	vm_pause_state(vm, &pause);
	*s = (struct stats){
		.ms = now_ms() - vm->start_ms,
		.pauses = pause.count,
		.paused_ms = pause.total_ms,
	};
	mem_get_stats(vm->mem, &s->mem);
	for (i = 0; i < MEM_NR_WAITS; i++)
		mem_get_latency(vm->mem, i, &s->waits[i]);
	mem_get_dist(vm->mem, &s->dist);
	for (i = 0; i < vm->cfg->nr_disks; i++)
		blk_add_stats(vm->disks[i], &s->disk);
	if (vm->balloon)
		balloon_get(vm->balloon, &s->balloon);
	s->entropy_bytes = entropy_bytes(vm->entropy);
	for (i = 0; i < vm->cfg->cpus; i++) {
		vcpu_add_counts(vm->vcpus[i], s->counts);
		vcpu_add_kvmstats(vm->vcpus[i], s->kvm);
	}
}

void vm_mark(void *ctx, unsigned int number)
{
	struct vm *vm = ctx;
	struct stats s = { .ms = 0 };
	unsigned int i;

	for (i = 0; i < vm->cfg->cpus; i++) {
		vcpu_add_counts(vm->vcpus[i], s.counts);
		vcpu_add_kvmstats(vm->vcpus[i], s.kvm);
	}
	stats_mark(number, &s);
}

static void on_signal(void *ctx, uint32_t events)
{
	struct signalfd_siginfo si;
	struct vm *vm = ctx;
	struct stats s;

	(void)events;
	while (read(vm->signals.fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGUSR1) {
			vm_take_stats(vm, &s);
			stats_print(&s);
		} else if (si.ssi_signo == SIGPWR) {
			if (acpi_pm_press_button(&vm->pm))
				log_line(
					"the guest does not listen to its power button");
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

static int write_stats_line(struct vm *vm)
{
	struct stats s;

	if (!vm->stats_file)
		return 0;
	vm_take_stats(vm, &s);
	return stats_csv_line(vm->stats_file, &s);
}

static void on_stats_tick(void *ctx, uint32_t events)
{
	struct vm *vm = ctx;

	(void)events;
	loop_timer_ack(vm->stats_tick.fd);
	if (write_stats_line(vm))
		vm_stop(vm, EXIT_HYP_FAILED,
			"cannot write to the --stats file");
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

static int open_record(struct vm *vm, struct why *why)
{
	uint64_t nr_frames;
	unsigned int i;
	size_t len;
	int err;

	if (!vm->cfg->record_path)
		return 0;
	mem_table(vm->mem, &len, &nr_frames);
	err = record_create(&vm->record, vm->cfg->record_path, nr_frames, why);
	if (err)
		return err;
	vm->env.record = vm->record;
	for (i = 0; i < vm->cfg->nr_disks; i++)
		blk_record_writes(vm->disks[i], vm->record, i);
	return 0;
}

static void on_record_failed(void *ctx, int err)
{
	(void)err; /* comes again from record_finish() */
	vm_stop(ctx, EXIT_HYP_FAILED, "cannot write to the --record file");
}

int vm_start_reports(struct vm *vm)
{
	return vm->record ? record_start(vm->record, on_record_failed, vm) : 0;
}

static int finish_record(struct vm *vm, struct why *why)
{
	uint64_t nr;
	int err;

	if (!vm->record)
		return 0;
	err = record_finish(vm->record, &nr);
	if (err)
		return why_set(why, err, "cannot write to %s",
			       vm->cfg->record_path);
	if (!nr)
		log_line(
			"--record: the guest made no state operation through the slow path");
	return 0;
}

int vm_open_reports(struct vm *vm, struct why *why)
{
	const struct config *cfg = vm->cfg;
	sigset_t set;
	int err;

	err = open_output(&vm->stats_file, cfg->stats_path, why);
	if (!err)
		err = open_output(&vm->summary_file, cfg->summary_path, why);
	if (!err)
		err = open_record(vm, why);
	if (!err && vm->stats_file && stats_csv_header(vm->stats_file))
		err = why_set(why, -EIO, "cannot write to %s", cfg->stats_path);
	if (err)
		return err;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGPWR);
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

int vm_finish_reports(struct vm *vm, struct why *why)
{
	struct stats s;
	int err;

	err = finish_record(vm, why);
	if (err)
		return err;
	if (write_stats_line(vm))
		return why_set(why, -EIO, "cannot write to %s",
			       vm->cfg->stats_path);
	if (!vm->summary_file)
		return 0;
	vm_take_stats(vm, &s);
	if (stats_summary(vm->summary_file, &s, vm->stop_code))
		return why_set(why, -EIO, "cannot write to %s",
			       vm->cfg->summary_path);
	return 0;
}

static void close_handler(struct loop_handler *handler)
{
	if (handler->fd >= 0)
		close(handler->fd);
}

void vm_close_reports(struct vm *vm)
{
	close_handler(&vm->signals);
	close_handler(&vm->timeout);
	close_handler(&vm->stats_tick);
	record_destroy(vm->record);
	if (vm->stats_file)
		fclose(vm->stats_file);
	if (vm->summary_file)
		fclose(vm->summary_file);
}
