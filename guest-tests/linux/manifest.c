// SPDX-License-Identifier: GPL-2.0-only
/* The list of files: "<hex checksum> <size> <path>" a line. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "guest-tests/linux/workload.h"

static int add(struct manifest *m, const char *root, const char *line)
{
	struct file *files;
	struct stat st;
	struct file f;
	int pos = 0;

	if (sscanf(line, "%" SCNx64 " %" SCNu64 " %n", &f.sum, &f.size, &pos) !=
		    2 ||
	    !pos)
		return -EINVAL;
	while (line[pos] == '/')
		pos++;
	if (asprintf(&f.path, "%s/%.*s", root, (int)strcspn(line + pos, "\n"),
		     line + pos) < 0)
		return -ENOMEM;
	if (stat(f.path, &st)) {
		fprintf(stderr, "workload: %s: %s\n", f.path, strerror(errno));
		free(f.path);
		return -ENOENT;
	}
	f.executable = st.st_mode & 0111;
	files = reallocarray(m->files, m->nr + 1, sizeof(*files));
	if (!files) {
		free(f.path);
		return -ENOMEM;
	}
	m->files = files;
	m->files[m->nr++] = f;
	m->bytes += f.size;
	return 0;
}

int manifest_read(struct manifest *m, const char *root, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t len = 0;
	int err = 0;

	if (!f)
		return -errno;
	while (!err && getline(&line, &len, f) > 0)
		if (line[0] != '#' && line[0] != '\n')
			err = add(m, root, line);
	if (!err && ferror(f))
		err = -EIO;
	if (!err && !m->nr)
		err = -ENODATA;
	free(line);
	fclose(f);
	return err;
}
