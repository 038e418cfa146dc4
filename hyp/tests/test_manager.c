// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a memory manager sees of a VM and says to it, over a real control socket:
 * watch, share, balloon.  The VM has memory and a control socket, and no vCPU; the
 * test is its guest and its managers.
 */
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <essa/abi.h>

#include "hyp/ctl/server.h"
#include "hyp/vm/control.h"
#include "hyp/vm/priv.h"
#include "hyp/vm/watch.h"

#define MEM	    (64 * MIB)
#define BAND	    256u /* frames: 1/64 of it */
#define PATIENCE_MS 60000
/* In which an idle VM must not say anything. */
#define IDLE_MS	       100
#define LINE_MAX_BYTES 4096

struct rig {
	struct vm vm;
	struct config cfg;
	char dir[40], path[60];
	pthread_t thread;
};

static struct rig *rig;

static void *serve(void *arg)
{
	assert_int_equal(loop_run(arg), 0);
	return NULL;
}

static void create_mem(void)
{
	struct mem_config mc = {
		.size_bytes = MEM,
		.swap_dir = rig->cfg.swap_dir,
		.swap_bytes = MEM,
		.hinting = true,
		.news = vm_news,
		.ctx = &rig->vm,
	};
	const char *why = NULL;

	assert_int_equal(mem_create(&rig->vm.mem, &mc, &why), 0);
	assert_int_equal(mem_start(rig->vm.mem), 0);
}

static void no_irq(void *ctx, unsigned int irq, bool level)
{
	(void)ctx;
	(void)irq;
	(void)level;
}

static void create_balloon(void)
{
	const struct virtio_irq irq = { no_irq, NULL, 0 };

	assert_int_equal(
		balloon_create(&rig->vm.balloon, rig->vm.mem, MEM, &irq), 0);
	balloon_on_change(rig->vm.balloon, vm_news, &rig->vm);
	assert_int_equal(balloon_start(rig->vm.balloon), 0);
}

static int setup_with(void **state, bool swap, bool balloon)
{
	struct why why = { "" };

	rig = calloc(1, sizeof(*rig));
	strcpy(rig->dir, "/tmp/hyp-manager-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->path, sizeof(rig->path), "%s/vm.sock", rig->dir);
	rig->cfg = (struct config){
		.name = "vm",
		.serve = true,
		.control = rig->path,
		.mem_bytes = MEM,
		.swap_dir = swap ? rig->dir : NULL,
		.hints = true,
	};
	share_set(&rig->cfg.share, &rig->cfg.share_said, MEM);
	rig->vm.cfg = &rig->cfg;
	rig->vm.share = rig->cfg.share;
	rig->vm.start_ms = now_ms();
	assert_int_equal(loop_create(&rig->vm.loop), 0);
	vm_pause_init(&rig->vm);
	assert_int_equal(vm_pause_open(&rig->vm, &why), 0);
	assert_int_equal(vm_open_control(&rig->vm, &why), 0);
	create_mem();
	if (balloon)
		create_balloon();
	assert_int_equal(vm_serve_control(&rig->vm, &why), 0);
	assert_int_equal(
		pthread_create(&rig->thread, NULL, serve, rig->vm.loop), 0);
	*state = rig;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, true, true);
}

static int setup_bare(void **state)
{
	return setup_with(state, false, false);
}

static int teardown(void **state)
{
	(void)state;
	loop_quit(rig->vm.loop);
	pthread_join(rig->thread, NULL);
	if (rig->vm.balloon)
		assert_int_equal(balloon_stop(rig->vm.balloon, PATIENCE_MS), 0);
	balloon_destroy(rig->vm.balloon);
	mem_stop(rig->vm.mem);
	mem_destroy(rig->vm.mem);
	vm_close_control(&rig->vm);
	vm_pause_fini(&rig->vm);
	loop_destroy(rig->vm.loop);
	assert_int_equal(rmdir(rig->dir), 0);
	free(rig);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->path);
	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

