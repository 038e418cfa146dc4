// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first program of a guest whose start is measured: its write to the port is
 * what the host's trace shows, and the end (hyp's exit port; QEMU's isa-debug-exit
 * at the same place).  With "stay" in its environment, it stays.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXIT_PORT 0xf4

int main(void)
{
	int fd;

	if (getenv("stay")) {
		puts("first: up");
		fflush(stdout);
		for (;;)
			pause();
	}
	/* memory(4); the initramfs has no device files, kernels here no ioperm() */
	mknod("/dev/port", S_IFCHR | 0600, makedev(1, 4));
	fd = open("/dev/port", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, "", 1, EXIT_PORT) != 1)
		perror("first: /dev/port");
	reboot(RB_AUTOBOOT);
	return 1;
}
