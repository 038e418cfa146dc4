// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control protocol over real sockets: hostile lines and clients, and the file
 * of the socket.  The server's loop runs in a thread of its own; a client that
 * is not answered within a minute has found a server that waits for another.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/ctl/listen.h"
#include "hyp/ctl/path.h"
#include "hyp/ctl/server.h"

#define PATIENCE_MS 60000

struct rig {
	char dir[40];
	char path[CTL_PATH_MAX];
	struct ctl_socket socket;
	struct loop *loop;
	struct ctl *ctl;
	struct loop_handler released; /* eventfd: answer who waits */
	pthread_t thread;
	/* The loop's thread's. */
	struct ctl_client *takers[CTL_MAX_TAKERS];
	uint64_t nr_events;
};

static struct rig *rig;

static void take(struct ctl_client *client)
{
	struct ctl_error error;
	unsigned int i;

	if (ctl_take_events(client)) {
		ctl_error_set(&error, "", "too many takers");
		ctl_refuse(client, &error);
		return;
	}
	for (i = 0; rig->takers[i] && rig->takers[i] != client; i++)
		;
	rig->takers[i] = client;
	ctl_answer(client, cJSON_CreateObject());
}

static void offer(void)
{
	unsigned int i;

	rig->nr_events++;
	for (i = 0; i < CTL_MAX_TAKERS; i++)
		if (rig->takers[i])
			ctl_offer_event(rig->takers[i]);
}

static cJSON *on_event(void *ctx, struct ctl_client *client)
{
	cJSON *out = cJSON_CreateObject();

	(void)ctx;
	(void)client;
	cJSON_AddStringToObject(out, "event", "count");
	ctl_add_u64(out, "n", rig->nr_events);
	return out;
}

static void on_gone(void *ctx, struct ctl_client *client)
{
	unsigned int i;

	(void)ctx;
	for (i = 0; rig->takers[i] != client; i++)
		;
	rig->takers[i] = NULL;
}

/*
 * echo: its "text"; big: 60000 bytes; wait: when somebody says "release"; take:
 * events; event: there is one.
 */
static void on_request(void *ctx, struct ctl_client *client,
		       const struct ctl_request *req)
{
	static const char *const fields[] = { "text", "n", NULL };
	struct ctl_error error;
	cJSON *out;
	uint64_t n;
	char *big;
	int err;

	(void)ctx;
	err = ctl_request_fields(req, fields, &error);
	if (!err)
		err = ctl_number(req, "n", &n, &error);
	if (err == -EINVAL) {
		ctl_refuse(client, &error);
		return;
	}
	if (!strcmp(req->command, "wait")) {
		ctl_defer(client, 1);
		return;
	}
	if (!strcmp(req->command, "take")) {
		take(client);
		return;
	}
	if (!strcmp(req->command, "event"))
		offer();
	if (!strcmp(req->command, "release"))
		loop_event_set(rig->released.fd);
	out = cJSON_CreateObject();
	if (!strcmp(req->command, "big")) {
		big = malloc(60001);
		memset(big, 'x', 60000);
		big[60000] = '\0';
		cJSON_AddStringToObject(out, "text", big);
		free(big);
	} else if (!err) {
		ctl_add_u64(out, "n", n);
	}
	ctl_answer(client, out);
}

static void on_released(void *ctx, uint32_t events)
{
	struct ctl_client *client;

	(void)ctx;
	(void)events;
	loop_event_ack(rig->released.fd);
	while ((client = ctl_deferred(rig->ctl, 1)))
		ctl_answer(client, cJSON_CreateObject());
}

static void *serve(void *arg)
{
	assert_int_equal(loop_run(arg), 0);
	return NULL;
}

static int setup_silent(void **state, uint64_t silent_ms)
{
	struct ctl_ops ops = {
		.request = on_request,
		.silent_ms = silent_ms,
		.event = on_event,
		.gone = on_gone,
	};
	struct why why = { "" };

	rig = calloc(1, sizeof(*rig));
	strcpy(rig->dir, "/tmp/hyp-ctl-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	assert_int_equal(ctl_path(rig->path, rig->dir, "vm", &why), 0);
	assert_int_equal(ctl_listen(&rig->socket, rig->path, false, &why), 0);
	assert_int_equal(loop_create(&rig->loop), 0);
	assert_int_equal(ctl_create(&rig->ctl, rig->loop, rig->socket.fd, &ops),
			 0);
	rig->released =
		(struct loop_handler){ loop_event(), on_released, NULL };
	assert_int_equal(loop_add(rig->loop, &rig->released, EPOLLIN), 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, serve, rig->loop),
			 0);
	*state = rig;
	return 0;
}