static bool has_heard(int fd, int ms)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };

	return poll(&in, 1, ms);
}

/* A line as an object, to be deleted. */
static cJSON *hear(int fd)
{
	char line[LINE_MAX_BYTES];
	size_t len = 0;
	cJSON *out;

	do {
		assert_true(len < sizeof(line));
		assert_true(has_heard(fd, PATIENCE_MS));
		assert_int_equal(read(fd, line + len, 1), 1);
	} while (line[len++] != '\n');
	out = cJSON_ParseWithLength(line, len);
	assert_non_null(out);
	return out;
}

static void say(int fd, const char *fields)
{
	char line[300];
	int len = snprintf(line, sizeof(line), "{\"version\":1,\"id\":7,%s}\n",
			   fields);

	assert_int_equal(send(fd, line, (size_t)len, MSG_NOSIGNAL), len);
}

/* @path: names with dots.  Return: NULL if there is no such thing. */
static const cJSON *at(const cJSON *object, const char *path)
{
	char names[100];
	char *name, *rest = names;

	snprintf(names, sizeof(names), "%s", path);
	while (object && (name = strsep(&rest, ".")))
		object = cJSON_GetObjectItemCaseSensitive(object, name);
	return object;
}

static uint64_t number(const cJSON *object, const char *path)
{
	const cJSON *item = at(object, path);

	if (!cJSON_IsNumber(item))
		fail_msg("no number %s", path);
	return (uint64_t)item->valuedouble;
}

/* The answer, which has no event before it. */
static cJSON *ask(int fd, const char *fields)
{
	cJSON *answer;

	say(fd, fields);
	answer = hear(fd);
	assert_int_equal(number(answer, "id"), 7);
	return answer;
}

static void ask_ok(int fd, const char *fields)
{
	cJSON *answer = ask(fd, fields);

	assert_true(cJSON_IsTrue(at(answer, "ok")));
	cJSON_Delete(answer);
}

static void assert_refused(int fd, const char *fields, const char *field,
			   const char *part)
{
	cJSON *answer = ask(fd, fields);

	assert_true(cJSON_IsFalse(at(answer, "ok")));
	assert_string_equal(cJSON_GetStringValue(at(answer, "error.field")),
			    field);
	assert_non_null(strstr(
		cJSON_GetStringValue(at(answer, "error.message")), part));
	cJSON_Delete(answer);
}

static int watch(unsigned int interval_ms)
{
	char fields[80];
	int fd = dial();

	snprintf(fields, sizeof(fields),
		 "\"command\":\"watch\",\"interval_ms\":%u", interval_ms);
	ask_ok(fd, fields);
	return fd;
}

/* The sample of the next event, to be deleted. */
static cJSON *next_event(int fd)
{
	cJSON *line = hear(fd), *sample;

	assert_null(at(line, "id"));
	assert_int_equal(number(line, "version"), CTL_VERSION);
	assert_string_equal(cJSON_GetStringValue(at(line, "event")), "sample");
	sample = cJSON_DetachItemFromObject(line, "sample");
	assert_non_null(sample);
	cJSON_Delete(line);
	return sample;
}

/* Events, at most @max, until one says that @path is @value. */
static void await_soon(int fd, const char *path, uint64_t value,
		       unsigned int max)
{
	uint64_t found;
	cJSON *sample;

	do {
		assert_true(max--);
		sample = next_event(fd);
		found = number(sample, path);
		cJSON_Delete(sample);
	} while (found != value);
}

static void await(int fd, const char *path, uint64_t value)
{
	await_soon(fd, path, value, UINT_MAX);
}

/* Timers of this process that will expire: there are none but the watchers'. */
static unsigned int armed_timers(void)
{
	char path[300], line[100];
	unsigned int nr = 0;
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/fdinfo");

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%s",
			 entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			nr += !strncmp(line, "it_value:", 9) &&
			      !strstr(line, "(0, 0)");
		if (file)
			fclose(file);
	}
	closedir(dir);
	return nr;
}

