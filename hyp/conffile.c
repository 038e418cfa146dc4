// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/conffile.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More text is no configuration. */
#define MAX_FILE_BYTES (64 * KIB)

/* @text: set to the file's, with a newline and a zero behind. */
static int read_text(char **text, const char *path, struct why *why)
{
	FILE *file = fopen(path, "re");
	size_t len;
	char *buf;

	if (!file)
		return why_set(why, -errno, "cannot open %s", path);
	buf = malloc(MAX_FILE_BYTES + 2);
	if (!buf) {
		fclose(file);
		return why_set(why, -ENOMEM, "%s", path);
	}
	errno = 0;
	len = fread(buf, 1, MAX_FILE_BYTES + 1, file);
	if (ferror(file))
		why_set(why, errno ? -errno : -EIO, "cannot read %s", path);
	else if (len > MAX_FILE_BYTES)
		why_set(why, 0, "%s is larger than 64K", path);
	fclose(file);
	if (why->text[0]) {
		free(buf);
		return -EINVAL;
	}
	memcpy(buf + len, "\n", 2);
	*text = buf;
	return 0;
}

/* A line without its newline; changes it.  Return: false: it says nothing. */
static bool split(char *line, char **key, char **value)
{
	char *end;

	*key = line + strspn(line, " \t\r");
	if (!**key || **key == '#')
		return false;
	*value = end = *key + strcspn(*key, " \t\r=");
	*value += strspn(*value, " \t\r");
	if (**value == '=')
		++*value;
	*value += strspn(*value, " \t\r");
	*end = '\0';
	for (end = *value + strlen(*value);
	     end > *value && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return true;
}

int conffile_read(char **text, const char *path,
		  int (*line_fn)(void *ctx, char *key, char *value,
				 struct why *why),
		  void *ctx, struct why *why)
{
	char *line, *end, *key, *value;
	struct why cause = { "" };
	unsigned int nr = 0;
	int err;

	*text = NULL;
	err = read_text(text, path, why);
	for (line = *text; !err && *line; line = end + 1) {
		end = line + strcspn(line, "\n");
		nr++;
		if (!*end)
			return why_set(why, 0, "%s:%u: a zero byte", path, nr);
		*end = '\0';
		if (!split(line, &key, &value))
			continue;
		err = line_fn(ctx, key, value, &cause);
		if (err)
			why_set(why, 0, "%s:%u: %s", path, nr, cause.text);
	}
	return err;
}
