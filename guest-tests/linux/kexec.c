// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads a kernel into a running one and starts it, or has it started when this
 * one panics: what kexec-tools do, for an initramfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char usage[] =
	"usage: kexec KERNEL INITRD CMDLINE        load it and start it\n"
	"       kexec -p KERNEL INITRD CMDLINE     load it for when this kernel panics\n";

static int open_or_say(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fprintf(stderr, "kexec: %s: %s\n", path, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	int crash = argc > 1 && !strcmp(argv[1], "-p"), kernel, initrd;
	unsigned long flags = crash ? KEXEC_FILE_ON_CRASH : 0;

	if (argc != 4 + crash) {
		fputs(usage, stderr);
		return 2;
	}
	argv += crash;
	kernel = open_or_say(argv[1]);
	initrd = open_or_say(argv[2]);
	if (kernel < 0 || initrd < 0)
		return 1;
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1,
		    argv[3], flags)) {
		fprintf(stderr, "kexec: cannot load %s: %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	if (crash)
		return 0;
	sync();
	reboot((int)LINUX_REBOOT_CMD_KEXEC);
	fprintf(stderr, "kexec: cannot start %s: %s\n", argv[1],
		strerror(errno));
	return 1;
}
