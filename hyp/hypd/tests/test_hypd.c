// SPDX-License-Identifier: GPL-2.0-only
/*
 * hypd as a process, with VMs that are none (fake.h), over real sockets.  Waits
 * ask it again and again until it is so; a minute of that is a failure.
 */
#include "hyp/hypd/tests/rig.h"

static void vms_are_found_and_their_end_is_noticed(void **state)
{
	struct stat st;
	char path[100];

	(void)state;
	start_vm("before", 64 * MIB, 64 * MIB, 32 * MIB);
	start_hypd("512M");
	UNTIL(state_is("before", "running"));
	start_vm("after", 128 * MIB, 0, 32 * MIB);
	UNTIL(state_is("after", "running"));
	assert_true(figure("after", "counted_bytes") == 128.0 * MIB);
	assert_true(figure(NULL, "counted_bytes") == 192.0 * MIB);
	assert_true(figure(NULL, "limit_bytes") == 512.0 * MIB);
	end_vms(0);
	UNTIL(state_is("before", NULL));
	assert_true(figure(NULL, "counted_bytes") == 128.0 * MIB);
	assert_true(log_has("before: has ended"));
	/* One of the same name at the same place. */
	snprintf(path, sizeof(path), "%s/before.sock", rig->dir);
	assert_int_equal(unlink(path), 0);
	start_vms(0, 1);
	UNTIL(state_is("before", "running"));
	snprintf(path, sizeof(path), "%s/hypd.sock", rig->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	end_hypd(SIGTERM);
	assert_int_equal(stat(path, &st), -1);
}

static void nothing_is_granted_before_it_is_free(void **state)
{
	struct fake *a = start_vm("a", 256 * MIB, 96 * MIB, 96 * MIB);
	struct fake *b = start_vm("b", 256 * MIB, 64 * MIB, 64 * MIB);

	(void)state;
	a->never_shrinks = true;
	start_hypd("160M");
	UNTIL(are_governed(2));
	strain(b, 1);
	/* It takes from one what it has above its share ... */
	UNTIL(a->limit < 90 * MIB);
	UNTIL(figure("a", "limit_bytes") == (double)a->limit);
	/* ... but as it still has it, the other does not get it. */
	assert_int_equal(b->limit, 64 * MIB);
	assert_true(figure("a", "counted_bytes") == 96.0 * MIB);
	assert_true(figure(NULL, "counted_bytes") == 160.0 * MIB);
	/* Sure is its minimum, and the entitlement as far as it needs that. */
	assert_true(figure("a", "guaranteed_bytes") >= 16.0 * MIB);
	assert_true(figure("a", "guaranteed_bytes") <= 32.0 * MIB);
	a->charged = a->limit + MIB;
	fake_poke(rig->pokes[0]);
	UNTIL(b->limit > 64 * MIB);
	assert_true(b->limit <= 160 * MIB - a->charged);
	a->charged = a->limit;
	fake_poke(rig->pokes[0]);
	UNTIL(b->limit > 75 * MIB);
	assert_true(a->over <= 160 * MIB && b->over <= 160 * MIB);
}

static void killing_hypd_changes_nothing_and_a_new_one_goes_on(void **state)
{
	struct fake *a = start_vm("a", 256 * MIB, 0, 96 * MIB);
	struct fake *b = start_vm("b", 256 * MIB, 0, 64 * MIB);
	unsigned int limits;

	(void)state;
	b->weight = 300;
	start_hypd("160M");
	UNTIL(a->limit && b->limit && are_governed(2));
	strain(b, 1);
	UNTIL(b->limit == 120 * MIB);
	assert_int_equal(a->limit, 40 * MIB);
	end_hypd(SIGKILL);
	limits = a->limits + b->limits;
	start_hypd("160M");
	UNTIL(are_governed(2));
	/* What it knows it has from them; so there is nothing to mend. */
	assert_int_equal(b->watches, 2);
	assert_int_equal(a->limit, 40 * MIB);
	assert_int_equal(b->limit, 120 * MIB);
	assert_int_equal(a->limits + b->limits, limits);
	a->weight = 900;
	strain(a, 0);
	UNTIL(a->limit == 120 * MIB);
	assert_int_equal(b->limit, 40 * MIB);
	assert_true(a->over <= 160 * MIB && b->over <= 160 * MIB);
}

/* It listens, so it is somebody, and what it has is to be heard first. */
static void nothing_is_granted_while_somebody_is_about_to_speak(void **state)
{
	struct fake *f = start_vm("b", 256 * MIB, 16 * MIB, 16 * MIB);

	(void)state;
	fake_add(rig->dir, "mute", 64 * MIB, 0, 0)->hangs = true;
	start_vms(1, 1);
	start_hypd("512M");
	UNTIL(f->limit > 16 * MIB);
	assert_true(state_is("mute", "no answer"));
}

static void who_hangs_keeps_what_it_has_and_hinders_nobody(void **state)
{
	struct fake *hung = start_vm("hung", 256 * MIB, 60 * MIB, 60 * MIB);
	struct fake *a = start_vm("a", 256 * MIB, 50 * MIB, 50 * MIB);
	struct fake *b = start_vm("b", 256 * MIB, 50 * MIB, 50 * MIB);

	(void)state;
	/* It has never said anything; what is resident is all that is known. */
	fake_add(rig->dir, "mute", 64 * MIB, 0, 0)->hangs = true;
	start_vms(3, 1);
	start_hypd("160M");
	UNTIL(are_governed(3));
	hung->hangs = true;
	fake_poke(rig->pokes[0]);
	strain(b, 2);
	strain(a, 1);
	UNTIL(state_is("hung", "no answer"));
	assert_true(figure("hung", "counted_bytes") == 60.0 * MIB);
	assert_true(state_is("mute", "no answer"));
	assert_true(figure("mute", "counted_bytes") > 0);
	assert_true(figure("mute", "counted_bytes") < 64.0 * MIB);
	end_vms(3);
	end_vms(1);
	UNTIL(b->limit == 100 * MIB);
	hung->hangs = false;
	fake_poke(rig->pokes[0]);
	UNTIL(state_is("hung", "running"));
	assert_true(log_has("hung: does not answer"));
	UNTIL(log_has("hung: answers again"));
}

static void what_vms_say_is_not_believed(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} lines[] = {
#define LINE(text) { text, sizeof(text) - 1 }
		LINE("\n"),
		LINE("garbage\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":true}\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":true,\"result\":[]}\n"),
		LINE("{\"version\":1,\"id\":7,\"ok\":true,\"result\":{}}\n"),
		LINE("{\"version\":2,\"id\":1,\"ok\":true,\"result\":{}}\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":true,\"result\":{\"state\":\"running\",\"mem_bytes\":1e300}}\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":true,\"result\":{\"state\":\"running\",\"mem_bytes\":-4096}}\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":true,\"result\":{\"state\":\"running\",\"mem_bytes\":9007199254740992}}\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":true,\"result\":{\"state\":\"running\",\"mem_bytes\":4096,\"limit_bytes\":8192}}\n"),
		LINE("{\"version\":1,\"event\":\"sample\",\"sample\":{}}\nx\n"),
		LINE("{\"version\":1,\"id\":1,\"ok\":false}\n"),
		LINE("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"),
		LINE("\0\0\0\n"),
	};
	char name[20];
	struct fake *good, *f;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(name, sizeof(name), "bad%u", i);
		f = start_vm(name, 64 * MIB, 64 * MIB, MIB);
		f->says = lines[i].text;
		f->says_len = lines[i].len;
	}
	good = start_vm("good", 256 * MIB, 0, 100 * MIB);
	start_hypd("200M");
	UNTIL(nr_vms("lost") == ARRAY_SIZE(lines));
	UNTIL(state_is("good", "running"));
	UNTIL(good->limit && good->limit <= 200 * MIB);
	assert_true(log_has("bad1: given up"));
}

