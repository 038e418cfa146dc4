// SPDX-License-Identifier: GPL-2.0-only
/* A connection to one VM: lines in parts, many of them, and none that ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/ctl/message.h"
#include "hyp/hypd/link.h"

struct rig {
	char path[40];
	int listen_fd, fd; /* the VM's */
	struct loop *loop;
	struct link link;
	unsigned int lines, ends;
	size_t last_len;
	const char *why;
	bool closes; /* in the middle of lines */
};

static void on_line(void *ctx, const char *line, size_t len)
{
	struct rig *r = ctx;

	(void)line;
	r->lines++;
	r->last_len = len;
	if (r->closes)
		link_close(&r->link);
}

static void on_end(void *ctx, const char *why)
{
	struct rig *r = ctx;

	r->ends++;
	r->why = why;
	loop_quit(r->loop);
}

static int setup(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct rig *r = calloc(1, sizeof(*r));
	const struct link_ops ops = { on_line, on_end, r };

	strcpy(r->path, "/tmp/hypd-link-XXXXXX");
	close(mkstemp(r->path));
	unlink(r->path);
	strcpy(addr.sun_path, r->path);
	r->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->listen_fd, (void *)&addr, sizeof(addr)), 0);
	assert_int_equal(loop_create(&r->loop), 0);
	link_init(&r->link, r->loop, &ops);
	assert_int_equal(link_open(&r->link, r->path), -ECONNREFUSED);
	assert_int_equal(listen(r->listen_fd, 1), 0);
	assert_int_equal(link_open(&r->link, r->path), 0);
	assert_int_equal(r->link.pid, getpid());
	r->fd = accept(r->listen_fd, NULL, NULL);
	assert_true(r->fd >= 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	link_close(&r->link);
	loop_destroy(r->loop);
	close(r->fd);
	close(r->listen_fd);
	unlink(r->path);
	free(r);
	return 0;
}

/* One turn of the loop, or a few. */
static void turn(struct rig *r)
{
	loop_quit(r->loop);
	assert_int_equal(loop_run(r->loop), 0);
	/* To be run again. */
	loop_destroy(r->loop);
	assert_int_equal(loop_create(&r->loop), 0);
	r->link.loop = r->loop;
	if (link_is_open(&r->link))
		assert_int_equal(loop_add(r->loop, &r->link.handler,
					  r->link.muted ? 0 : EPOLLIN),
				 0);
}

static void lines_come_in_parts(void **state)
{
	const char *text = "one\ntwo\n\nthree";
	struct rig *r = *state;
	size_t i;

	for (i = 0; text[i]; i++) {
		assert_int_equal(write(r->fd, text + i, 1), 1);
		turn(r);
	}
	assert_int_equal(r->lines, 3);
	assert_int_equal(r->last_len, 0);
	assert_int_equal(write(r->fd, "\n", 1), 1);
	turn(r);
	assert_int_equal(r->lines, 4);
	assert_int_equal(r->last_len, 5);
	assert_int_equal(r->ends, 0);
}

static void a_flood_is_not_listened_to_for_a_second(void **state)
{
	struct rig *r = *state;
	unsigned int sent = 0, i;
	uint64_t until_ms;

	while (send(r->fd, "{}\n", 3, MSG_DONTWAIT) == 3)
		sent++;
	/* Room for what follows, were it listened to. */
	assert_true(sent > LINK_MAX_LINES);
	for (i = 0; i < 50; i++)
		turn(r);
	assert_true(r->link.muted);
	/* What was read in one go is heard; a second of that is bounded. */
	assert_true(r->lines <= CTL_MAX_LINE / 3 + 1);
	i = r->lines;
	until_ms = link_unmute_ms(&r->link);
	assert_true(until_ms <= now_ms() + 1000);
	while (send(r->fd, "{}\n", 3, MSG_DONTWAIT) == 3)
		;
	turn(r);
	assert_int_equal(r->lines, i);
	link_unmute(&r->link);
	turn(r);
	assert_true(r->lines > i);
	assert_int_equal(r->ends, 0);
}

static void a_line_without_end_is_the_end(void **state)
{
	struct rig *r = *state;
	char *line = malloc(CTL_MAX_LINE);
	unsigned int i;

	memset(line, 'x', CTL_MAX_LINE);
	assert_int_equal(write(r->fd, line, CTL_MAX_LINE - 1),
			 CTL_MAX_LINE - 1);
	for (i = 0; i < 4; i++)
		turn(r);
	assert_int_equal(r->ends, 0);
	assert_int_equal(write(r->fd, line, 1), 1);
	turn(r);
	assert_int_equal(r->ends, 1);
	assert_non_null(strstr(r->why, "without end"));
	assert_false(link_is_open(&r->link));
	assert_int_equal(r->lines, 0);
	free(line);
}

static void it_may_be_closed_in_the_middle(void **state)
{
	struct rig *r = *state;

	r->closes = true;
	assert_int_equal(write(r->fd, "a\nb\nc", 5), 5);
	turn(r);
	assert_int_equal(r->lines, 1);
	assert_int_equal(r->ends, 0);
	assert_null(r->link.part);
}

static void who_takes_nothing_is_not_waited_for(void **state)
{
	struct rig *r = *state;
	unsigned int sent = 0;
	char line[400];

	memset(line, 'x', sizeof(line) - 2);
	strcpy(line + sizeof(line) - 2, "\n");
	while (!link_send(&r->link, line))
		assert_true(++sent < 100000);
	assert_int_equal(link_send(&r->link, line), -EBUSY);
	close(r->fd);
	r->fd = -1;
	assert_int_equal(loop_run(r->loop), 0);
	assert_int_equal(r->ends, 1);
	assert_null(r->why);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(lines_come_in_parts),
		CASE(a_flood_is_not_listened_to_for_a_second),
		CASE(a_line_without_end_is_the_end),
		CASE(it_may_be_closed_in_the_middle),
		CASE(who_takes_nothing_is_not_waited_for),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
