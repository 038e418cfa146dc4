// SPDX-License-Identifier: GPL-2.0-only
/* What a VM says: good as a whole, or refused with the name of what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyp/hypd/sample.h"

static const char good[] =
	"{\"timestamp_ms\":1,\"uptime_ms\":1,\"name\":\"a\",\"pid\":1,"
	"\"state\":\"running\",\"paused_by\":[],\"mem_bytes\":67108864,"
	"\"limit_bytes\":33554432,\"resident_bytes\":16777216,"
	"\"preserved_bytes\":0,\"charged_bytes\":16781312,"
	"\"lowest_limit_bytes\":16777216,\"hints\":true,\"share\":{"
	"\"min_bytes\":4096,\"entitlement_bytes\":8192,\"max_bytes\":67108864,"
	"\"weight\":100},\"balloon\":{\"target_bytes\":4096,\"actual_bytes\":0},"
	"\"counters\":{\"fault_preserved\":1,\"fault_discard\":2,\"fault_zero\":3,"
	"\"swapped_out\":4,\"swapped_in\":5,\"discarded\":6}}";

/* With @value (JSON; NULL: nothing) in place of object.field or field. */
static int parse_with(struct sample *s, struct why *why, const char *object,
		      const char *field, const char *value)
{
	cJSON *json = cJSON_Parse(good);
	cJSON *in = object ? cJSON_GetObjectItem(json, object) : json;
	int err;

	assert_non_null(in);
	if (field)
		cJSON_DeleteItemFromObject(in, field);
	if (field && value)
		cJSON_AddItemToObject(in, field, cJSON_Parse(value));
	*why = (struct why){ "" };
	err = sample_parse(s, json, why);
	cJSON_Delete(json);
	return err;
}

static void a_good_sample_is_understood(void **state)
{
	struct sample s;
	struct why why;

	(void)state;
	assert_int_equal(parse_with(&s, &why, NULL, NULL, NULL), 0);
	assert_int_equal(s.mem, 64 * MIB);
	assert_int_equal(s.limit, 32 * MIB);
	assert_false(s.unlimited);
	assert_true(s.running);
	assert_true(s.has_balloon);
	assert_int_equal(s.balloon_target, 4096);
	assert_int_equal(s.share.entitlement_bytes, 8192);
	assert_int_equal(s.counters.swapped_out, 4);
	assert_false(s.counters.has_stall);
	assert_int_equal(parse_with(&s, &why, "counters", "stall_us", "9"), 0);
	assert_true(s.counters.has_stall);
	assert_int_equal(parse_with(&s, &why, NULL, "limit_bytes", "null"), 0);
	assert_true(s.unlimited);
	assert_int_equal(s.limit, s.mem);
	assert_int_equal(parse_with(&s, &why, NULL, "balloon", "null"), 0);
	assert_false(s.has_balloon);
	assert_int_equal(parse_with(&s, &why, NULL, "state", "\"paused\""), 0);
	assert_false(s.running);
	assert_false(s.stuck);
	assert_int_equal(parse_with(&s, &why, NULL, "paused_by",
				    "[7,\"user\",\"swap\"]"),
			 0);
	assert_true(s.stuck);
	/* More than there is cannot be charged. */
	assert_int_equal(
		parse_with(&s, &why, NULL, "charged_bytes", "1073741824"), 0);
	assert_int_equal(s.charged, s.mem);
	/* What is new is not our affair. */
	assert_int_equal(parse_with(&s, &why, NULL, "colour", "[]"), 0);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *object, *field, *value, *named;
	} cases[] = {
		{ NULL, "state", NULL, "state" },
		{ NULL, "state", "7", "state" },
		{ NULL, "mem_bytes", NULL, "mem_bytes" },
		{ NULL, "mem_bytes", "0", "mem_bytes" },
		{ NULL, "mem_bytes", "4097", "mem_bytes" },
		{ NULL, "mem_bytes", "-4096", "mem_bytes" },
		{ NULL, "mem_bytes", "1e300", "mem_bytes" },
		{ NULL, "mem_bytes", "2251799813685248", "mem_bytes" },
		{ NULL, "mem_bytes", "\"64M\"", "mem_bytes" },
		{ NULL, "limit_bytes", "67112960", "limit_bytes" },
		{ NULL, "limit_bytes", "1", "limit_bytes" },
		{ NULL, "limit_bytes", NULL, "limit_bytes" },
		{ NULL, "lowest_limit_bytes", "67112960", "lowest_limit" },
		{ NULL, "charged_bytes", "true", "charged_bytes" },
		{ NULL, "resident_bytes", "9007199254740992", "resident" },
		{ "share", "min_bytes", "67112960", "min_bytes" },
		{ "share", "entitlement_bytes", "1.5", "entitlement" },
		{ "share", "max_bytes", "67112960", "max_bytes" },
		{ "share", "weight", "0", "weight" },
		{ "share", "weight", "10001", "weight" },
		{ NULL, "share", NULL, "min_bytes" },
		{ "balloon", "target_bytes", "67112960", "target_bytes" },
		{ "balloon", "actual_bytes", "-1", "actual_bytes" },
		{ NULL, "balloon", NULL, "target_bytes" },
		{ "counters", "swapped_out", "-1", "swapped_out" },
		{ "counters", "stall_us", "\"1\"", "stall_us" },
		{ NULL, "counters", "[]", "fault_preserved" },
	};
	struct sample s;
	struct why why;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!parse_with(&s, &why, cases[i].object, cases[i].field,
				cases[i].value))
			fail_msg("%s %s is believed", cases[i].field,
				 cases[i].value ? cases[i].value : "missing");
		if (!strstr(why.text, cases[i].named))
			fail_msg("not %s: %s", cases[i].named, why.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_sample_is_understood),
		cmocka_unit_test(what_is_wrong_is_named),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
