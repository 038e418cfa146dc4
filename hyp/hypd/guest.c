// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/guest.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hyp/ctl/message.h"

/*
 * A socket is there a moment before somebody listens; who crashed has left one
 * that nobody listens to.  So it is called again after 10, 20, 40 ... ms.
 */
#define CALL_FIRST_MS 10u
#define CALLS_MAX     8u
/* A connection that lasted so long was a good one. */
#define GOOD_MS 10000u
/* Who has a queue of callers and takes none: again and again, but seldom. */
#define CALL_HUNG_MS 60000u
/* As long as it takes to load a kernel; then others no longer wait for it. */
#define FIRST_ANSWER_MS 2000u
#define ANSWER_MS	5000u

static void push(struct guest *g);

/* Not for ever, if all it does is to close the connection. */
static bool is_worth_a_call(struct guest *g)
{
	if (g->sampled && now_ms() - g->connected_ms >= GOOD_MS)
		g->calls = 0;
	return g->calls < CALLS_MAX;
}

static void lose(struct guest *g, const char *why)
{
	link_close(&g->link);
	g->asked = REQUEST_NONE;
	g->answer_ms = UINT64_MAX;
	g->pending = guest_counted(g); /* whatever was under way */
	g->want_limit = g->want_balloon = g->is_told = false;
	if (g->process.fd < 0) {
		guest_forget(g);
		g->ops->ended(g->ops->ctx, g);
		return;
	}
	g->state = GUEST_LOST;
	snprintf(g->lost_why, sizeof(g->lost_why), "%s",
		 why ? why : "its connection has ended");
	if (!why && is_worth_a_call(g))
		g->ops->lost(g->ops->ctx, g);
	else
		log_line("%s: given up: %s; what it has still counts", g->name,
			 g->lost_why);
	g->ops->changed(g->ops->ctx, g);
}

static void on_end(void *ctx, const char *why)
{
	lose(ctx, why);
}

static void on_process(void *ctx, uint32_t events)
{
	struct guest *g = ctx;
	struct pollfd in = { .fd = g->process.fd, .events = POLLIN };

	(void)events;
	/* The event may be of one that was closed in the same turn. */
	if (g->process.fd < 0 || poll(&in, 1, 0) != 1)
		return;
	guest_forget(g);
	g->ops->ended(g->ops->ctx, g);
}

static void settle_request(struct guest *g)
{
	g->asked = REQUEST_NONE;
	g->answer_ms = UINT64_MAX;
	if (g->silent)
		log_line("%s: answers again", g->name);
	g->silent = false;
}

static void take_sample(struct guest *g, const cJSON *json)
{
	struct why why = { "" };
	struct sample s;

	if (sample_parse(&s, json, &why)) {
		lose(g, why.text);
		return;
	}
	if (!g->sampled || s.limit != g->sample.limit ||
	    s.lowest != g->sample.lowest)
		g->refuses_limit = false;
	g->sample = s;
	g->sampled = true;
	g->limit = s.limit;
	/* Samples and answers come in their order: this one knows what was told. */
	if (g->asked != REQUEST_LIMIT && !g->want_limit)
		g->is_told = false;
	if (g->asked == REQUEST_WATCH)
		g->pending = 0;
	g->ops->changed(g->ops->ctx, g);
}

/*
 * A raised limit holds when it is granted.  One that was lowered is believed when a
 * sample says so, with what is charged then: the answer does not tell that.
 */
static void limit_granted(struct guest *g)
{
	if (g->asked_bytes > g->limit)
		g->limit = g->asked_bytes;
	g->pending = 0;
}

static void take_refusal(struct guest *g, const cJSON *answer)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(answer, "error"), "message"));

	switch (g->asked) {
	case REQUEST_WATCH:
		lose(g, "it does not let itself be watched");
		return;
	case REQUEST_LIMIT:
		g->refuses_limit = true;
		g->is_told = g->want_limit;
		g->pending = 0;
		log_line("%s: refuses a limit of %" PRIu64 " bytes: %.100s",
			 g->name, g->asked_bytes, text ? text : "-");
		break;
	case REQUEST_BALLOON:
		g->refuses_balloon = true;
		break;
	case REQUEST_NONE:
		break;
	}
	settle_request(g);
	g->ops->changed(g->ops->ctx, g);
}

