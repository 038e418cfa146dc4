// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/ctl/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ctl_name_ok(const char *name)
{
	size_t i;

	if (!isalnum((unsigned char)name[0]))
		return false;
	for (i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	return i <= CTL_NAME_MAX && strcmp(name, CTL_MANAGER) != 0;
}

bool ctl_name_of(char name[CTL_NAME_MAX + 1], const char *file)
{
	size_t len = strlen(file), end = strlen(CTL_SUFFIX);

	if (len <= end || len - end > CTL_NAME_MAX ||
	    strcmp(file + len - end, CTL_SUFFIX))
		return false;
	memcpy(name, file, len - end);
	name[len - end] = '\0';
	return ctl_name_ok(name);
}

static int compose(char path[CTL_PATH_MAX], struct why *why, const char *dir,
		   const char *name, const char *suffix)
{
	if (snprintf(path, CTL_PATH_MAX, "%s/%s%s", dir, name, suffix) <
	    CTL_PATH_MAX)
		return 0;
	return why_set(why, 0, "%s/%s%s is too long for a socket", dir, name,
		       suffix);
}

int ctl_runtime_dir(char dir[CTL_PATH_MAX], struct why *why)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (base && *base)
		return compose(dir, why, base, "hyp", "");
	if (geteuid() == 0)
		return compose(dir, why, "/run", "hyp", "");
	return why_set(why, 0, "XDG_RUNTIME_DIR is not set; give a path");
}

int ctl_path(char path[CTL_PATH_MAX], const char *dir, const char *name,
	     struct why *why)
{
	return compose(path, why, dir, name, CTL_SUFFIX);
}
