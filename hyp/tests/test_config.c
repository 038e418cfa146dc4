// SPDX-License-Identifier: GPL-2.0-only
/* Command lines: what is accepted, and one clear line for what is not. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/config.h"

#define MAX_ARGS 24

/* Files for the options that name one: 10 MiB, 20 MiB and empty. */
struct files {
	char small[40], big[40], dir[40];
};

static void make_file(char *path, off_t size)
{
	int fd;

	strcpy(path, "/tmp/hyp-config-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static int setup(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	make_file(f->small, 10 << 20);
	make_file(f->big, 20 << 20);
	strcpy(f->dir, "/tmp/hyp-config-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct files *f = *state;

	unlink(f->small);
	unlink(f->big);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* Splits at spaces; @S @B and @D stand for the files. */
static int parse(const struct files *f, const char *line, struct config *cfg,
		 enum config_action *action, struct why *why)
{
	static char words[MAX_ARGS][100];
	char *argv[MAX_ARGS + 1] = { NULL };
	int argc = 0, at = 0, len;

	memset(why, 0, sizeof(*why));
	while (sscanf(line + at, " %99s%n", words[argc], &len) == 1) {
		char *mark = strchr(words[argc], '@');
		char rest[50];

		if (mark) {
			snprintf(rest, sizeof(rest), "%.49s", mark + 2);
			snprintf(mark, 90, "%.39s%.49s",
				 mark[1] == 'S' ? f->small :
				 mark[1] == 'B' ? f->big :
						  f->dir,
				 rest);
		}
		argv[argc] = words[argc];
		argc++;
		at += len;
		assert_true(argc < MAX_ARGS);
	}
	return config_parse(cfg, argc, argv, action, why);
}

static void sizes_take_suffixes(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(config_parse_size("4096", &n), 0);
	assert_int_equal(n, 4096);
	assert_int_equal(config_parse_size("3K", &n), 0);
	assert_int_equal(n, 3072);
	assert_int_equal(config_parse_size("96M", &n), 0);
	assert_int_equal(n, 96 * MIB);
	assert_int_equal(config_parse_size("2g", &n), 0);
	assert_int_equal(n, 2 * GIB);
}

static void non_sizes_are_refused(void **state)
{
	static const char *const bad[] = { "",	  "M",	  "-1",	  "+1", " 1",
					   "1MB", "1.5M", "0x10", "1T", "M1" };
	unsigned int i;
	uint64_t n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_parse_size(bad[i], &n), -EINVAL);
	assert_int_equal(config_parse_size("99999999999999999999", &n),
			 -ERANGE);
	assert_int_equal(config_parse_size("18446744073709551615G", &n),
			 -ERANGE);
}

static void a_full_command_line_is_understood(void **state)
{
	enum config_action action;
	struct config cfg;
	struct why why;

	assert_int_equal(
		parse(*state,
		      "hyp run --kernel @S --initrd @S --mem 1G --cpus 4 --limit 96M --disk @B,ro,serial=abc --channel a.b=/x=y --channel c=z",
		      &cfg, &action, &why),
		0);
	assert_int_equal(action, CONFIG_RUN);
	assert_int_equal(cfg.mem_bytes, GIB);
	assert_int_equal(cfg.limit_bytes, 96 * MIB);
	assert_int_equal(cfg.cpus, 4);
	assert_int_equal(cfg.nr_disks, 1);
	assert_true(cfg.disks[0].read_only);
	assert_string_equal(cfg.disks[0].serial, "abc");
	assert_string_equal(cfg.disks[0].path, ((struct files *)*state)->big);
	assert_int_equal(cfg.nr_channels, 2);
	assert_string_equal(cfg.channels[0].name, "a.b");
	assert_string_equal(cfg.channels[0].path, "/x=y");
	assert_string_equal(cfg.channels[1].name, "c");
	assert_true(cfg.hints);
	assert_true(cfg.sandbox);
	assert_int_equal(cfg.swap_bytes, GIB);
	config_fini(&cfg);
}

static void help_wins_over_errors_behind_it(void **state)
{
	enum config_action action;
	struct config cfg;
	struct why why;

	assert_int_equal(parse(*state, "hyp run --help --nonsense", &cfg,
			       &action, &why),
			 0);
	assert_int_equal(action, CONFIG_HELP);
	assert_non_null(strstr(config_help(), "--limit"));
	config_fini(&cfg);
}

static void bad_lines_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *line, *reason;
	} cases[] = {
		{ "hyp", "no command" },
		{ "hyp --kernel @S", "hyp run --kernel" },
		{ "hyp run --kernel @S --name -x", "--name" },
		{ "hyp run --kernel @S --name a/b", "--name" },
		{ "hyp walk", "unknown command \"walk\"" },
		{ "hyp run", "--kernel is missing" },
		{ "hyp run --kernel", "--kernel needs a value" },
		{ "hyp run --kernel @S --frobnicate", "\"--frobnicate\"" },
		{ "hyp run --kernel @S surplus", "\"surplus\"" },
		{ "hyp run --kernel /nonexistent/k", "cannot open kernel" },
		{ "hyp run --kernel @D", "is not a file" },
		{ "hyp run --kernel @S --initrd /nonexistent/i",
		  "cannot open initrd" },
		{ "hyp run --kernel @S --disk /nonexistent/d",
		  "cannot open disk" },
		{ "hyp run --kernel @S --disk @S,rw", "unknown option \"rw\"" },
		{ "hyp run --kernel @S --disk @S,serial=123456789012345678901",
		  "longer than 20" },
		{ "hyp run --kernel @S --channel /run/x", "not NAME=PATH" },
		{ "hyp run --kernel @S --channel x=", "not NAME=PATH" },
		{ "hyp run --kernel @S --channel ../x=/y",
		  "\"../x\" is no name" },
		{ "hyp run --kernel @S --channel x=/y --channel x=/z",
		  "two named \"x\"" },
		{ "hyp run --kernel @S --mem 64M --balloon 64M",
		  "must be smaller than --mem" },
		{ "hyp run --kernel @S --mem lots", "is not a size" },
		{ "hyp run --kernel @S --mem 4097", "multiple of 4K" },
		{ "hyp run --kernel @S --mem 8M", "--mem must be" },
		{ "hyp run --kernel @S --mem 1024G", "--mem must be" },
		{ "hyp run --kernel @S --cpus 0", "--cpus" },
		{ "hyp run --kernel @S --cpus 65", "--cpus" },
		{ "hyp run --kernel @S --cpus 1K", "--cpus" },
		{ "hyp run --kernel @S --limit 0", "too small" },
		{ "hyp run --kernel @S --limit 512M", "larger than --mem" },
		{ "hyp run --kernel @S --limit 15M", "at least 18432K" },
		{ "hyp run --kernel @S --initrd @B --limit 37M",
		  "at least 38912K" },
		{ "hyp run --kernel @S --limit 64M --swap /nonexistent",
		  "--swap" },
		{ "hyp run --kernel @S --limit 64M --swap @S",
		  "is not a directory" },
		{ "hyp run --kernel @S --storm --no-hints", "--storm" },
		{ "hyp run --kernel @S --pressure --no-hints", "--pressure" },
		{ "hyp run --kernel @S --record x --no-hints", "--record" },
		{ "hyp run --kernel @S --record x --cpus 2", "--cpus 1" },
		{ "hyp run --kernel @S --timeout soon", "--timeout" },
		{ "hyp run --kernel @S --stats-ms 0", "--stats-ms" },
		{ "hyp run --kernel @S --share most=1M", "--share: \"most\"" },
		{ "hyp run --kernel @S --share min=20M,,max=1M", "\"\"" },
		{ "hyp run --kernel @S --share min",
		  "min: \"\" is not a size" },
		{ "hyp run --kernel @S --share min=1M=2", "\"1M=2\"" },
		{ "hyp run --kernel @S --share min=99999999999999999999999999999999",
		  "min: \"9999" },
		{ "hyp run --kernel @S --share min=5K", "multiple of 4K" },
		{ "hyp run --kernel @S --share max=257M",
		  "max: 263168K is more than the VM's memory, 262144K" },
		{ "hyp run --kernel @S --share max=64M,entitlement=65M",
		  "entitlement: " },
		{ "hyp run --kernel @S --share min=64M,entitlement=63M",
		  "min: " },
		{ "hyp run --kernel @S --share max=8M", "lowest limit" },
		{ "hyp run --kernel @S --share weight=0", "1 to 10000" },
		{ "hyp run --kernel @S --share weight=10001", "1 to 10000" },
		{ "hyp run --kernel @S --share weight=1K", "not a number" },
	};
	enum config_action action;
	struct config cfg;
	struct why why;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(parse(*state, cases[i].line, &cfg, &action, &why) <
			    0);
		if (!strstr(why.text, cases[i].reason) ||
		    strchr(why.text, '\n'))
			fail_msg("\"%s\" says \"%s\"", cases[i].line, why.text);
		config_fini(&cfg);
	}
}

