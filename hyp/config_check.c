// SPDX-License-Identifier: GPL-2.0-only
/* What a configuration has to be like, once all of it has been read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyp/config.h"
#include "hyp/ctl/path.h"

static int check_file(const char *what, const char *path, int mode,
		      uint64_t *bytes, struct why *why)
{
	struct stat st;

	if (stat(path, &st))
		return why_set(why, -errno, "cannot open %s %s", what, path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return why_set(why, 0, "%s %s is not a file", what, path);
	if (access(path, mode))
		return why_set(why, -errno, "cannot open %s %s", what, path);
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static int check_limit(const struct config *cfg, uint64_t images_bytes,
		       struct why *why)
{
	uint64_t min = CONFIG_LIMIT_FLOOR;

	if (!cfg->limit_bytes)
		return 0;
	if (cfg->limit_bytes > cfg->mem_bytes)
		return why_set(why, 0,
			       "--limit (%lluK) is larger than --mem (%lluK)",
			       (unsigned long long)cfg->limit_bytes / KIB,
			       (unsigned long long)cfg->mem_bytes / KIB);
	if (images_bytes > min - CONFIG_LIMIT_SLACK)
		min = images_bytes + CONFIG_LIMIT_SLACK;
	if (cfg->limit_bytes < min)
		return why_set(
			why, 0,
			"--limit (%lluK) is too small; this guest needs at least %lluK",
			(unsigned long long)cfg->limit_bytes / KIB,
			(unsigned long long)(min + KIB - 1) / KIB);
	return 0;
}

static int check_swap(struct config *cfg, struct why *why)
{
	struct stat st;

	if (cfg->swap_dir && !strcmp(cfg->swap_dir, "none")) {
		cfg->swap_dir = NULL;
		return 0;
	}
	if (!cfg->swap_dir) {
		/* Without a limit too: one may be set while the VM runs. */
		cfg->swap_dir = getenv("TMPDIR");
		if (!cfg->swap_dir || !*cfg->swap_dir)
			cfg->swap_dir = "/tmp";
	}
	if (!cfg->swap_bytes)
		cfg->swap_bytes = cfg->mem_bytes;
	if (stat(cfg->swap_dir, &st))
		return why_set(why, -errno, "--swap: %s", cfg->swap_dir);
	if (!S_ISDIR(st.st_mode))
		return why_set(why, 0, "--swap: %s is not a directory",
			       cfg->swap_dir);
	if (access(cfg->swap_dir, W_OK | X_OK))
		return why_set(why, -errno,
			       "--swap: cannot create a file in %s",
			       cfg->swap_dir);
	return 0;
}

static int check_share(struct config *cfg, struct why *why)
{
	struct why cause = { "" };
	const char *wrong;

	share_set(&cfg->share, &cfg->share_said, cfg->mem_bytes);
	wrong = share_check(&cfg->share, cfg->mem_bytes, &cause);
	return wrong ? why_set(why, 0, "--share: %s: %s", wrong, cause.text) :
		       0;
}

int config_check(struct config *cfg, struct why *why)
{
	uint64_t kernel = 0, initrd = 0, disk;
	unsigned int i;
	int err;

	if (!ctl_name_ok(cfg->name))
		return why_set(
			why, 0,
			"--name: \"%s\" is no name; use up to %d letters, digits, \"-\", \"_\" and \".\", a letter or digit first, and not \"%s\"",
			cfg->name, CTL_NAME_MAX, CTL_MANAGER);
	if (!cfg->kernel)
		return why_set(why, 0, "--kernel is missing; see hyp --help");
	if (cfg->mem_bytes < CONFIG_MIN_MEM || cfg->mem_bytes > CONFIG_MAX_MEM)
		return why_set(why, 0, "--mem must be from 16M to 512G");
	if (cfg->balloon_bytes >= cfg->mem_bytes)
		return why_set(
			why, 0,
			"--balloon (%lluK) must be smaller than --mem (%lluK)",
			(unsigned long long)cfg->balloon_bytes / KIB,
			(unsigned long long)cfg->mem_bytes / KIB);
	if (cfg->storm && !cfg->hints)
		return why_set(why, 0, "--storm needs hints; drop --no-hints");
	if (cfg->pressure && !cfg->hints)
		return why_set(why, 0,
			       "--pressure needs hints; drop --no-hints");
	if (cfg->record_path && !cfg->hints)
		return why_set(why, 0, "--record needs hints; drop --no-hints");
	if (cfg->record_path && cfg->cpus != 1)
		return why_set(
			why, 0,
			"--record needs --cpus 1: the order of two cannot be told");
	err = check_share(cfg, why);
	if (!err)
		err = check_file("kernel", cfg->kernel, R_OK, &kernel, why);
	if (!err && cfg->initrd)
		err = check_file("initrd", cfg->initrd, R_OK, &initrd, why);
	for (i = 0; !err && i < cfg->nr_disks; i++)
		err = check_file("disk", cfg->disks[i].path,
				 cfg->disks[i].read_only ? R_OK : R_OK | W_OK,
				 &disk, why);
	if (!err)
		err = check_limit(cfg, kernel + initrd, why);
	if (!err)
		err = check_swap(cfg, why);
	return err;
}