static void take_answer(struct guest *g, const cJSON *answer)
{
	enum guest_request asked = g->asked;
	uint64_t id;

	if (!ctl_whole(cJSON_GetObjectItemCaseSensitive(answer, "id"), &id) ||
	    asked == REQUEST_NONE || id != g->asked_id) {
		lose(g, "it answers what nobody asked");
		return;
	}
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"))) {
		take_refusal(g, answer);
		return;
	}
	if (asked == REQUEST_WATCH) {
		take_sample(g,
			    cJSON_GetObjectItemCaseSensitive(answer, "result"));
		if (g->state != GUEST_ASKED)
			return;
		g->state = GUEST_WATCHED;
	}
	if (asked == REQUEST_LIMIT)
		limit_granted(g);
	settle_request(g);
	g->ops->changed(g->ops->ctx, g);
}

static void on_line(void *ctx, const char *line, size_t len)
{
	struct guest *g = ctx;
	cJSON *json = cJSON_ParseWithLength(line, len);
	const cJSON *event = cJSON_GetObjectItemCaseSensitive(json, "event");
	const cJSON *version =
		cJSON_GetObjectItemCaseSensitive(json, "version");

	if (!cJSON_IsNumber(version) || version->valuedouble != CTL_VERSION)
		lose(g, "it does not speak this protocol");
	else if (!event)
		take_answer(g, json);
	else if (g->state == GUEST_WATCHED && cJSON_IsString(event) &&
		 !strcmp(event->valuestring, "sample"))
		take_sample(g,
			    cJSON_GetObjectItemCaseSensitive(json, "sample"));
	/* Other events are of later versions. */
	cJSON_Delete(json);
	if (g->state == GUEST_WATCHED)
		push(g);
}

static void send_request(struct guest *g, enum guest_request what,
			 const char *command, const char *field, uint64_t value,
			 uint64_t patience_ms)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "{\"version\":%d,\"id\":%" PRIu64
		 ",\"command\":\"%s\",\"%s\":%" PRIu64 "}\n",
		 CTL_VERSION, ++g->next_id, command, field, value);
	if (link_send(&g->link, text))
		return; /* with the next line that comes */
	g->asked = what;
	g->asked_id = g->next_id;
	g->asked_bytes = value;
	g->answer_ms = now_ms() + patience_ms;
}

/* One request at a time, so that what holds is what was sent last. */
static void push(struct guest *g)
{
	if (g->state != GUEST_WATCHED || g->asked != REQUEST_NONE)
		return;
	if (g->want_limit) {
		send_request(g, REQUEST_LIMIT, "limit", "limit",
			     g->want_limit_bytes, ANSWER_MS);
		if (g->asked == REQUEST_NONE)
			return;
		g->want_limit = false;
		if (g->want_limit_bytes > g->pending)
			g->pending = g->want_limit_bytes;
	} else if (g->want_balloon) {
		send_request(g, REQUEST_BALLOON, "balloon", "target",
			     g->want_balloon_bytes, ANSWER_MS);
		if (g->asked != REQUEST_NONE)
			g->want_balloon = false;
	}
}

static void watch_process(struct guest *g)
{
	g->pid = g->link.pid;
	if (g->process.fd >= 0)
		return;
	g->process.fd = (int)syscall(SYS_pidfd_open, g->pid, 0);
	if (g->process.fd < 0)
		return;
	if (!loop_add(g->link.loop, &g->process, EPOLLIN))
		return;
	close(g->process.fd);
	g->process.fd = -1;
}

static void call(struct guest *g, uint64_t now)
{
	int err = link_open(&g->link, g->path);

	g->calls++;
	if (err) {
		if (err != -ECONNREFUSED && err != -EAGAIN)
			goto forget;
		if (g->calls < CALLS_MAX)
			guest_call(g, g->calls);
		else if (err == -EAGAIN)
			g->call_ms = now + CALL_HUNG_MS;
		else
			goto forget;
		return;
	}
	g->call_ms = UINT64_MAX;
	g->connected_ms = now;
	/*
	 * While the connection stands, the process is the one that listens; if it
	 * has ended before it could be watched, that is read from the link.
	 */
	watch_process(g);
	if (!g->ops->connected(g->ops->ctx, g))
		goto forget;
	g->state = GUEST_ASKED;
	send_request(g, REQUEST_WATCH, "watch", "interval_ms", 200,
		     FIRST_ANSWER_MS);
	return;

forget:
	if (err && err != -ECONNREFUSED && err != -ENOENT)
		log_line("%s: cannot connect to %s: %s", g->name, g->path,
			 strerror(-err));
	guest_forget(g);
	g->ops->ended(g->ops->ctx, g);
}