static void a_share_follows_from_what_is_said_of_it(void **state)
{
	static const struct {
		const char *said;
		struct share share;
	} cases[] = {
		{ "", { 16 * MIB, 256 * MIB, 256 * MIB, 100 } },
		{ "--share max=64M", { 16 * MIB, 64 * MIB, 64 * MIB, 100 } },
		{ "--share entitlement=8M,weight=7",
		  { 8 * MIB, 8 * MIB, 256 * MIB, 7 } },
		{ "--share min=64M,entitlement=128M,max=200M,weight=10000",
		  { 64 * MIB, 128 * MIB, 200 * MIB, 10000 } },
		/* The last says it all. */
		{ "--share min=64M --share weight=3",
		  { 16 * MIB, 256 * MIB, 256 * MIB, 3 } },
	};
	enum config_action action;
	struct config cfg;
	struct why why;
	char line[200];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(line, sizeof(line), "hyp run --kernel @S %s",
			 cases[i].said);
		assert_int_equal(parse(*state, line, &cfg, &action, &why), 0);
		assert_memory_equal(&cfg.share, &cases[i].share,
				    sizeof(cfg.share));
		config_fini(&cfg);
	}
}

static void the_smallest_limit_is_accepted(void **state)
{
	enum config_action action;
	struct config cfg;
	struct why why;

	assert_int_equal(parse(*state,
			       "hyp run --kernel @S --initrd @B --limit 38M",
			       &cfg, &action, &why),
			 0);
	config_fini(&cfg);
}