static void assert_idle(int fd)
{
	assert_false(has_heard(fd, IDLE_MS));
	assert_int_equal(armed_timers(), 0);
}

static void touch(uint64_t first, uint64_t nr)
{
	const char one = 1;
	uint64_t i;

	for (i = first; i < first + nr; i++)
		assert_int_equal(
			mem_write(rig->vm.mem, i * MEM_PAGE_SIZE, &one, 1), 0);
}

static void page_out(uint64_t gfn)
{
	assert_int_equal(mem_hypercall(rig->vm.mem, ESSA_CMD_TEST_PAGE_OUT, gfn,
				       1, true),
			 0);
}

static void a_watch_is_answered_with_a_sample(void **state)
{
	static const char *const numbers[] = {
		"timestamp_ms",
		"uptime_ms",
		"pid",
		"mem_bytes",
		"preserved_bytes",
		"charged_bytes",
		"share.entitlement_bytes",
		"share.max_bytes",
		"share.weight",
		"balloon.target_bytes",
		"balloon.actual_bytes",
		"counters.fault_preserved",
		"counters.fault_discard",
		"counters.fault_zero",
		"counters.swapped_out",
		"counters.swapped_in",
		"counters.discarded",
	};
	int fd = dial();
	cJSON *answer;
	const cJSON *sample;
	unsigned int i;

	(void)state;
	touch(0, 3);
	answer = ask(fd, "\"command\":\"watch\"");
	sample = at(answer, "result");
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		number(sample, numbers[i]);
	assert_string_equal(cJSON_GetStringValue(at(sample, "name")), "vm");
	assert_string_equal(cJSON_GetStringValue(at(sample, "state")),
			    "running");
	assert_true(cJSON_IsArray(at(sample, "paused_by")));
	assert_true(cJSON_IsNull(at(sample, "limit_bytes")));
	assert_true(cJSON_IsTrue(at(sample, "hints")));
	assert_int_equal(number(sample, "resident_bytes"), 3 * MEM_PAGE_SIZE);
	assert_int_equal(number(sample, "lowest_limit_bytes"),
			 CONFIG_LIMIT_FLOOR);
	assert_int_equal(number(sample, "share.min_bytes"), CONFIG_LIMIT_FLOOR);
	cJSON_Delete(answer);
	assert_idle(fd);
	close(fd);
}

/* Nothing else tells of it: no swap, no hints, and less than the band. */
static void that_a_lowered_limit_is_reached_is_an_event(void **state)
{
	const uint64_t limit = CONFIG_LIMIT_FLOOR / MEM_PAGE_SIZE;
	int watcher = watch(20), fd = dial();
	cJSON *sample;

	(void)state;
	touch(0, limit + BAND / 2);
	assert_int_equal(mem_set_limit(rig->vm.mem, CONFIG_LIMIT_FLOOR), 0);
	ask_ok(fd, "\"command\":\"share\",\"weight\":2");
	do {
		await(watcher, "share.weight", 2);
	} while (has_heard(watcher, IDLE_MS));
	assert_int_equal(mem_give_up(rig->vm.mem, 0, BAND / 2 - 1), 0);
	assert_idle(watcher);
	assert_int_equal(mem_give_up(rig->vm.mem, limit, 1), 0);
	sample = next_event(watcher);
	assert_int_equal(number(sample, "charged_bytes"), CONFIG_LIMIT_FLOOR);
	assert_int_equal(number(sample, "limit_bytes"), CONFIG_LIMIT_FLOOR);
	cJSON_Delete(sample);
	assert_idle(watcher);
	close(watcher);
	close(fd);
}