static void a_line_without_end_and_floods_are_bounded(void **state)
{
	struct fake *f = start_vm("flood", 256 * MIB, 100 * MIB, 100 * MIB);
	char *endless = malloc(70000);
	struct fake *good;

	(void)state;
	f->floods = 2000;
	good = start_vm("good", 256 * MIB, 0, 100 * MIB);
	f = fake_add(rig->dir, "endless", 64 * MIB, 64 * MIB, MIB);
	memset(endless, 'x', 70000);
	f->says = endless;
	f->says_len = 70000;
	start_vms(fakes->nr - 1, 1);
	start_hypd("200M");
	UNTIL(state_is("endless", "lost"));
	UNTIL(state_is("flood", "running"));
	fake_poke(rig->pokes[0]);
	UNTIL(good->limit && good->limit <= 100 * MIB);
	assert_true(log_has("endless: given up: it sends a line without end"));
	free(endless);
}

/* It serves nobody any more, but it is there. */
static void who_closes_is_called_again_but_not_for_ever(void **state)
{
	struct fake *f = start_vm("closes", 96 * MIB, 0, 96 * MIB);

	(void)state;
	start_hypd("160M");
	UNTIL(are_governed(1));
	f->closes = true;
	/* Something that it is told; it closes then. */
	f->max = 64 * MIB;
	fake_poke(rig->pokes[0]);
	UNTIL(state_is("closes", "lost"));
	assert_true(figure("closes", "counted_bytes") == 96.0 * MIB);
	/* One call after the other, less and less often, and then no more. */
	UNTIL(log_has("closes: given up"));
	UNTIL(is_timer_off());
	assert_true(state_is("closes", "lost"));
	assert_true(figure(NULL, "counted_bytes") == 96.0 * MIB);
	assert_in_range(f->calls, 3, 10);
	end_vms(0);
	UNTIL(state_is("closes", NULL));
}

