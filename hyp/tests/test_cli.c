// SPDX-License-Identifier: GPL-2.0-only
/* Commands against VMs that are dead, hang, refuse or talk nonsense. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/cli/cli.h"
#include "hyp/ctl/path.h"

#define MAX_WORDS 5

struct rig {
	char base[40];
	char dir[CTL_PATH_MAX];
	int out, err; /* what a command prints goes here */
	char text[2000];
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct why why = { "" };

	strcpy(r->base, "/tmp/hyp-cli-XXXXXX");
	assert_non_null(mkdtemp(r->base));
	setenv("XDG_RUNTIME_DIR", r->base, 1);
	assert_int_equal(ctl_runtime_dir(r->dir, &why), 0);
	assert_int_equal(mkdir(r->dir, 0700), 0);
	r->out = fileno(tmpfile());
	r->err = fileno(tmpfile());
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	char command[100];

	snprintf(command, sizeof(command), "rm -r %s", r->base);
	assert_int_equal(system(command), 0);
	close(r->out);
	close(r->err);
	free(r);
	return 0;
}

static int bind_to(const struct rig *r, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct why why = { "" };

	assert_int_equal(ctl_path(addr.sun_path, r->dir, name, &why), 0);
	assert_int_equal(bind(fd, (void *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void take(struct rig *r, int fd)
{
	ssize_t n = pread(fd, r->text, sizeof(r->text) - 1, 0);

	assert_true(n >= 0);
	r->text[n] = '\0';
}

/* Splits at spaces; standard output and error are put aside meanwhile. */
static int hyp(struct rig *r, const char *line)
{
	int saved_out, saved_err, code, argc = 0;
	char *argv[MAX_WORDS + 1] = { NULL };
	char words[100];
	char *word, *rest = words;

	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	assert_true(cli_is_command(argv[0]));
	assert_int_equal(ftruncate(r->out, 0) | ftruncate(r->err, 0), 0);
	fflush(stdout);
	saved_out = dup(STDOUT_FILENO);
	saved_err = dup(STDERR_FILENO);
	lseek(r->out, 0, SEEK_SET);
	lseek(r->err, 0, SEEK_SET);
	dup2(r->out, STDOUT_FILENO);
	dup2(r->err, STDERR_FILENO);
	code = cli_main(argc, argv);
	fflush(stdout);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
	return code;
}

static void list_ends_and_tells_the_dead_from_the_hanging(void **state)
{
	static const char *const others[] = { "x.txt", ".sock", "-x.sock",
					      "hypd.sock" };
	struct rig *r = *state;
	int hung = bind_to(r, "hung");
	char path[200];
	unsigned int i;

	close(bind_to(r, "dead"));
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "%s/%s", r->dir, others[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	assert_int_equal(hyp(r, "list --json"), 0);
	take(r, r->out);
	assert_string_equal(r->text,
			    "{\"vms\":[{\"name\":\"dead\",\"state\":\"dead\"},"
			    "{\"name\":\"hung\",\"state\":\"no answer\"}]}\n");
	close(hung);
}

static void exit_codes_tell_what_is_wrong(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *text;
	} cases[] = {
		{ "stat nobody", 3, "no VM is running" },
		{ "stat dead", 3, "no VM is running" },
		{ "stat ./nobody", 3, "no VM is running" },
		{ "stat", 2, "which VM" },
		{ "stat a/../b c", 2, "\"c\"" },
		{ "stat --colour dead", 2, "--colour" },
		{ "stat --force dead", 2, "--force" },
		{ "stat -- --json", 2, "not a VM's name" },
		{ "limit dead", 2, "usage" },
		{ "limit dead 12Q", 2, "\"12Q\"" },
		{ "discard dead none", 2, "\"none\"" },
		{ "balloon dead 12Q", 2, "balloon: \"12Q\"" },
		{ "balloon dead 4M 8M", 2, "\"8M\"" },
		{ "share dead least=4M", 2, "share: \"least\"" },
		{ "share dead max=4X", 2, "share: max: \"4X\"" },
		{ "share", 2, "which VM" },
		{ "host", 3, "no hypd is running" },
		{ "host limit", 2, "usage" },
		{ "host limit 12Q", 2, "limit: \"12Q\"" },
		{ "host --colour", 2, "--colour" },
	};
	struct rig *r = *state;
	unsigned int i;

	close(bind_to(r, "dead"));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(hyp(r, cases[i].line), cases[i].code);
		take(r, r->err);
		if (!strstr(r->text, cases[i].text))
			fail_msg("%s: %s", cases[i].line, r->text);
		assert_ptr_equal(strchr(r->text, '\n'),
				 r->text + strlen(r->text) - 1);
	}
}

struct peer {
	int fd;
	const char *answer;
	char heard[200];
};

static void *answer_once(void *arg)
{
	struct peer *peer = arg;
	int fd = accept(peer->fd, NULL, NULL);
	ssize_t n = read(fd, peer->heard, sizeof(peer->heard) - 1);

	assert_true(n > 0);
	assert_int_equal(write(fd, peer->answer, strlen(peer->answer)),
			 strlen(peer->answer));
	close(fd);
	return NULL;
}

static void answers_are_understood_or_said_not_to_be(void **state)
{
	static const struct {
		const char *line, *answer;
		int code;
		const char *heard, *out, *err;
	} cases[] = {
		{ "limit vm 64M",
		  "{\"ok\":false,\"error\":{\"field\":\"limit\",\"message\":\"no\"}}\n",
		  1,
		  "{\"limit\":67108864,\"version\":1,\"command\":\"limit\"}\n",
		  "", "hyp: limit: no\n" },
		{ "limit --json vm none",
		  "{\"ok\":true,\"result\":{\"limit_bytes\":null}}\n", 0,
		  "{\"limit\":\"none\",", "{\"limit_bytes\":null}\n", "" },
		{ "share vm min=4K,weight=5",
		  "{\"ok\":true,\"result\":{\"min_bytes\":1048576,\"entitlement_bytes\":2097152,\"max_bytes\":3145728,\"weight\":5}}\n",
		  0,
		  "{\"min\":4096,\"weight\":5,\"version\":1,\"command\":\"share\"}\n",
		  "1.0 to 3.0 MiB, entitled to 2.0 MiB, weight 5\n", "" },
		{ "share vm", "{\"ok\":true,\"result\":{}}\n", 0,
		  "{\"version\":1,\"command\":\"share\"}\n",
		  "- to - MiB, entitled to - MiB, weight -\n", "" },
		{ "balloon vm 1M",
		  "{\"ok\":true,\"result\":{\"target_bytes\":1048576,\"actual_bytes\":0}}\n",
		  0,
		  "{\"target\":1048576,\"version\":1,\"command\":\"balloon\"}\n",
		  "target 1.0 MiB, actual 0.0 MiB\n", "" },
		{ "balloon --json vm", "{\"ok\":true,\"result\":{}}\n", 0,
		  "{\"version\":1,\"command\":\"balloon\"}\n", "{}\n", "" },
		{ "pause vm",
		  "{\"ok\":true,\"result\":{\"state\":\"paused\",\"paused_by\":[\"user\"]}}\n",
		  0, "\"pause\"", "paused by user\n", "" },
		{ "discard vm 8K",
		  "{\"ok\":true,\"result\":{\"frames\":2,\"bytes\":8192}}\n", 0,
		  "{\"bytes\":8192,", "2 pages (0.0 MiB) discarded\n", "" },
		{ "stop vm --force", "{\"ok\":true,\"result\":{}}\n", 0,
		  "{\"force\":true,", "", "" },
		{ "stat vm", "{\"ok\":true,\"result\":7}\n", 0, "\"stat\"",
		  "- at -, up - s, -\n", "" },
		{ "stat vm", "rubbish\n", 1, "\"stat\"", "", "not understood" },
		{ "host limit 64M",
		  "{\"ok\":true,\"result\":{\"policy\":\"share\",\"limit_bytes\":67108864,\"counted_bytes\":0}}\n",
		  0,
		  "{\"limit\":67108864,\"version\":1,\"command\":\"limit\"}\n",
		  "policy share, limit 64.0 MiB, counted 0.0 MiB\n", "" },
		{ "host policy x",
		  "{\"ok\":false,\"error\":{\"field\":\"policy\",\"message\":\"no\"}}\n",
		  1, "{\"policy\":\"x\",", "", "hyp: hypd: policy: no\n" },
		{ "host --json", "{\"ok\":true,\"result\":{\"vms\":[]}}\n", 0,
		  "\"host\"", "{\"vms\":[]}\n", "" },
		{ "host",
		  "{\"ok\":true,\"result\":{\"limit_met\":false,\"vms\":[{\"name\":\"web\",\"budget_bytes\":1048576}]}}\n",
		  0, "\"host\"",
		  "policy -, limit - MiB, counted - MiB; the limit cannot be met\nNAME",
		  "" },
		{ "stat vm", "{\"ok\":true", 1, "\"stat\"", "",
		  "ended before it answered" },
	};
	struct rig *r = *state;
	int vm = bind_to(r, "vm"), manager = bind_to(r, CTL_MANAGER);
	struct peer peer;
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(peer.heard, 0, sizeof(peer.heard));
		peer.answer = cases[i].answer;
		peer.fd = strncmp(cases[i].line, "host", 4) != 0 ? vm : manager;
		pthread_create(&thread, NULL, answer_once, &peer);
		assert_int_equal(hyp(r, cases[i].line), cases[i].code);
		pthread_join(thread, NULL);
		assert_non_null(strstr(peer.heard, cases[i].heard));
		take(r, r->out);
		assert_memory_equal(r->text, cases[i].out,
				    strlen(cases[i].out));
		take(r, r->err);
		if (!strstr(r->text, cases[i].err))
			fail_msg("%s: %s", cases[i].line, r->text);
	}
	close(vm);
	close(manager);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(list_ends_and_tells_the_dead_from_the_hanging),
		CASE(exit_codes_tell_what_is_wrong),
		CASE(answers_are_understood_or_said_not_to_be),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
