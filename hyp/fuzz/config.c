// SPDX-License-Identifier: GPL-2.0-only
/* A file for --config. */
#include "hyp/config.h"
#include "hyp/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum config_action action = CONFIG_RUN;
	struct why why = { "" };
	struct config cfg;
	char path[32];
	char *argv[] = { "hyp", "run", "--config", path, NULL };
	int fd, err;

	fd = file_of(data, len, path);
	err = config_parse(&cfg, 4, argv, &action, &why);
	must(!err == !why.text[0]);
	if (!err && action == CONFIG_RUN) {
		must(cfg.kernel && cfg.cpus && cfg.cpus <= CONFIG_MAX_CPUS);
		must(cfg.nr_disks <= CONFIG_MAX_DISKS);
		must(cfg.limit_bytes <= cfg.mem_bytes);
	}
	config_fini(&cfg);
	close(fd);
	return 0;
}
