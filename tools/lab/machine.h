/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lab machine as a pair of processes: QEMU, and the file server that gives
 * it this machine's file system.
 *
 * Both die with the process that started them, whatever ends it, and nothing is
 * created in the file system: all channels are socket pairs or unnamed.
 */
#ifndef TOOLS_LAB_MACHINE_H
#define TOOLS_LAB_MACHINE_H

#include <stdbool.h>
#include <sys/types.h>

struct machine_config {
	const char *dir; /* what make lab built */
	unsigned int cpus;
	unsigned long mem_mib;
	bool parallel;	       /* more than one CPU: really side by side */
	const char *qemu_args; /* more of them, separated by spaces */
};

struct machine {
	pid_t qemu, fsd; /* not above 0: not started */
	int port;	 /* to the agent: non-blocking, full duplex */
	int console;	 /* what the kernel, QEMU and the file server print */
};

int machine_start(struct machine *m, const struct machine_config *cfg);
void machine_stop(const struct machine *m);

#endif /* TOOLS_LAB_MACHINE_H */