static int setup(void **state)
{
	return setup_silent(state, UINT64_MAX);
}

static int setup_impatient(void **state)
{
	return setup_silent(state, 0);
}

static int teardown(void **state)
{
	(void)state;
	loop_quit(rig->loop);
	pthread_join(rig->thread, NULL);
	ctl_unlisten(&rig->socket);
	ctl_destroy(rig->ctl);
	close(rig->released.fd);
	loop_destroy(rig->loop);
	unlink(rig->path);
	assert_int_equal(rmdir(rig->dir), 0);
	free(rig);
	return 0;
}

static int dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (!connect(fd, (void *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static void say(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

static void say_line(int fd, const char *text)
{
	say(fd, text, strlen(text));
	say(fd, "\n", 1);
}

/* A line without newline; "": the connection has ended. */
static const char *hear(int fd)
{
	static char line[2 * CTL_MAX_LINE];
	struct pollfd in = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	for (;;) {
		char *end;
		ssize_t n;

		assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
		n = recv(fd, line + len, sizeof(line) - len, MSG_PEEK);
		if (n <= 0) {
			assert_int_equal(len, 0);
			return "";
		}
		end = memchr(line + len, '\n', (size_t)n);
		if (end)
			n = end - (line + len) + 1;
		assert_int_equal(read(fd, line + len, (size_t)n), n);
		len += (size_t)n;
		assert_true(end || len < sizeof(line));
		if (end)
			break;
	}
	line[len - 1] = '\0';
	return line;
}

static void assert_hears(int fd, const char *part)
{
	const char *line = hear(fd);

	if (!strstr(line, part))
		fail_msg("not \"%s\" in: %.200s", part, line);
}

#define ECHO(id) "{\"version\":1,\"id\":" id ",\"command\":\"echo\"}"

static void assert_serves(void)
{
	int fd = dial(rig->path);

	assert_true(fd >= 0);
	say_line(fd, ECHO("5"));
	assert_string_equal(
		hear(fd), "{\"version\":1,\"id\":5,\"ok\":true,\"result\":{}}");
	close(fd);
}

static void requests_in_parts_or_many_at_once_are_answered(void **state)
{
	const char *text = ECHO("\"a\"") "\n" ECHO("{\"b\":[1,null]}") "\n";
	int fd = dial(rig->path);
	size_t i;

	(void)state;
	for (i = 0; text[i]; i++)
		say(fd, text + i, 1);
	assert_hears(fd, "\"id\":\"a\",\"ok\":true");
	assert_hears(fd, "\"id\":{\"b\":[1,null]},\"ok\":true");
	say_line(fd, ECHO("1") "\n" ECHO("2") "\n" ECHO("3"));
	assert_hears(fd, "\"id\":1,");
	assert_hears(fd, "\"id\":2,");
	assert_hears(fd, "\"id\":3,");
	/* Who has said all is answered, too. */
	say(fd, ECHO("4") "\n{", strlen(ECHO("4")) + 2);
	shutdown(fd, SHUT_WR);
	assert_hears(fd, "\"id\":4,");
	assert_string_equal(hear(fd), "");
	close(fd);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *line, *answer;
	} cases[] = {
		{ "", "\"field\":\"\",\"message\":\"this is not JSON" },
		{ "garbage", "not JSON" },
		{ "{\"version\":1", "not JSON" },
		{ ECHO("1") " x", "not JSON" },
		{ "[1]", "not a JSON object" },
		{ "{}", "\"field\":\"version\"" },
		{ "{\"version\":2,\"id\":3,\"command\":\"echo\"}",
		  "\"id\":3,\"ok\":false,\"error\":{\"field\":\"version\"" },
		{ "{\"version\":\"1\",\"command\":\"echo\"}", "version" },
		{ "{\"version\":1}", "\"field\":\"command\"" },
		{ "{\"version\":1,\"command\":[]}", "\"field\":\"command\"" },
		{ "{\"version\":1,\"command\":\"echo\",\"colour\":1}",
		  "\"field\":\"colour\"" },
		{ "{\"version\":1,\"command\":\"echo\",\"n\":-1}",
		  "\"field\":\"n\"" },
		{ "{\"version\":1,\"command\":\"echo\",\"n\":1.5}",
		  "\"field\":\"n\"" },
		{ "{\"version\":1,\"command\":\"echo\",\"n\":1e300}",
		  "\"field\":\"n\"" },
		{ "{\"version\":1,\"command\":\"echo\",\"n\":\"7\"}",
		  "\"field\":\"n\"" },
		{ "{\"version\":1,\"command\":\"echo\",\"n\":9007199254740991}",
		  "\"n\":9007199254740991}" },
	};
	int fd = dial(rig->path);
	char line[600], *at;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		say_line(fd, cases[i].line);
		assert_hears(fd, cases[i].answer);
	}
	/* A zero byte ends nothing. */
	say(fd, ECHO("1") "\0x\n", strlen(ECHO("1")) + 3);
	assert_hears(fd, "not JSON");
	at = line + sprintf(line, "{\"version\":1,\"id\":\"");
	memset(at, 'i', 300);
	strcpy(at + 300, "\",\"command\":\"echo\"}");
	say_line(fd, line);
	assert_hears(fd, "\"field\":\"id\"");
	close(fd);
	assert_serves();
}

static void deep_nesting_is_refused(void **state)
{
	char *line = malloc(CTL_MAX_LINE);
	int fd = dial(rig->path);

	(void)state;
	memset(line, '[', CTL_MAX_LINE - 1);
	line[CTL_MAX_LINE - 1] = '\n';
	say(fd, line, CTL_MAX_LINE);
	assert_hears(fd, "not JSON");
	say_line(fd, ECHO("1"));
	assert_hears(fd, "\"id\":1,\"ok\":true");
	free(line);
	close(fd);
}

static void a_line_without_end_ends_the_connection(void **state)
{
	char *line = malloc(CTL_MAX_LINE);
	int fd = dial(rig->path);

	(void)state;
	memset(line, 'x', CTL_MAX_LINE);
	say(fd, line, CTL_MAX_LINE);
	assert_hears(fd, "longer than 65536");
	assert_string_equal(hear(fd), "");
	free(line);
	close(fd);
	assert_serves();
}

/* As many requests as fit.  Return: how many. */
static unsigned int flood(int fd)
{
	static const char big[] = "{\"version\":1,\"command\":\"big\"}\n";
	unsigned int sent = 0;

	while (send(fd, big, sizeof(big) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(big) - 1)
		sent++;
	assert_int_equal(errno, EAGAIN);
	return sent;
}

static void a_client_that_never_reads_hinders_nobody(void **state)
{
	int fd = dial(rig->path);
	unsigned int sent = 0, more, heard;

	(void)state;
	/* Until the server has an answer that it cannot get rid of. */
	do {
		more = flood(fd);
		sent += more;
		assert_serves();
	} while (more);
	/* None is lost: it goes on when it is listened to. */
	for (heard = 0; heard < 20; heard++)
		assert_true(strlen(hear(fd)) > 60000);
	assert_true(sent > heard);
	close(fd);
	assert_serves();
}

static void one_client_too_many_is_told_so(void **state)
{
	int fds[CTL_MAX_CLIENTS], fd;
	unsigned int i;

	(void)state;
	for (i = 0; i < CTL_MAX_CLIENTS; i++) {
		fds[i] = dial(rig->path);
		say_line(fds[i], ECHO("1"));
		assert_hears(fds[i], "\"ok\":true");
	}
	fd = dial(rig->path);
	assert_hears(fd, "too many clients");
	assert_string_equal(hear(fd), "");
	close(fd);
	close(fds[3]);
	/* It may not have been noticed yet. */
	say_line(fds[0], ECHO("1"));
	assert_hears(fds[0], "\"ok\":true");
	assert_serves();
	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		if (i != 3)
			close(fds[i]);
}

static void who_is_silent_makes_room(void **state)
{
	int fds[CTL_MAX_CLIENTS + 1];
	unsigned int i;

	(void)state;
	for (i = 0; i <= CTL_MAX_CLIENTS; i++) {
		fds[i] = dial(rig->path);
		say_line(fds[i], ECHO("1"));
		assert_hears(fds[i], "\"ok\":true");
	}
	for (i = 0; i <= CTL_MAX_CLIENTS; i++)
		close(fds[i]);
}

static void a_late_answer_reaches_who_is_still_there(void **state)
{
	static const char wait[] =
		"{\"version\":1,\"id\":9,\"command\":\"wait\"}";
	int gone = dial(rig->path), fd = dial(rig->path);

	(void)state;
	say_line(gone, wait);
	say_line(fd, wait);
	/* What comes behind is answered behind. */
	say_line(fd, ECHO("10"));
	close(gone);
	assert_serves();
	gone = dial(rig->path);
	say_line(gone, "{\"version\":1,\"command\":\"release\"}");
	assert_hears(gone, "\"ok\":true");
	/* The release may have been ahead of the wait: once more. */
	say_line(gone, "{\"version\":1,\"command\":\"release\"}");
	assert_hears(gone, "\"ok\":true");
	assert_hears(fd, "\"id\":9,\"ok\":true");
	assert_hears(fd, "\"id\":10,\"ok\":true");
	close(gone);
	close(fd);
}

#define SAY(command) "{\"version\":1,\"id\":8,\"command\":\"" command "\"}"

static int dial_taker(void)
{
	int fd = dial(rig->path);

	say_line(fd, SAY("take"));
	assert_hears(fd, "\"ok\":true");
	return fd;
}

static void make_events(int fd, unsigned int nr)
{
	while (nr--) {
		say_line(fd, SAY("event"));
		assert_string_equal(
			hear(fd),
			"{\"version\":1,\"id\":8,\"ok\":true,\"result\":{}}");
	}
}

static void a_taker_that_does_not_read_gets_the_newest_event(void **state)
{
	static const char newest[] =
		"{\"version\":1,\"event\":\"count\",\"n\":1000}";
	int taker = dial_taker(), fd = dial(rig->path);
	unsigned int i;

	(void)state;
	make_events(fd, 1000);
	/* At most two so short ones that were there before. */
	for (i = 0; strcmp(hear(taker), newest) != 0; i++)
		assert_true(i < 2);
	say_line(taker, ECHO("1"));
	assert_hears(taker, "\"id\":1,\"ok\":true");
	make_events(fd, 1);
	assert_hears(taker, "\"n\":1001}");
	/* Who has not asked for them has got none: make_events() looks. */
	close(taker);
	make_events(fd, 1);
	close(fd);
}

static void events_come_between_answers(void **state)
{
	int taker = dial_taker(), fd = dial(rig->path);
	unsigned int answers = 0, events = 0, i;
	const char *line;

	(void)state;
	for (i = 0; i < 8; i++)
		say_line(taker, SAY("big"));
	while (answers < 8 || !events) {
		make_events(fd, 1);
		line = hear(taker);
		if (strstr(line, "\"event\"")) {
			assert_true(strlen(line) < 100);
			events++;
		} else {
			assert_true(strlen(line) > 60000);
			answers++;
		}
		assert_int_equal(line[strlen(line) - 1], '}');
	}
	close(taker);
	close(fd);
	assert_serves();
}

static void events_come_while_an_answer_is_late(void **state)
{
	int taker = dial_taker(), fd = dial(rig->path);

	(void)state;
	say_line(taker, SAY("wait"));
	make_events(fd, 1);
	assert_hears(taker, "\"n\":1}");
	/* The release may have been ahead of the wait. */
	do {
		say_line(fd, SAY("release"));
		assert_hears(fd, "\"ok\":true");
		make_events(fd, 1);
	} while (strstr(hear(taker), "\"event\""));
	close(taker);
	close(fd);
}

static void takers_are_few_and_keep_their_places(void **state)
{
	int takers[CTL_MAX_TAKERS], fd;
	unsigned int i;

	(void)state;
	for (i = 0; i < CTL_MAX_TAKERS; i++)
		takers[i] = dial_taker();
	fd = dial(rig->path);
	say_line(fd, SAY("take"));
	assert_hears(fd, "too many takers");
	say_line(takers[0], SAY("take"));
	assert_hears(takers[0], "\"ok\":true");
	/* All that are silent make room, but for them. */
	for (i = 0; i < 2 * CTL_MAX_CLIENTS; i++) {
		fd = dial(rig->path);
		say_line(fd, ECHO("1"));
		assert_hears(fd, "\"ok\":true");
	}
	make_events(fd, 1);
	for (i = 0; i < CTL_MAX_TAKERS; i++) {
		assert_hears(takers[i], "\"n\":1}");
		close(takers[i]);
	}
}

static void the_socket_is_its_owners_and_goes_with_the_server(void **state)
{
	struct ctl_socket other = { 0 };
	struct why why = { "" };
	struct stat st;

	(void)state;
	assert_int_equal(stat(rig->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Who lives there is not driven out. */
	assert_int_equal(ctl_listen(&other, rig->path, false, &why),
			 -EADDRINUSE);
	assert_non_null(strstr(why.text, "is running"));
	assert_serves();
	ctl_unlisten(&rig->socket);
	assert_int_equal(stat(rig->path, &st), -1);
	assert_int_equal(errno, ENOENT);
}

/* A server that dies without a word: all that ends is its pipe. */
static void what_a_crashed_server_leaves_goes_or_is_replaced(void **state)
{
	struct ctl_socket s = { 0 };
	struct why why = { "" };
	char path[CTL_PATH_MAX];
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(ctl_path(path, rig->dir, "crash", &why), 0);
	assert_int_equal(ctl_listen(&s, path, false, &why), 0);
	close(s.fd);
	close(s.pipe);
	assert_int_equal(waitpid(s.janitor, NULL, 0), s.janitor);
	assert_int_equal(stat(path, &st), -1);
	/* The janitor has died, too. */
	assert_int_equal(ctl_listen(&s, path, false, &why), 0);
	kill(s.janitor, SIGKILL);
	assert_int_equal(waitpid(s.janitor, NULL, 0), s.janitor);
	close(s.fd);
	close(s.pipe);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(ctl_listen(&s, path, false, &why), 0);
	fd = dial(path);
	assert_true(fd >= 0);
	close(fd);
	/* A late janitor leaves a new VM's socket alone. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	ctl_unlisten(&s);
	assert_int_equal(stat(path, &st), 0);
	/* And what is no socket is not replaced. */
	assert_int_equal(ctl_listen(&s, path, false, &why), -EEXIST);
	assert_int_equal(unlink(path), 0);
}

static void names_are_file_names(void **state)
{
	static const char *const good[] = { "a", "web-1", "9_x.y" };
	static const char *const bad[] = { "",	       ".",   "..",
					   "-a",       "a/b", "a b",
					   "\xc3\xa4", "a\n", CTL_MANAGER };
	char name[CTL_NAME_MAX + 2];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(ctl_name_ok(good[i]));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(ctl_name_ok(bad[i]));
	memset(name, 'a', sizeof(name));
	name[CTL_NAME_MAX + 1] = '\0';
	assert_false(ctl_name_ok(name));
	name[CTL_NAME_MAX] = '\0';
	assert_true(ctl_name_ok(name));
	assert_true(ctl_name_of(name, "web-1.sock"));
	assert_string_equal(name, "web-1");
	assert_false(ctl_name_of(name, CTL_MANAGER CTL_SUFFIX));
	assert_false(ctl_name_of(name, CTL_SUFFIX));
	assert_false(ctl_name_of(name, "web-1"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(requests_in_parts_or_many_at_once_are_answered),
		CASE(what_is_wrong_is_named),
		CASE(deep_nesting_is_refused),
		CASE(a_line_without_end_ends_the_connection),
		CASE(a_client_that_never_reads_hinders_nobody),
		CASE(one_client_too_many_is_told_so),
		cmocka_unit_test_setup_teardown(who_is_silent_makes_room,
						setup_impatient, teardown),
		CASE(a_late_answer_reaches_who_is_still_there),
		CASE(a_taker_that_does_not_read_gets_the_newest_event),
		CASE(events_come_between_answers),
		CASE(events_come_while_an_answer_is_late),
		cmocka_unit_test_setup_teardown(
			takers_are_few_and_keep_their_places, setup_impatient,
			teardown),
		CASE(the_socket_is_its_owners_and_goes_with_the_server),
		CASE(what_a_crashed_server_leaves_goes_or_is_replaced),
		cmocka_unit_test(names_are_file_names),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
