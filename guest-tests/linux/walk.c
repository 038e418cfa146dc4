// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads all memory through a file of the kernel: /proc/kcore or /proc/vmcore, which
 * are ELF core files, or /dev/mem, whose RAM is where /proc/iomem says.  Prints what
 * it read, how much of that was zero, and how many different pages it found that
 * are marked: "teardown mark " and a number, then spaces and a newline.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE	  4096ULL
#define MARK	  "teardown mark "
#define MAX_MARKS 4096

struct walk {
	int fd;
	unsigned int step; /* one of so many pages is read */
	unsigned long long segments;
	unsigned long long pages;
	unsigned long long zero;    /* of these, without content */
	unsigned long long refused; /* by the kernel, with an error */
	unsigned int marks;
	bool marked[MAX_MARKS];
};

static void find_mark(struct walk *w, const char *page)
{
	unsigned long nr;
	size_t at;
	char *end;

	/* The last byte ends the number of any other page. */
	if (memcmp(page, MARK, strlen(MARK)) || page[PAGE - 1] != '\n')
		return;
	nr = strtoul(page + strlen(MARK), &end, 10);
	for (at = (size_t)(end - page); at < PAGE - 1; at++)
		if (page[at] != ' ')
			return;
	if (nr < MAX_MARKS && !w->marked[nr]) {
		w->marked[nr] = true;
		w->marks++;
	}
}

static void walk_range(struct walk *w, uint64_t offset, uint64_t len)
{
	static const char zeros[PAGE];
	char buf[PAGE];
	uint64_t at;

	w->segments++;
	for (at = 0; at < len; at += PAGE * w->step) {
		size_t want = len - at < PAGE ? len - at : PAGE;
		ssize_t got = pread(w->fd, buf, want, (off_t)(offset + at));

		w->pages++;
		if (got != (ssize_t)want)
			w->refused++;
		else if (!memcmp(buf, zeros, want))
			w->zero++;
		else if (want == PAGE)
			find_mark(w, buf);
	}
}

/* Segments without a physical address are not RAM: vmalloc space, 32 TiB of it. */
static int walk_core(struct walk *w)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	unsigned int i;

	if (pread(w->fd, &ehdr, sizeof(ehdr), 0) != (ssize_t)sizeof(ehdr) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) ||
	    ehdr.e_phentsize != sizeof(phdr))
		return -ENOEXEC;
	for (i = 0; i < ehdr.e_phnum; i++) {
		if (pread(w->fd, &phdr, sizeof(phdr),
			  (off_t)(ehdr.e_phoff + i * sizeof(phdr))) !=
		    (ssize_t)sizeof(phdr))
			return -EIO;
		if (phdr.p_type == PT_LOAD && phdr.p_paddr != UINT64_MAX)
			walk_range(w, phdr.p_offset, phdr.p_filesz);
	}
	return 0;
}

static int walk_mem(struct walk *w)
{
	FILE *iomem = fopen("/proc/iomem", "re");
	unsigned long long start, end;
	char line[128];

	if (!iomem)
		return -errno;
	while (fgets(line, sizeof(line), iomem)) {
		if (line[0] == ' ' || !strstr(line, " : System RAM") ||
		    sscanf(line, "%llx-%llx", &start, &end) != 2)
			continue;
		/* Of a page that is RAM in part the kernel complains. */
		start = (start + PAGE - 1) & ~(PAGE - 1);
		end = (end + 1) & ~(PAGE - 1);
		walk_range(w, start, end - start);
	}
	fclose(iomem);
	return 0;
}

int main(int argc, char **argv)
{
	static struct walk w = { .step = 1 };
	int err;

	if (argc == 3)
		w.step = (unsigned int)strtoul(argv[2], NULL, 10);
	if (argc < 2 || argc > 3 || !w.step) {
		fputs("usage: walk /proc/kcore|/proc/vmcore|/dev/mem [STEP]: read one of STEP pages\n",
		      stderr);
		return 2;
	}
	w.fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (w.fd < 0) {
		fprintf(stderr, "walk: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	err = strcmp(argv[1], "/dev/mem") ? walk_core(&w) : walk_mem(&w);
	close(w.fd);
	if (err) {
		fprintf(stderr, "walk: %s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	printf("WALK: %s segments %llu pages %llu zero %llu marks %u refused %llu\n",
	       argv[1], w.segments, w.pages, w.zero, w.marks, w.refused);
	return 0;
}