/* A file with that text, as the big one. */
static int parse_file(struct files *f, const char *text, const char *options,
		      struct config *cfg, struct why *why)
{
	enum config_action action;
	FILE *file = fopen(f->big, "w");
	char line[200];

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	snprintf(line, sizeof(line), "hyp run --kernel @S %s --config @B",
		 options);
	return parse(f, line, cfg, &action, why);
}

static void a_file_has_options_and_the_command_line_wins(void **state)
{
	struct config cfg;
	struct why why;

	assert_int_equal(
		parse_file(
			*state,
			"# comment\n\n  mem 96M\ncpus=2\r\nname\t=  web\n"
			"cmdline a=b # c\nstorm\nkernel /nonexistent\nlimit 64M",
			"--cpus 3 --limit 32M", &cfg, &why),
		0);
	assert_int_equal(cfg.mem_bytes, 96 * MIB);
	assert_int_equal(cfg.cpus, 3);
	assert_int_equal(cfg.limit_bytes, 32 * MIB);
	assert_string_equal(cfg.name, "web");
	assert_string_equal(cfg.cmdline, "a=b # c");
	assert_true(cfg.storm);
	config_fini(&cfg);
	/* Lists of the file, or those of the command line. */
	assert_int_equal(parse_file(*state,
				    "disk /nonexistent\ndisk /no\n"
				    "channel a=/x\nchannel = b=/y\n",
				    "--disk @S --channel a=/z", &cfg, &why),
			 0);
	assert_int_equal(cfg.nr_disks, 1);
	assert_int_equal(cfg.nr_channels, 1);
	assert_string_equal(cfg.channels[0].path, "/z");
	config_fini(&cfg);
}

static void errors_in_a_file_name_its_line(void **state)
{
	static const struct {
		const char *text, *where, *what;
	} cases[] = {
		{ "mem 96M\ncolour red\n", ":2: ", "\"colour\"" },
		{ "\nmem 96\n", ":2: ", "96 is not a multiple" },
		{ "mem\n", ":1: ", "needs a value" },
		{ "storm yes\n", ":1: ", "no value" },
		{ "config /x\n", ":1: ", "unknown key" },
		{ "help\n", ":1: ", "unknown key" },
		{ "= 3\n", ":1: ", "unknown key" },
	};
	struct config cfg;
	unsigned int i;
	struct why why;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(parse_file(*state, cases[i].text, "", &cfg, &why) <
			    0);
		assert_non_null(strstr(why.text, cases[i].where));
		assert_non_null(strstr(why.text, cases[i].what));
		config_fini(&cfg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_take_suffixes),
		cmocka_unit_test(non_sizes_are_refused),
		cmocka_unit_test(a_full_command_line_is_understood),
		cmocka_unit_test(help_wins_over_errors_behind_it),
		cmocka_unit_test(bad_lines_are_refused_with_a_reason),
		cmocka_unit_test(a_share_follows_from_what_is_said_of_it),
		cmocka_unit_test(the_smallest_limit_is_accepted),
		cmocka_unit_test(a_file_has_options_and_the_command_line_wins),
		cmocka_unit_test(errors_in_a_file_name_its_line),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, setup, teardown);
}
