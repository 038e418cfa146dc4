// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/share.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "hyp/config.h"

/* "NAME=SIZE" of @len characters. Return: as share_parse() */
static int parse_one(struct share_change *change, const char *text, size_t len,
		     struct why *why)
{
	const struct {
		const char *name;
		uint64_t *value;
		bool *has;
	} settings[] = {
		{ "min", &change->to.min_bytes, &change->has_min },
		{ "entitlement", &change->to.entitlement_bytes,
		  &change->has_entitlement },
		{ "max", &change->to.max_bytes, &change->has_max },
		{ "weight", &change->to.weight, &change->has_weight },
	};
	size_t name_len = strcspn(text, "=,");
	bool has_value = name_len < len;
	const char *from = text + name_len + has_value;
	size_t value_len = len - name_len - has_value;
	char value[32] = "";
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (strlen(settings[i].name) == name_len &&
		    !memcmp(settings[i].name, text, name_len))
			break;
	if (i == ARRAY_SIZE(settings))
		return why_set(
			why, 0,
			"\"%.*s\" is unknown; \"min\", \"entitlement\", \"max\" and \"weight\" are known",
			(int)name_len, text);
	if (value_len < sizeof(value))
		memcpy(value, from, value_len);
	if (config_parse_size(value, settings[i].value) ||
	    (settings[i].value == &change->to.weight &&
	     !isdigit((unsigned char)value[value_len - 1])))
		return why_set(why, 0, "%s: \"%.*s\" is not a %s",
			       settings[i].name, (int)value_len, from,
			       settings[i].value == &change->to.weight ?
				       "number" :
				       "size; write e.g. 256M");
	*settings[i].has = true;
	return 0;
}

int share_parse(struct share_change *change, const char *text, struct why *why)
{
	size_t len;
	int err = 0;

	*change = (struct share_change){ 0 };
	do {
		len = strcspn(text, ",");
		err = parse_one(change, text, len, why);
		text += len;
	} while (!err && *text++);
	return err;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void share_set(struct share *share, const struct share_change *change,
	       uint64_t mem_bytes)
{
	*share = (struct share){ 0, 0, mem_bytes, SHARE_WEIGHT };
	share_update(share, change);
	if (!change->has_entitlement)
		share->entitlement_bytes = share->max_bytes;
	if (!change->has_min)
		share->min_bytes =
			least(CONFIG_LIMIT_FLOOR, share->entitlement_bytes);
}

void share_update(struct share *share, const struct share_change *change)
{
	if (change->has_min)
		share->min_bytes = change->to.min_bytes;
	if (change->has_entitlement)
		share->entitlement_bytes = change->to.entitlement_bytes;
	if (change->has_max)
		share->max_bytes = change->to.max_bytes;
	if (change->has_weight)
		share->weight = change->to.weight;
}

const char *share_check(const struct share *share, uint64_t mem_bytes,
			struct why *why)
{
	const struct {
		const char *name;
		uint64_t bytes;
	} sizes[] = { { "min", share->min_bytes },
		      { "entitlement", share->entitlement_bytes },
		      { "max", share->max_bytes },
		      { "the VM's memory", mem_bytes } };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (sizes[i].bytes % 4096)
			why_set(why, 0, "%" PRIu64 " is not a multiple of 4K",
				sizes[i].bytes);
		else if (sizes[i].bytes > sizes[i + 1].bytes)
			why_set(why, 0, "%lluK is more than %s, %lluK",
				sizes[i].bytes / KIB, sizes[i + 1].name,
				sizes[i + 1].bytes / KIB);
		else
			continue;
		return sizes[i].name;
	}
	if (share->max_bytes < CONFIG_LIMIT_FLOOR) {
		why_set(why, 0, "%lluK is less than the lowest limit, %lluK",
			share->max_bytes / KIB, CONFIG_LIMIT_FLOOR / KIB);
		return "max";
	}
	if (share->weight && share->weight <= SHARE_WEIGHT_MAX)
		return NULL;
	why_set(why, 0, "%" PRIu64 " is not a number from 1 to %u",
		share->weight, SHARE_WEIGHT_MAX);
	return "weight";
}
