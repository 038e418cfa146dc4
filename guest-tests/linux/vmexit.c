// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmexit N: end the virtual machine with code N.  hyp exits with N; plain
 * QEMU with "-device isa-debug-exit,iobase=0xf4,iosize=1" with 2 * N + 1.
 * "RESULT: N" on the console serves where neither port is there.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#define EXIT_PORT 0xf4

int main(int argc, char **argv)
{
	uint8_t code;
	int fd;

	if (argc != 2) {
		fputs("vmexit: usage: vmexit CODE\n", stderr);
		return 1;
	}
	code = (uint8_t)strtoul(argv[1], NULL, 10);
	printf("RESULT: %u\n", code);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	sync();
	fd = open("/dev/port", O_WRONLY | O_CLOEXEC);
	if (fd < 0 && !ioperm(EXIT_PORT, 1, 1))
		outb(code, EXIT_PORT);
	else if (fd < 0 || pwrite(fd, &code, 1, EXIT_PORT) != 1)
		perror("vmexit: /dev/port");
	/* Not power off: that is where a kernel without ACPI stays for ever. */
	reboot(RB_AUTOBOOT);
	perror("vmexit: reboot");
	return 1;
}
