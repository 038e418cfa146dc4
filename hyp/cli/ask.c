// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "hyp/ctl/message.h"

/* The other side is to be trusted as far as memory goes: not at all. */
#define MAX_ANSWER (1u << 20)

static uint64_t left_ms(uint64_t until_ms)
{
	uint64_t now = now_ms();

	return now < until_ms ? until_ms - now : 0;
}

static enum ask_code no_vm(const char *path, int err, struct why *why)
{
	if (err == ENOENT || err == ECONNREFUSED || err == ENOTSOCK ||
	    err == ENOTDIR) {
		why_set(why, 0, "no VM is running at %s", path);
		return ASK_NO_VM;
	}
	if (err == EAGAIN || err == EPIPE || err == ECONNRESET)
		why_set(why, 0, "the VM at %s does not answer", path);
	else
		why_set(why, -err, "cannot ask the VM at %s", path);
	return ASK_REFUSED;
}

static char *request_text(const char *command, cJSON *argument, size_t *len)
{
	char *text;

	if (!argument)
		argument = cJSON_CreateObject();
	cJSON_AddNumberToObject(argument, "version", CTL_VERSION);
	cJSON_AddStringToObject(argument, "command", command);
	text = cJSON_PrintUnformatted(argument);
	cJSON_Delete(argument);
	if (text) {
		*len = strlen(text);
		text[*len] = '\n'; /* in place of the zero */
		++*len;
	}
	return text;
}

enum ask_code ask_open(struct ask *ask, const char *path, const char *command,
		       cJSON *argument, uint64_t until_ms, struct why *why)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint64_t left = left_ms(until_ms) + 1;
	struct timeval wait = { (time_t)(left / 1000),
				(suseconds_t)(left % 1000 * 1000) };
	size_t len = 0;
	char *text = request_text(command, argument, &len);
	ssize_t n;

	*ask = (struct ask){ .fd = -1 };
	if (!text || strlen(path) >= sizeof(addr.sun_path)) {
		free(text);
		why_set(why, 0, "%s is too long for a socket", path);
		return ASK_NO_VM;
	}
	strcpy(addr.sun_path, path);
	ask->fd = socket(
		AF_UNIX,
		SOCK_STREAM | SOCK_CLOEXEC | (until_ms ? 0 : SOCK_NONBLOCK), 0);
	/* Bounds connect(), too. */
	if (ask->fd < 0 ||
	    setsockopt(ask->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ||
	    connect(ask->fd, (const void *)&addr, sizeof(addr))) {
		free(text);
		return no_vm(path, errno, why);
	}
	/* Shorter than what a fresh socket takes at once. */
	n = send(ask->fd, text, len, MSG_NOSIGNAL);
	free(text);
	return n == (ssize_t)len ? ASK_OK :
				   no_vm(path, n < 0 ? errno : EAGAIN, why);
}

/* Return: bytes, 0 at the end, -1: in time nothing came. */
static ssize_t read_some(struct ask *ask, char *buf, size_t size,
			 uint64_t until_ms)
{
	struct pollfd in = { .fd = ask->fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		if (poll(&in, 1, (int)left_ms(until_ms)) == 0)
			return -1;
		n = read(ask->fd, buf, size);
		if (n >= 0)
			return n;
		if (errno != EINTR && errno != EAGAIN)
			return 0;
	}
}

/*
 * Return: ASK_OK: the line is ask->buf; ASK_NOT_YET: may be called again;
 * ASK_REFUSED.
 */
static enum ask_code read_line(struct ask *ask, uint64_t until_ms,
			       struct why *why)
{
	char *end;
	ssize_t n;

	if (!ask->buf)
		ask->buf = malloc(MAX_ANSWER);
	while (ask->buf && ask->len < MAX_ANSWER) {
		n = read_some(ask, ask->buf + ask->len, MAX_ANSWER - ask->len,
			      until_ms);
		if (n < 0)
			return ASK_NOT_YET;
		if (n == 0) {
			why_set(why, 0, "the VM ended before it answered");
			return ASK_REFUSED;
		}
		end = memchr(ask->buf + ask->len, '\n', (size_t)n);
		ask->len += (size_t)n;
		if (end) {
			*end = '\0';
			return ASK_OK;
		}
	}
	why_set(why, 0, "the VM's answer is too long");
	return ASK_REFUSED;
}

static enum ask_code refused(const cJSON *answer, struct why *why)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
	const char *field = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(error, "field"));
	const char *message = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(error, "message"));

	if (!message)
		why_set(why, 0, "the VM's answer is not understood");
	else if (field && *field)
		why_set(why, 0, "%s: %s", field, message);
	else
		why_set(why, 0, "%s", message);
	return ASK_REFUSED;
}

static enum ask_code read_answer(struct ask *ask, cJSON **result,
				 uint64_t until_ms, struct why *why)
{
	enum ask_code code = read_line(ask, until_ms, why);
	cJSON *answer;

	if (code != ASK_OK)
		return code;
	answer = cJSON_Parse(ask->buf);
	*result = NULL;
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok")))
		*result = cJSON_DetachItemFromObjectCaseSensitive(answer,
								  "result");
	code = *result ? ASK_OK : refused(answer, why);
	cJSON_Delete(answer);
	return code;
}

enum ask_code ask_answer(struct ask *ask, cJSON **result, uint64_t until_ms,
			 struct why *why)
{
	enum ask_code code = read_answer(ask, result, until_ms, why);

	if (code != ASK_NOT_YET)
		return code;
	why_set(why, 0, "the VM does not answer in time");
	return ASK_REFUSED;
}

enum ask_code ask_try(struct ask *ask, cJSON **result, struct why *why)
{
	return read_answer(ask, result, 0, why);
}

enum ask_code ask_wait_end(struct ask *ask, uint64_t until_ms, struct why *why)
{
	char buf[256];
	ssize_t n;

	do {
		n = read_some(ask, buf, sizeof(buf), until_ms);
	} while (n > 0);
	if (n == 0)
		return ASK_OK;
	why_set(why, 0, "the VM has not ended in time");
	return ASK_REFUSED;
}

void ask_close(struct ask *ask)
{
	if (ask->fd >= 0)
		close(ask->fd);
	ask->fd = -1;
	free(ask->buf);
	ask->buf = NULL;
}