static void bad_fields_are_named(void **state)
{
	static const struct {
		const char *fields, *field, *part;
	} cases[] = {
		{ "\"command\":\"watch\",\"interval_ms\":19", "interval_ms",
		  "20 to 60000" },
		{ "\"command\":\"watch\",\"interval_ms\":60001", "interval_ms",
		  "20 to 60000" },
		{ "\"command\":\"watch\",\"interval_ms\":\"fast\"",
		  "interval_ms", "whole number" },
		{ "\"command\":\"watch\",\"interval\":20", "interval",
		  "no such field" },
		{ "\"command\":\"share\",\"min\":4097", "min", "multiple" },
		{ "\"command\":\"share\",\"min\":-1", "min", "whole number" },
		{ "\"command\":\"share\",\"max\":67112960", "max", "memory" },
		{ "\"command\":\"share\",\"max\":33554432", "entitlement",
		  "max" },
		{ "\"command\":\"share\",\"min\":0,\"entitlement\":0,\"max\":4096",
		  "max", "lowest limit" },
		{ "\"command\":\"share\",\"entitlement\":8388608", "min",
		  "entitlement" },
		{ "\"command\":\"share\",\"weight\":0", "weight",
		  "1 to 10000" },
		{ "\"command\":\"share\",\"weight\":10001", "weight",
		  "1 to 10000" },
		{ "\"command\":\"share\",\"weight\":\"5\"", "weight",
		  "whole number" },
		{ "\"command\":\"balloon\",\"target\":5", "target",
		  "multiple" },
		{ "\"command\":\"balloon\",\"target\":67108864", "target",
		  "below" },
		{ "\"command\":\"balloon\",\"target\":null", "target",
		  "whole number" },
		{ "\"command\":\"balloon\",\"size\":4096", "size",
		  "no such field" },
	};
	struct balloon_state balloon;
	int fd = dial();
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(fd, cases[i].fields, cases[i].field,
			       cases[i].part);
	balloon_get(rig->vm.balloon, &balloon);
	assert_int_equal(balloon.target_bytes, 0);
	assert_memory_equal(&rig->vm.share, &rig->cfg.share,
			    sizeof(rig->vm.share));
	close(fd);
}

static void each_kind_of_change_is_an_event_and_then_it_is_quiet(void **state)
{
	int watcher = watch(20), fd = dial();
	cJSON *sample;

	(void)state;
	ask_ok(fd, "\"command\":\"limit\",\"limit\":33554432");
	await(watcher, "limit_bytes", 32 * MIB);
	ask_ok(fd, "\"command\":\"limit\",\"limit\":\"none\"");
	sample = next_event(watcher);
	assert_true(cJSON_IsNull(at(sample, "limit_bytes")));
	cJSON_Delete(sample);
	ask_ok(fd, "\"command\":\"share\",\"weight\":200");
	await(watcher, "share.weight", 200);
	ask_ok(fd, "\"command\":\"balloon\",\"target\":8192");
	await(watcher, "balloon.target_bytes", 8192);
	ask_ok(fd, "\"command\":\"pause\"");
	do {
		sample = next_event(watcher);
		if (!strcmp(cJSON_GetStringValue(at(sample, "state")),
			    "paused"))
			break;
		cJSON_Delete(sample);
	} while (true);
	assert_int_equal(cJSON_GetArraySize(at(sample, "paused_by")), 1);
	cJSON_Delete(sample);
	ask_ok(fd, "\"command\":\"resume\"");
	sample = next_event(watcher);
	assert_string_equal(cJSON_GetStringValue(at(sample, "state")),
			    "running");
	cJSON_Delete(sample);
	touch(0, 1);
	page_out(0);
	await(watcher, "counters.swapped_out", 1);
	/* An answer is no event, nor is a change that changes nothing. */
	ask_ok(fd, "\"command\":\"share\",\"weight\":200");
	ask_ok(watcher, "\"command\":\"info\"");
	assert_idle(watcher);
	assert_false(has_heard(fd, 0));
	close(fd);
	close(watcher);
}

