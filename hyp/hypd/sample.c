// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/sample.h"

#include <errno.h>
#include <string.h>

#include "hyp/ctl/message.h"

/* More than any VM has; sums of them over all VMs fit. */
#define MAX_BYTES (1ull << 50)

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static uint64_t whole(const cJSON *object, const char *name, struct why *why)
{
	uint64_t n = 0;

	if (!ctl_whole(get(object, name), &n))
		why_set(why, 0, "%s is no whole number", name);
	return n;
}

static uint64_t bytes(const cJSON *object, const char *name, uint64_t max,
		      struct why *why)
{
	uint64_t n = whole(object, name, why);

	if (n % POLICY_PAGE || n > max)
		why_set(why, 0, "%s cannot be %llu", name,
			(unsigned long long)n);
	return n;
}

static void parse_share(struct sample *s, const cJSON *json, struct why *why)
{
	struct share *share = &s->share;

	share->min_bytes = bytes(json, "min_bytes", s->mem, why);
	share->entitlement_bytes =
		bytes(json, "entitlement_bytes", s->mem, why);
	share->max_bytes = bytes(json, "max_bytes", s->mem, why);
	share->weight = whole(json, "weight", why);
	if (!share->weight || share->weight > SHARE_WEIGHT_MAX)
		why_set(why, 0, "weight cannot be %llu",
			(unsigned long long)share->weight);
}

/* Then lowering its limit would only make it worse. */
static bool is_stuck(const cJSON *reasons)
{
	const cJSON *reason;

	cJSON_ArrayForEach(reason, reasons)
	{
		if (cJSON_IsString(reason) &&
		    !strcmp(reason->valuestring, "swap"))
			return true;
	}
	return false;
}

static void parse_balloon(struct sample *s, const cJSON *balloon,
			  struct why *why)
{
	if (cJSON_IsNull(balloon))
		return;
	s->has_balloon = true;
	s->balloon_target = bytes(balloon, "target_bytes", s->mem, why);
	s->balloon_actual = bytes(balloon, "actual_bytes", s->mem, why);
}

static void parse_counters(struct sample *s, const cJSON *counters,
			   struct why *why)
{
	struct policy_counters *c = &s->counters;

	c->fault_preserved = whole(counters, "fault_preserved", why);
	c->fault_discard = whole(counters, "fault_discard", why);
	c->swapped_out = whole(counters, "swapped_out", why);
	c->has_stall = get(counters, "stall_us");
	if (c->has_stall)
		c->stall_us = whole(counters, "stall_us", why);
}

int sample_parse(struct sample *s, const cJSON *json, struct why *why)
{
	const char *state = cJSON_GetStringValue(get(json, "state"));

	*s = (struct sample){ .running = state && !strcmp(state, "running") };
	s->stuck = is_stuck(get(json, "paused_by"));
	if (!state)
		why_set(why, 0, "state is missing");
	s->mem = bytes(json, "mem_bytes", MAX_BYTES, why);
	if (!s->mem)
		why_set(why, 0, "mem_bytes cannot be 0");
	s->unlimited = cJSON_IsNull(get(json, "limit_bytes"));
	s->limit = s->unlimited ? s->mem :
				  bytes(json, "limit_bytes", s->mem, why);
	s->lowest = bytes(json, "lowest_limit_bytes", s->mem, why);
	s->charged = bytes(json, "charged_bytes", MAX_BYTES, why);
	s->resident = bytes(json, "resident_bytes", MAX_BYTES, why);
	s->preserved = bytes(json, "preserved_bytes", MAX_BYTES, why);
	parse_share(s, get(json, "share"), why);
	parse_balloon(s, get(json, "balloon"), why);
	parse_counters(s, get(json, "counters"), why);
	/* It may be a little more while frames are moved. */
	if (s->charged > s->mem)
		s->charged = s->mem;
	return why->text[0] ? -EINVAL : 0;
}
