// SPDX-License-Identifier: GPL-2.0-only
/* Order of set-up and teardown; the only place that prints an error and exits. */
#include <stdio.h>

#include "hyp/cli/cli.h"
#include "hyp/config.h"
#include "hyp/sandbox.h"
#include "hyp/util.h"
#include "hyp/vm/vm.h"

int main(int argc, char **argv)
{
	enum config_action action = CONFIG_RUN;
	int code = EXIT_HYP_FAILED;
	struct why why = { "" };
	struct vm *vm = NULL;
	struct config cfg;
	int err;

	if (argc > 1 && cli_is_command(argv[1]))
		return cli_main(argc - 1, argv + 1);
	err = config_parse(&cfg, argc, argv, &action, &why);
	if (err)
		goto out;
	if (action == CONFIG_HELP) {
		code = fputs(config_help(), stdout) < 0 || fflush(stdout);
		goto out;
	}
	if (action == CONFIG_VERSION) {
		code = printf("hyp %s\n", HYP_VERSION) < 0 || fflush(stdout);
		goto out;
	}
	sandbox_close_inherited();
	err = vm_create(&vm, &cfg, &why);
	if (err)
		goto out;
	code = vm_run(vm, &why);
	vm_destroy(vm);
out:
	if (why.text[0])
		log_line("%s", why.text);
	config_fini(&cfg);
	return code;
}