static void resident_memory_is_an_event_when_it_leaves_its_band(void **state)
{
	int watcher = watch(20);
	cJSON *sample;

	(void)state;
	touch(0, BAND - 1);
	assert_idle(watcher);
	touch(BAND - 1, 1);
	sample = next_event(watcher);
	assert_int_equal(number(sample, "resident_bytes"),
			 BAND * MEM_PAGE_SIZE);
	cJSON_Delete(sample);
	assert_idle(watcher);
	assert_int_equal(mem_give_up(rig->vm.mem, 1, BAND - 1), 0);
	assert_idle(watcher);
	assert_int_equal(mem_give_up(rig->vm.mem, 0, 1), 0);
	sample = next_event(watcher);
	assert_int_equal(number(sample, "resident_bytes"), 0);
	cJSON_Delete(sample);
	close(watcher);
}

static void a_lowered_limit_ends_with_an_event_that_it_is_reached(void **state)
{
	int watcher = watch(20), fd = dial();
	uint64_t charged;
	cJSON *sample;

	(void)state;
	touch(0, MEM / MEM_PAGE_SIZE);
	ask_ok(fd, "\"command\":\"limit\",\"limit\":16777216");
	do {
		sample = next_event(watcher);
		charged = number(sample, "charged_bytes");
		cJSON_Delete(sample);
	} while (charged > 16 * MIB);
	close(fd);
	close(watcher);
}

static void events_keep_their_interval_and_the_last_change_is_told(void **state)
{
	int watcher = watch(50), fd = dial();
	uint64_t weight = 0, before = 0, ms;
	unsigned int i, nr = 0;
	char fields[80];
	cJSON *sample;

	(void)state;
	for (i = 1; i <= 500; i++) {
		snprintf(fields, sizeof(fields),
			 "\"command\":\"share\",\"weight\":%u", i);
		ask_ok(fd, fields);
		while (has_heard(watcher, 0) || (i == 500 && weight != 500)) {
			sample = next_event(watcher);
			weight = number(sample, "share.weight");
			ms = number(sample, "uptime_ms");
			assert_true(!nr++ || ms - before >= 50);
			before = ms;
			cJSON_Delete(sample);
		}
	}
	assert_idle(watcher);
	/* Another interval for the same connection. */
	ask_ok(watcher, "\"command\":\"watch\",\"interval_ms\":60000");
	ask_ok(fd, "\"command\":\"share\",\"weight\":1");
	assert_false(has_heard(watcher, IDLE_MS));
	assert_int_equal(armed_timers(), 1);
	close(fd);
	close(watcher);
}

/* One that takes its events sets the pace for one that does not. */
static void who_is_slow_gets_the_newest(void **state)
{
	int slow = watch(20), quick = watch(20), fd = dial();
	char fields[80];
	unsigned int i;

	(void)state;
	for (i = 1; i <= 20; i++) {
		snprintf(fields, sizeof(fields),
			 "\"command\":\"share\",\"weight\":%u", i);
		ask_ok(fd, fields);
		await(quick, "share.weight", i);
	}
	assert_int_equal(armed_timers(), 0);
	/* What had been sent when it was not slow yet, and nothing between. */
	await_soon(slow, "share.weight", 20, 3);
	assert_idle(slow);
	/* Nor is it forgotten. */
	ask_ok(fd, "\"command\":\"share\",\"weight\":100");
	await(slow, "share.weight", 100);
	close(slow);
	close(quick);
	close(fd);
}

static void who_goes_makes_room_for_another(void **state)
{
	int fds[CTL_MAX_TAKERS], fd = dial(), plain;
	unsigned int i, round;

	(void)state;
	for (round = 0; round < 3; round++) {
		for (i = 0; i < CTL_MAX_TAKERS; i++)
			fds[i] = watch(20);
		assert_refused(fd, "\"command\":\"watch\"", "command",
			       "watch already");
		ask_ok(fd, "\"command\":\"share\",\"weight\":1");
		ask_ok(fd, "\"command\":\"share\",\"weight\":100");
		for (i = 0; i < CTL_MAX_TAKERS; i++) {
			await(fds[i], "share.weight", 100);
			/* Seen by the server before the next round's. */
			shutdown(fds[i], SHUT_WR);
			while (read(fds[i], &(char){ 0 }, 1) > 0)
				;
			close(fds[i]);
		}
	}
	assert_int_equal(armed_timers(), 0);
	/* Who comes in its place is not taken for it. */
	plain = dial();
	ask_ok(plain, "\"command\":\"info\"");
	ask_ok(fd, "\"command\":\"share\",\"weight\":2");
	assert_idle(plain);
	close(plain);
	close(fd);
}

