/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hypd as a process in a runtime directory of its own, with VMs that are none
 * (fake.h), and what one asks it.
 */
#ifndef HYP_HYPD_TESTS_RIG_H
#define HYP_HYPD_TESTS_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "hyp/hypd/tests/fake.h"

#define PATIENCE_MS 60000

struct rig {
	char base[40], dir[60], log[60], conf[60], program[300];
	pid_t hypd;
	pid_t vms[FAKE_MAX];
	int pokes[FAKE_MAX];
	unsigned int nr;
};

static struct rig *rig;

static int setup(void **state)
{
	ssize_t n;

	rig = calloc(1, sizeof(*rig));
	strcpy(rig->base, "/tmp/hypd-XXXXXX");
	assert_non_null(mkdtemp(rig->base));
	snprintf(rig->dir, sizeof(rig->dir), "%s/hyp", rig->base);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->base);
	snprintf(rig->conf, sizeof(rig->conf), "%s/conf", rig->base);
	assert_int_equal(mkdir(rig->dir, 0700), 0);
	setenv("XDG_RUNTIME_DIR", rig->base, 1);
	/* build/hyp/hypd/tests/test_hypd tests build/hyp/hypd/hypd */
	n = readlink("/proc/self/exe", rig->program, sizeof(rig->program) - 1);
	assert_true(n > 0);
	*strrchr(rig->program, '/') = '\0';
	strcpy(strrchr(rig->program, '/'), "/hypd");
	fakes_create();
	*state = rig;
	return 0;
}

static void end_hypd(int sig)
{
	int status;

	if (!rig->hypd)
		return;
	kill(rig->hypd, sig);
	assert_int_equal(waitpid(rig->hypd, &status, 0), rig->hypd);
	rig->hypd = 0;
	if (sig == SIGTERM)
		assert_int_equal(status, 0);
}

static void end_vms(unsigned int i)
{
	if (!rig->vms[i])
		return;
	kill(rig->vms[i], SIGKILL);
	waitpid(rig->vms[i], NULL, 0);
	rig->vms[i] = 0;
	close(rig->pokes[i]);
}

static void cat_log(void)
{
	char line[1300];
	FILE *file = fopen(rig->log, "r");

	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "# %s", line);
	if (file)
		fclose(file);
}

static int teardown(void **state)
{
	char command[100];
	unsigned int i;

	(void)state;
	end_hypd(SIGKILL);
	for (i = 0; i < rig->nr; i++)
		end_vms(i);
	snprintf(command, sizeof(command), "rm -r %s", rig->base);
	assert_int_equal(system(command), 0);
	munmap(fakes, sizeof(*fakes));
	free(rig);
	return 0;
}

/* One process with the fakes from @first on. Return: its number. */
static unsigned int start_vms(unsigned int first, unsigned int nr)
{
	unsigned int i = rig->nr++;

	rig->pokes[i] = fake_start(first, nr, &rig->vms[i]);
	return i;
}

static struct fake *start_vm(const char *name, uint64_t mem, uint64_t limit,
			     uint64_t charged)
{
	struct fake *f = fake_add(rig->dir, name, mem, limit, charged);

	start_vms(fakes->nr - 1, 1);
	return f;
}

static void spawn_hypd(const char *const *args)
{
	const char *argv[12] = { rig->program };
	unsigned int i;
	int log_fd;

	for (i = 0; args[i]; i++)
		argv[i + 1] = args[i];
		/* The sanitizers want more than the filter lets through. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	if (i)
		argv[i + 1] = "--no-sandbox";
#endif
	rig->hypd = fork();
	if (rig->hypd)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_fd = open(rig->log, O_CREAT | O_WRONLY | O_APPEND, 0600);
	dup2(log_fd, STDERR_FILENO);
	execv(rig->program, (char *const *)argv);
	_exit(127);
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/hypd.sock",
		 rig->dir);
	if (!connect(fd, (void *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static uint64_t patience;

static void be_patient(void)
{
	patience = now_ms() + PATIENCE_MS;
}

static void again(const char *what)
{
	if (now_ms() < patience)
		return;
	cat_log();
	fail_msg("in vain: %s", what);
}

#define UNTIL(condition)                                                       \
	do {                                                                   \
		be_patient();                                                  \
		while (!(condition))                                           \
			again(#condition);                                     \
	} while (0)

static bool is_up(void)
{
	int fd = dial();

	if (fd >= 0)
		close(fd);
	else
		assert_int_equal(waitpid(rig->hypd, NULL, WNOHANG), 0);
	return fd >= 0;
}

static void start_hypd_with(const char *a, const char *b, const char *c,
			    const char *d)
{
	const char *const args[] = { a, b, c, d, NULL };

	spawn_hypd(args);
	UNTIL(is_up());
}

static void start_hypd(const char *limit)
{
	start_hypd_with("--limit", limit, NULL, NULL);
}

/* Beside the one that runs. */
static void spawn_second_hypd(void)
{
	const char *const args[] = { "--limit", "64M", NULL };
	pid_t first = rig->hypd;
	int status;

	spawn_hypd(args);
	assert_int_equal(waitpid(rig->hypd, &status, 0), rig->hypd);
	rig->hypd = first;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status));
}