static void who_refuses_a_limit_counts_whole(void **state)
{
	struct fake *a = start_vm("a", 128 * MIB, 0, 20 * MIB);
	struct fake *b = start_vm("b", 256 * MIB, 0, 20 * MIB);
	struct fake *fixed = fake_add(rig->dir, "fixed", 32 * MIB, 0, MIB);
	struct fake *stuck;

	(void)state;
	a->refuses = true;
	fixed->lowest = 32 * MIB;
	start_vms(2, 1);
	stuck = fake_add(rig->dir, "stuck", 64 * MIB, 0, MIB);
	stuck->stuck = true;
	start_vms(3, 1);
	start_hypd("256M");
	UNTIL(b->limit == 32 * MIB);
	UNTIL(figure(NULL, "counted_bytes") == 256.0 * MIB);
	assert_int_equal(a->limits, 1);
	assert_int_equal(fixed->limits, 0);
	/* Until it has room to page out. */
	strain(b, 1);
	UNTIL(figure("b", "pressure") > 0);
	assert_int_equal(stuck->limits, 0);
	stuck->stuck = false;
	fake_poke(rig->pokes[3]);
	UNTIL(stuck->limit && stuck->limit < 64 * MIB);
	UNTIL(log_has("a: refuses a limit"));
}

static unsigned int lines_with(const char *text)
{
	char line[1300];
	FILE *file = fopen(rig->log, "r");
	unsigned int nr = 0;

	while (file && fgets(line, sizeof(line), file))
		nr += strstr(line, text) != NULL;
	if (file)
		fclose(file);
	return nr;
}

static void a_limit_that_cannot_be_met_is_said_once_and_taken_back(void **state)
{
	struct fake *a = start_vm("a", 128 * MIB, 0, 20 * MIB);
	cJSON *answer;

	(void)state;
	start_hypd("64M");
	UNTIL(a->limit == 64 * MIB && are_governed(1));
	answer = ask(REQUEST("\"limit\",\"limit\":8388608"));
	cJSON_Delete(answer);
	UNTIL(log_has("cannot be met"));
	/* It has its minimum all the same. */
	UNTIL(a->limit == 16 * MIB);
	strain(a, 0);
	UNTIL(figure("a", "pressure") > 0);
	assert_int_equal(a->limit, 16 * MIB);
	answer = ask(REQUEST("\"limit\",\"limit\":100663296"));
	cJSON_Delete(answer);
	UNTIL(a->limit == 96 * MIB);
	assert_int_equal(lines_with("cannot be met"), 1);
	assert_int_equal(lines_with("can be met again"), 1);
	answer = ask(REQUEST("\"limit\",\"limit\":1"));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(answer, "ok")));
	cJSON_Delete(answer);
	answer = ask(REQUEST("\"policy\",\"policy\":\"static\""));
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")));
	cJSON_Delete(answer);
	UNTIL(a->limit == 32 * MIB);
}

static unsigned long switches(void)
{
	unsigned long sum = 0, n;
	char path[100], line[200];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)rig->hypd);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n) == 1)
			sum += n;
	fclose(file);
	return sum;
}

