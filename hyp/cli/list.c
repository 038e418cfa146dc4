// SPDX-License-Identifier: GPL-2.0-only
/* hyp list: all are asked first and have the same time to answer. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hyp/cli/ask.h"
#include "hyp/cli/cli.h"
#include "hyp/cli/show.h"
#include "hyp/ctl/path.h"

#define LIST_MS 2000

struct asked {
	struct asked *next;
	char name[CTL_NAME_MAX + 1];
	struct ask ask;
	enum ask_code code;
};

static bool name_of(char name[CTL_NAME_MAX + 1], const char *file)
{
	size_t len = strlen(file), end = strlen(CTL_SUFFIX);

	if (len <= end || len - end > CTL_NAME_MAX ||
	    strcmp(file + len - end, CTL_SUFFIX))
		return false;
	memcpy(name, file, len - end);
	name[len - end] = '\0';
	return ctl_name_ok(name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*b)->d_name, (*a)->d_name);
}

/* Asks one and puts it in front. */
static struct asked *add(struct asked *all, const char *dir, const char *file,
			 uint64_t until_ms)
{
	struct asked *one = calloc(1, sizeof(*one));
	struct why why = { "" };
	char path[CTL_PATH_MAX];

	if (!one || !name_of(one->name, file)) {
		free(one);
		return all;
	}
	one->ask.fd = -1;
	one->code = ASK_NO_VM;
	if (!ctl_path(path, dir, one->name, &why))
		one->code =
			ask_open(&one->ask, path, "info", NULL, until_ms, &why);
	one->next = all;
	return one;
}

static cJSON *collect(struct asked *one, uint64_t until_ms)
{
	struct why why = { "" };
	cJSON *result = NULL;

	if (one->code == ASK_OK)
		one->code = ask_answer(&one->ask, &result, until_ms, &why);
	ask_close(&one->ask);
	if (one->code == ASK_OK)
		return result;
	result = cJSON_CreateObject();
	cJSON_AddStringToObject(result, "name", one->name);
	cJSON_AddStringToObject(result, "state",
				one->code == ASK_NO_VM ? "dead" : "no answer");
	return result;
}

int cli_list(bool json)
{
	uint64_t until_ms = now_ms() + LIST_MS;
	struct asked *all = NULL, *one;
	struct why why = { "" };
	struct dirent **files;
	char dir[CTL_PATH_MAX];
	cJSON *out, *vms;
	int i, nr;

	if (ctl_runtime_dir(dir, &why)) {
		log_line("%s", why.text);
		return ASK_USAGE;
	}
	nr = scandir(dir, &files, NULL, by_name);
	if (nr < 0 && errno != ENOENT) {
		log_line("cannot read %s: %s", dir, strerror(errno));
		return ASK_USAGE;
	}
	/* From behind, so that the first name ends up in front. */
	for (i = 0; i < nr; i++) {
		all = add(all, dir, files[i]->d_name, until_ms);
		free(files[i]);
	}
	if (nr >= 0)
		free(files);
	out = cJSON_CreateObject();
	vms = cJSON_AddArrayToObject(out, "vms");
	while ((one = all)) {
		all = one->next;
		cJSON_AddItemToArray(vms, collect(one, until_ms));
		free(one);
	}
	if (json)
		show_json(out);
	else
		show_list(vms);
	cJSON_Delete(out);
	return ASK_OK;
}