static cJSON *ask(const char *request)
{
	static char buf[1 << 20];
	size_t len = 0;
	int fd = dial();
	ssize_t n;
	cJSON *json;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL),
			 strlen(request));
	while (!len || buf[len - 1] != '\n') {
		n = read(fd, buf + len, sizeof(buf) - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	close(fd);
	json = cJSON_ParseWithLength(buf, len);
	assert_non_null(json);
	return json;
}

#define REQUEST(fields) "{\"version\":1,\"id\":1,\"command\":" fields "}\n"

static cJSON *ask_host(void)
{
	return ask(REQUEST("\"host\""));
}

static const cJSON *result(const cJSON *answer, const char *field)
{
	return cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(answer, "result"), field);
}

static const cJSON *vm_of(const cJSON *answer, const char *name)
{
	const cJSON *vm;

	cJSON_ArrayForEach(vm, result(answer, "vms"))
	{
		if (!strcmp(cJSON_GetObjectItem(vm, "name")->valuestring, name))
			return vm;
	}
	return NULL;
}

/* A number, -1: there is none, or no such VM. */
static double figure(const char *name, const char *field)
{
	cJSON *answer = ask_host();
	const cJSON *item = name ? cJSON_GetObjectItemCaseSensitive(
					   vm_of(answer, name), field) :
				   result(answer, field);
	double n = cJSON_IsNumber(item) ? item->valuedouble : -1;

	cJSON_Delete(answer);
	return n;
}

static bool state_is(const char *name, const char *state)
{
	cJSON *answer = ask_host();
	const char *text = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(vm_of(answer, name), "state"));
	bool is = text ? state && !strcmp(text, state) : !state;

	cJSON_Delete(answer);
	return is;
}

static int nr_vms(const char *state)
{
	cJSON *answer = ask_host();
	const cJSON *vm;
	int nr = 0;

	cJSON_ArrayForEach(vm, result(answer, "vms"))
	{
		nr += !strcmp(cJSON_GetObjectItem(vm, "state")->valuestring,
			      state);
	}
	cJSON_Delete(answer);
	return nr;
}

/* Are there @nr that the policy has seen, so that it sees what they do from now on? */
static bool are_governed(int nr)
{
	cJSON *answer = ask_host();
	const cJSON *vm;

	cJSON_ArrayForEach(vm, result(answer, "vms"))
	{
		nr -= cJSON_GetObjectItem(vm, "budget_bytes")->valuedouble > 0;
	}
	cJSON_Delete(answer);
	return !nr;
}

static bool log_has(const char *text)
{
	char line[1300];
	FILE *file = fopen(rig->log, "r");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, text);
	if (file)
		fclose(file);
	return found;
}

/* Where the timer of hypd stands: is it armed? */
static bool is_timer_off(void)
{
	char path[100], line[200];
	bool off = false, timer = false;
	struct dirent *entry;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)rig->hypd);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.20s",
			 (int)rig->hypd, entry->d_name);
		file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file)) {
			timer |= !strncmp(line, "clockid:", 8);
			off |= !strcmp(line, "it_value: (0, 0)\n");
		}
		if (file)
			fclose(file);
	}
	closedir(dir);
	assert_true(timer);
	return off;
}

/* It suffers, and says so. */
static void strain(struct fake *f, unsigned int process)
{
	f->faults += 1000;
	fake_poke(rig->pokes[process]);
}

#endif /* HYP_HYPD_TESTS_RIG_H */
