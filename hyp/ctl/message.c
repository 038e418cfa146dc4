// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/ctl/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WHOLE 9007199254740992.0 /* of a double, that JSON has */

int ctl_error_set(struct ctl_error *error, const char *field, const char *fmt,
		  ...)
{
	va_list ap;

	snprintf(error->field, sizeof(error->field), "%s", field);
	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static const cJSON *get(const struct ctl_request *req, const char *field)
{
	return cJSON_GetObjectItemCaseSensitive(req->object, field);
}

static int parse_id(struct ctl_request *req, struct ctl_error *error)
{
	const cJSON *id = get(req, "id");
	char *text = id ? cJSON_PrintUnformatted(id) : strdup("null");

	if (!text)
		return ctl_error_set(error, "", "out of memory");
	if (strlen(text) > CTL_MAX_ID) {
		free(text);
		return ctl_error_set(error, "id", "longer than %u bytes",
				     CTL_MAX_ID);
	}
	free(req->id);
	req->id = text;
	return 0;
}

int ctl_request_parse(struct ctl_request *req, const char *line, size_t len,
		      struct ctl_error *error)
{
	const char *end = NULL;
	const cJSON *item;
	int err;

	*req = (struct ctl_request){ .id = strdup("null") };
	req->object = cJSON_ParseWithLengthOpts(line, len, &end, 0);
	while (end && end < line + len && strchr(" \t\r", *end) && *end)
		end++;
	if (!req->id || !req->object || end != line + len)
		return ctl_error_set(error, "", "this is not JSON");
	if (!cJSON_IsObject(req->object))
		return ctl_error_set(error, "", "this is not a JSON object");
	err = parse_id(req, error);
	if (err)
		return err;
	item = get(req, "version");
	if (!cJSON_IsNumber(item) || item->valuedouble != CTL_VERSION)
		return ctl_error_set(error, "version", "%s; this hyp speaks %d",
				     item ? "unknown" : "missing", CTL_VERSION);
	item = get(req, "command");
	if (!cJSON_IsString(item))
		return ctl_error_set(error, "command", "%s",
				     item ? "not a string" : "missing");
	req->command = item->valuestring;
	return 0;
}

void ctl_request_fini(struct ctl_request *req)
{
	cJSON_Delete(req->object);
	free(req->id);
}

int ctl_request_fields(const struct ctl_request *req, const char *const *known,
		       struct ctl_error *error)
{
	static const char *const always[] = { "version", "id", "command",
					      NULL };
	const char *const *name;
	const cJSON *item;

	cJSON_ArrayForEach(item, req->object)
	{
		for (name = always; *name && strcmp(*name, item->string);)
			name++;
		if (*name)
			continue;
		for (name = known; *name && strcmp(*name, item->string);)
			name++;
		if (!*name)
			return ctl_error_set(error, item->string,
					     "\"%s\" has no such field",
					     req->command);
	}
	return 0;
}

bool ctl_whole(const cJSON *item, uint64_t *n)
{
	/* Also false for what is no number at all. */
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
	    !(item->valuedouble <= MAX_WHOLE) ||
	    (double)(uint64_t)item->valuedouble != item->valuedouble)
		return false;
	*n = (uint64_t)item->valuedouble;
	return true;
}

int ctl_number(const struct ctl_request *req, const char *field, uint64_t *n,
	       struct ctl_error *error)
{
	const cJSON *item = get(req, field);

	if (!item)
		return -ENOENT;
	if (!ctl_whole(item, n))
		return ctl_error_set(error, field, "not a whole number");
	return 0;
}

void ctl_add_u64(cJSON *object, const char *name, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	cJSON_AddRawToObject(object, name, text);
}

/* @body is freed.  @id: NULL: none. */
static char *finish(const char *id, cJSON *body)
{
	cJSON *all = cJSON_CreateObject();
	size_t len;
	char *text, *line;

	cJSON_AddNumberToObject(all, "version", CTL_VERSION);
	if (id)
		cJSON_AddRawToObject(all, "id", id);
	while (body && body->child) {
		cJSON *item = cJSON_DetachItemViaPointer(body, body->child);

		if (!cJSON_AddItemToObject(all, item->string, item)) {
			cJSON_Delete(item);
			break;
		}
	}
	cJSON_Delete(body);
	text = cJSON_PrintUnformatted(all);
	cJSON_Delete(all);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

char *ctl_result_text(const char *id, cJSON *result)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddTrueToObject(body, "ok");
	if (!cJSON_AddItemToObject(body, "result", result)) {
		cJSON_Delete(body);
		cJSON_Delete(result);
		return NULL;
	}
	return finish(id, body);
}

char *ctl_error_text(const char *id, const struct ctl_error *error)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *inner;

	cJSON_AddFalseToObject(body, "ok");
	inner = cJSON_AddObjectToObject(body, "error");
	cJSON_AddStringToObject(inner, "field", error->field);
	cJSON_AddStringToObject(inner, "message", error->message);
	return finish(id, body);
}

char *ctl_event_text(cJSON *event)
{
	return event ? finish(NULL, event) : NULL;
}