void guest_init(struct guest *g, struct loop *loop, const struct guest_ops *ops,
		const char *name, const char *path)
{
	const struct link_ops link_ops = { on_line, on_end, g };

	*g = (struct guest){ .state = GUEST_CALLING,
			     .ops = ops,
			     .process = { -1, on_process, g },
			     .answer_ms = UINT64_MAX };
	link_init(&g->link, loop, &link_ops);
	snprintf(g->name, sizeof(g->name), "%s", name);
	snprintf(g->path, sizeof(g->path), "%s", path);
}

void guest_call(struct guest *g, unsigned int calls)
{
	g->calls = calls < CALLS_MAX ? calls : CALLS_MAX;
	g->call_ms =
		now_ms() + (g->calls ? CALL_FIRST_MS << (g->calls - 1) : 0);
}

void guest_forget(struct guest *g)
{
	link_close(&g->link);
	if (g->process.fd >= 0) {
		loop_remove(g->link.loop, &g->process);
		close(g->process.fd);
		g->process.fd = -1;
	}
	free(g->memory);
	g->memory = NULL;
	g->state = GUEST_FREE;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t guest_counted(const struct guest *g)
{
	uint64_t n = g->pending;

	if (g->want_limit)
		n = most(n, g->want_limit_bytes);
	if (!g->sampled)
		return most(n, g->guess);
	return most(n, most(g->limit, g->sample.charged));
}

uint64_t guest_limit(const struct guest *g)
{
	return g->is_told ? g->told : g->limit;
}

bool guest_is_settling(const struct guest *g)
{
	/* Where nobody listens at the first call, nobody has much yet. */
	return (g->state == GUEST_CALLING && !g->calls) ||
	       (g->state == GUEST_ASKED && !g->silent);
}

bool guest_is_ready(const struct guest *g)
{
	return g->state == GUEST_WATCHED && !g->silent && !g->refuses_limit &&
	       !g->sample.stuck && g->sample.lowest < g->sample.mem;
}

void guest_set_limit(struct guest *g, uint64_t bytes)
{
	if (bytes == guest_limit(g))
		return;
	g->want_limit = g->is_told = true;
	g->want_limit_bytes = g->told = bytes;
	push(g);
}

void guest_set_balloon(struct guest *g, uint64_t bytes)
{
	if (g->refuses_balloon ||
	    (g->asked == REQUEST_BALLOON && g->asked_bytes == bytes))
		return;
	g->want_balloon = true;
	g->want_balloon_bytes = bytes;
	push(g);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t guest_due_ms(const struct guest *g)
{
	uint64_t due = UINT64_MAX;

	if (g->state == GUEST_FREE)
		return due;
	if (g->state == GUEST_CALLING)
		due = g->call_ms;
	due = sooner(due, g->answer_ms);
	due = sooner(due, link_unmute_ms(&g->link));
	return sooner(due, notice_due_ms(&g->notice));
}

/* What one has that does not say it. */
static uint64_t resident_bytes(pid_t pid)
{
	unsigned long long pages = 0;
	char path[40];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * POLICY_PAGE;
}

static void be_late(struct guest *g)
{
	g->answer_ms = UINT64_MAX;
	g->silent = true;
	if (!g->sampled)
		g->guess = most(g->guess, resident_bytes(g->pid));
	log_line("%s: does not answer; it counts as %.1f MiB", g->name,
		 (double)guest_counted(g) / (double)MIB);
	g->ops->changed(g->ops->ctx, g);
}

void guest_tick(struct guest *g, uint64_t now)
{
	if (g->state == GUEST_CALLING && g->call_ms <= now) {
		call(g, now);
		return;
	}
	if (link_unmute_ms(&g->link) <= now)
		link_unmute(&g->link);
	if (notice_due_ms(&g->notice) <= now)
		notice_flush(&g->notice, g->name, now);
	if (g->answer_ms <= now)
		be_late(g);
}

const char *guest_state_name(const struct guest *g)
{
	switch (g->state) {
	case GUEST_FREE:
		return "free";
	case GUEST_CALLING:
		return "calling";
	case GUEST_ASKED:
		return g->silent ? "no answer" : "asked";
	case GUEST_LOST:
		return "lost";
	case GUEST_WATCHED:
		break;
	}
	if (g->silent)
		return "no answer";
	return g->sample.running ? "running" : "paused";
}