static void share_and_balloon_say_what_there_is(void **state)
{
	int fd = dial();
	cJSON *answer;

	(void)state;
	ask_ok(fd,
	       "\"command\":\"share\",\"min\":0,\"entitlement\":20971520,\"max\":33554432");
	answer = ask(fd, "\"command\":\"share\"");
	assert_int_equal(number(answer, "result.min_bytes"), 0);
	assert_int_equal(number(answer, "result.entitlement_bytes"), 20 * MIB);
	assert_int_equal(number(answer, "result.max_bytes"), 32 * MIB);
	assert_int_equal(number(answer, "result.weight"), SHARE_WEIGHT);
	cJSON_Delete(answer);
	answer = ask(fd, "\"command\":\"info\"");
	assert_int_equal(number(answer, "result.share.max_bytes"), 32 * MIB);
	cJSON_Delete(answer);
	ask_ok(fd, "\"command\":\"balloon\",\"target\":4194304");
	answer = ask(fd, "\"command\":\"balloon\"");
	assert_int_equal(number(answer, "result.target_bytes"), 4 * MIB);
	assert_int_equal(number(answer, "result.actual_bytes"), 0);
	cJSON_Delete(answer);
	close(fd);
}

static void without_balloon_and_swap_that_is_said(void **state)
{
	int fd = dial();
	cJSON *answer;

	(void)state;
	assert_refused(fd, "\"command\":\"balloon\"", "target", "--balloon");
	assert_refused(fd, "\"command\":\"balloon\",\"target\":4096", "target",
		       "--balloon");
	answer = ask(fd, "\"command\":\"watch\"");
	assert_true(cJSON_IsNull(at(answer, "result.balloon")));
	assert_int_equal(number(answer, "result.lowest_limit_bytes"), MEM);
	cJSON_Delete(answer);
	close(fd);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* Zeros are no cost of a limit, and a guest that grows is not under pressure. */
static void waits_for_swap_alone_are_stall(void **state)
{
	const struct mem_region *ram;
	struct mem_stats st;
	int fd = dial();
	cJSON *answer;

	(void)state;
	mem_regions(rig->vm.mem, &ram);
	((volatile char *)ram->hva)[5 * MEM_PAGE_SIZE] = 1;
	mem_get_stats(rig->vm.mem, &st);
	assert_true(st.stall_us > 0);
	answer = ask(fd, "\"command\":\"watch\"");
	assert_true(number(at(answer, "result"), "counters.stall_us") == 0);
	cJSON_Delete(answer);
	page_out(5);
	assert_int_equal(((volatile char *)ram->hva)[5 * MEM_PAGE_SIZE], 1);
	answer = ask(fd, "\"command\":\"watch\"");
	assert_true(number(at(answer, "result"), "counters.stall_us") > 0);
	cJSON_Delete(answer);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_watch_is_answered_with_a_sample),
		CASE(bad_fields_are_named),
		CASE(each_kind_of_change_is_an_event_and_then_it_is_quiet),
		CASE(resident_memory_is_an_event_when_it_leaves_its_band),
		CASE(a_lowered_limit_ends_with_an_event_that_it_is_reached),
		CASE(events_keep_their_interval_and_the_last_change_is_told),
		CASE(who_is_slow_gets_the_newest),
		CASE(who_goes_makes_room_for_another),
		CASE(share_and_balloon_say_what_there_is),
		CASE(waits_for_swap_alone_are_stall),
		cmocka_unit_test_setup_teardown(
			without_balloon_and_swap_that_is_said, setup_bare,
			teardown),
		cmocka_unit_test_setup_teardown(
			that_a_lowered_limit_is_reached_is_an_event, setup_bare,
			teardown),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