static void write_conf(const char *text)
{
	FILE *file = fopen(rig->conf, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void the_file_is_read_at_the_start_and_with_sighup(void **state)
{
	struct fake *a, *b;
	char dir[80];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/more", rig->base);
	assert_int_equal(mkdir(dir, 0700), 0);
	a = start_vm("a", 128 * MIB, 0, 20 * MIB);
	b = fake_add(dir, "b", 128 * MIB, 0, 20 * MIB);
	start_vms(1, 1);
	write_conf(
		"# all\nlimit 100M\npolicy = static\nvm a entitlement=48M\n");
	start_hypd_with("--config", rig->conf, "--dir", dir);
	UNTIL(a->limit == 48 * MIB && b->limit == 32 * MIB);
	write_conf("limit 100M\n\nvm a entitlement=4M,min=8M\n");
	kill(rig->hypd, SIGHUP);
	UNTIL(log_has("conf:3: vm a: "));
	assert_true(log_has("everything stays as it is"));
	write_conf("limit 200M\nvm b entitlement=64M\ncolour 3\n");
	kill(rig->hypd, SIGHUP);
	UNTIL(log_has("conf:3: unknown key \"colour\""));
	assert_int_equal(a->limit, 48 * MIB);
	write_conf("limit 200M\nvm b entitlement=64M\n");
	kill(rig->hypd, SIGHUP);
	UNTIL(a->limit == 32 * MIB && b->limit == 64 * MIB);
	assert_true(figure(NULL, "limit_bytes") == 200.0 * MIB);
	assert_int_equal(lines_with(": has ended"), 0);
	/* To look for VMs is not to call those that are known. */
	assert_int_equal(nr_vms("running"), 2);
	assert_int_equal(a->calls + b->calls, 2);
}

static void command_lines_that_are_wrong_are_refused(void **state)
{
	static const struct {
		const char *args[5], *text;
	} cases[] = {
		{ { NULL }, "--limit is missing" },
		{ { "--limit", "12Q" }, "\"12Q\" is not a size" },
		{ { "--limit", "1" }, "not a multiple of 4K" },
		{ { "--limit", "1G", "--policy", "x" }, "share, static" },
		{ { "--limit", "1G", "--colour" }, "--colour" },
		{ { "--limit", "1G", "more" }, "\"more\"" },
		{ { "--limit", "1G", "--dir", "/nowhere" }, "/nowhere" },
		{ { "--config", "/nowhere" }, "cannot open /nowhere" },
	};
	unsigned int i;
	int status;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		spawn_hypd(cases[i].args);
		assert_int_equal(waitpid(rig->hypd, &status, 0), rig->hypd);
		rig->hypd = 0;
		assert_true(WIFEXITED(status) && WEXITSTATUS(status));
		if (!log_has(cases[i].text))
			fail_msg("not said: %s", cases[i].text);
	}
	start_hypd("64M");
	spawn_second_hypd();
	assert_true(log_has("another hypd is running"));
}

/* A balloon is in the way of who suffers. */
static void balloons_are_told_too(void **state)
{
	struct fake *f = start_vm("a", 256 * MIB, 0, 40 * MIB);

	(void)state;
	f->has_balloon = true;
	f->balloon = 200 * MIB;
	f->entitlement = 128 * MIB;
	start_hypd("160M");
	UNTIL(f->limit == 160 * MIB && are_governed(1));
	UNTIL(f->balloons);
	assert_true(f->balloon <= 96 * MIB);
}

static void other_users_are_not_believed(void **state)
{
	struct fake *f;

	(void)state;
	if (geteuid() != 0)
		skip();
	f = fake_add(rig->dir, "other", 64 * MIB, 0, 0);
	f->uid = 65534;
	start_vms(0, 1);
	start_vm("own", 64 * MIB, 0, 0);
	start_hypd("160M");
	UNTIL(state_is("own", "running"));
	UNTIL(log_has("other: cannot connect"));
	assert_true(state_is("other", NULL));
	assert_int_equal(f->watches, 0);
}

static void hundreds_of_idle_vms_do_not_wake_it(void **state)
{
	struct timespec second = { 1, 0 };
	unsigned long before;
	char name[20];
	unsigned int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		fake_add(rig->dir, name, 64 * MIB, 0, 10 * MIB);
	}
	start_vms(0, 300);
	start_hypd("10G");
	UNTIL(are_governed(300));
	UNTIL(figure(NULL, "counted_bytes") <= 10.0 * GIB);
	/* The last thing that was to come has come. */
	UNTIL(is_timer_off());
	before = switches();
	nanosleep(&second, NULL);
	assert_int_equal(switches(), before);
	/* And it is there. */
	strain(&fakes->vms[7], 0);
	UNTIL(figure("vm7", "pressure") > 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(vms_are_found_and_their_end_is_noticed),
		CASE(nothing_is_granted_before_it_is_free),
		CASE(killing_hypd_changes_nothing_and_a_new_one_goes_on),
		CASE(nothing_is_granted_while_somebody_is_about_to_speak),
		CASE(who_hangs_keeps_what_it_has_and_hinders_nobody),
		CASE(what_vms_say_is_not_believed),
		CASE(a_line_without_end_and_floods_are_bounded),
		CASE(who_refuses_a_limit_counts_whole),
		CASE(a_limit_that_cannot_be_met_is_said_once_and_taken_back),
		CASE(who_closes_is_called_again_but_not_for_ever),
		CASE(the_file_is_read_at_the_start_and_with_sighup),
		CASE(command_lines_that_are_wrong_are_refused),
		CASE(balloons_are_told_too),
		CASE(other_users_are_not_believed),
		CASE(hundreds_of_idle_vms_do_not_wake_it),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
