// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every state byte x every operation against a table that was written down
 * from the specification, not computed: it knows nothing of bits or masks of
 * <essa/step.h>.  Then the invariants that must hold whatever the table says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <essa/step.h>

#include "essa-emu/tests/step_rules.h"

struct fields {
	unsigned int row, column, busy, unused;
};

static struct fields take_apart(unsigned int byte)
{
	return (struct fields){
		.row = byte % 8,
		.column = byte / 8 % 4,
		.busy = byte / 32 % 2,
		.unused = byte / 64,
	};
}

static int put_together(struct fields f)
{
	return (int)(f.row + 8 * f.column + 32 * f.busy + 64 * f.unused);
}

static int expected(const struct guest_rule *rule, unsigned int byte)
{
	static const char *const names[8] = {
		"S", "U", "V", "P", "S+", "U+", "V+", "P+",
	};
	struct fields f = take_apart(byte);
	const char *cell = rule->cell[f.busy][f.row][f.column];

	if (!strcmp(cell, "wait"))
		return ESSA_WAIT;
	if (!strcmp(cell, "."))
		return (int)byte;
	for (f.row = 0; f.row < 7 && strcmp(names[f.row], cell);)
		f.row++;
	assert_string_equal(names[f.row], cell);
	return put_together(f);
}

static void every_operation_of_the_guest_is_as_specified(void **s)
{
	unsigned int i, byte;

	(void)s;
	assert_int_equal(sizeof(guest_rules) / sizeof(guest_rules[0]),
			 ESSA_NR_OPS);
	for (i = 0; i < ESSA_NR_OPS; i++) {
		assert_int_equal(guest_rules[i].op, i);
		for (byte = 0; byte < 256; byte++) {
			int want = expected(&guest_rules[i], byte);
			int got = essa_next((__u8)byte, i);

			if (got != want)
				fail_msg("op %u on %02x: %d, not %d", i, byte,
					 got, want);
		}
	}
}

static void unknown_operations_change_nothing(void **s)
{
	static const unsigned int ops[] = { 10, 11, 16, 255, 256, ~0u };
	unsigned int i, byte;

	(void)s;
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		for (byte = 0; byte < 256; byte++)
			assert_int_equal(essa_next((__u8)byte, ops[i]), byte);
}

static void host_discards_are_as_specified(void **s)
{
	unsigned int byte;
	int clean;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		for (clean = 0; clean < 2; clean++) {
			struct fields f = take_apart(byte);
			char rule = discard_rules[f.busy][f.row][f.column];
			int want = ESSA_REFUSED;

			if (rule == 'y' || (rule == 'c' && clean)) {
				f.column = 2;
				f.busy = 1;
				want = put_together(f);
			}
			assert_int_equal(essa_host_discard((__u8)byte, clean),
					 want);
		}
	}
}

static void host_content_changes_are_as_specified(void **s)
{
	static const __u8 content[3] = {
		ESSA_RESIDENT,
		ESSA_PRESERVED,
		ESSA_ZERO,
	};
	unsigned int byte, i;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		for (i = 0; i < 3; i++) {
			struct fields f = take_apart(byte);
			int want = ESSA_REFUSED;

			if (!f.busy &&
			    content_rules[f.row][f.column][i] != 'n') {
				f.column = i;
				want = put_together(f);
			}
			assert_int_equal(essa_host_content((__u8)byte,
							   content[i]),
					 want);
		}
	}
}

static void release_clears_busy_and_nothing_else(void **s)
{
	unsigned int byte;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		struct fields f = take_apart(byte);

		f.busy = 0;
		assert_int_equal(essa_host_released((__u8)byte),
				 put_together(f));
	}
}

static void discarded_means_volatile_without_content(void **s)
{
	unsigned int byte;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		struct fields f = take_apart(byte);
		int want = f.column == 2 && (f.row == 2 || f.row == 3 ||
					     f.row == 6 || f.row == 7);

		assert_int_equal(!!essa_is_discarded((__u8)byte), want);
	}
}

/* Bits 0 to 2 are the guest's, all others are not. */
static void guest_never_changes_bits_of_the_host(void **s)
{
	unsigned int byte, op;

	(void)s;
	for (op = 0; op < ESSA_NR_OPS; op++)
		for (byte = 0; byte < 256; byte++) {
			int next = essa_next((__u8)byte, op);

			if (next >= 0)
				assert_int_equal(next / 8, byte / 8);
		}
}

static void host_never_changes_bits_of_the_guest(void **s)
{
	unsigned int byte, i;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		int next[] = {
			essa_host_discard((__u8)byte, 0),
			essa_host_discard((__u8)byte, 1),
			essa_host_released((__u8)byte),
			essa_host_content((__u8)byte, ESSA_RESIDENT),
			essa_host_content((__u8)byte, ESSA_PRESERVED),
			essa_host_content((__u8)byte, ESSA_ZERO),
		};

		for (i = 0; i < sizeof(next) / sizeof(next[0]); i++)
			if (next[i] >= 0) {
				assert_int_equal(next[i] % 8, byte % 8);
				assert_int_equal(next[i] / 64, byte / 64);
			}
	}
}

static void nothing_becomes_stable_while_busy(void **s)
{
	unsigned int byte, op;

	(void)s;
	for (op = 0; op < ESSA_NR_OPS; op++)
		for (byte = 0; byte < 256; byte++) {
			struct fields f = take_apart(byte);
			int next = essa_next((__u8)byte, op);

			if (f.busy && f.row % 4 && next >= 0)
				assert_int_not_equal(next % 4, 0);
		}
}

static void stable_or_pending_is_never_discarded(void **s)
{
	unsigned int byte;

	(void)s;
	for (byte = 0; byte < 256; byte++)
		if (byte % 4 == 0 || byte % 8 >= 4) {
			assert_int_equal(essa_host_discard((__u8)byte, 0),
					 ESSA_REFUSED);
			assert_int_equal(essa_host_discard((__u8)byte, 1),
					 ESSA_REFUSED);
		}
}

/* Only essa_host_discard() makes a frame discarded, and it says busy. */
static void only_a_discard_makes_a_frame_discarded(void **s)
{
	unsigned int byte, op;
	int next;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		if (essa_is_discarded((__u8)byte))
			continue;
		for (op = 0; op < ESSA_NR_OPS; op++) {
			next = essa_next((__u8)byte, op);
			if (next >= 0)
				assert_false(essa_is_discarded((__u8)next));
		}
		assert_false(essa_is_discarded(
			(__u8)essa_host_released((__u8)byte)));
		next = essa_host_content((__u8)byte, ESSA_ZERO);
		if (next >= 0)
			assert_false(essa_is_discarded((__u8)next));
		next = essa_host_discard((__u8)byte, 1);
		if (next >= 0)
			assert_true(take_apart((unsigned int)next).busy);
	}
}

/* What the guest may do again after a lost race must not add up. */
static void operations_are_idempotent(void **s)
{
	unsigned int byte, op;

	(void)s;
	for (op = 0; op < ESSA_NR_OPS; op++)
		for (byte = 0; byte < 256; byte++) {
			int once = essa_next((__u8)byte, op);

			if (once >= 0)
				assert_int_equal(essa_next((__u8)once, op),
						 once);
		}
}

/* R-ORD-1's short cut for a frame that is being freed, and for no other. */
static void or_of_unused_is_set_unused_for_stable_frames(void **s)
{
	unsigned int byte;

	(void)s;
	for (byte = 0; byte < 256; byte++) {
		int stable = !(byte & (ESSA_USAGE_MASK | ESSA_PENDING));
		int next = essa_next((__u8)byte, ESSA_OP_SET_UNUSED);

		if (stable)
			assert_int_equal(next, byte | ESSA_UNUSED);
		else if ((byte & ESSA_USAGE_MASK) != ESSA_UNUSED ||
			 byte & ESSA_PENDING)
			assert_int_not_equal(next, byte | ESSA_UNUSED);
	}
}

/* Every byte in every lane, beside others; xorshift64 for these. */
static void words_are_eight_bytes(void **state)
{
	static const unsigned int ops[] = {
		ESSA_OP_SET_STABLE,
		ESSA_OP_SET_UNUSED,
		ESSA_OP_SET_VOLATILE,
		ESSA_OP_SET_STABLE_IF_KEPT,
	};
	unsigned int allowed = 0;
	__u64 rng = 0x9e3779b97f4a7c15ull;
	unsigned int o, byte, lane, i, waits = 0;

	(void)state;
	for (o = 0; o < 4 * 256 * 8; o++) {
		const unsigned int op = ops[o & 3];
		__u64 old, next, want = 0, discarded = 0;
		int wait = 0, ret;

		byte = o / 4 % 256;
		lane = o / 1024;
		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		/* Busy in one word of four, or hardly any would go through. */
		old = o % 7 < 5 ? rng & ~ESSA_LANES(ESSA_BUSY) : rng;
		old &= ~(0xffull << 8 * lane);
		old |= (__u64)byte << 8 * lane;
		for (i = 0; i < 8; i++) {
			int b = essa_next((uint8_t)(old >> 8 * i), op);

			if (b == ESSA_WAIT)
				wait = 1;
			else
				want |= (__u64)(uint8_t)b << 8 * i;
			if (essa_is_discarded((uint8_t)(old >> 8 * i)))
				discarded |= 1ull << 8 * i;
		}
		assert_true(essa_discarded_lanes(old) == discarded);
		ret = essa_next_word(old, op, &next);
		assert_int_equal(ret, wait ? ESSA_WAIT : 0);
		if (!wait)
			assert_true(next == want);
		waits += wait;
	}
	assert_in_range(waits, 600, 7000);
	for (o = 0; o < 4; o++)
		allowed |= 1u << ops[o];
	for (o = 0; o < 16; o++)
		if (!(allowed & 1u << o))
			assert_int_equal(essa_next_word(0, o, &rng), ESSA_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_eight_bytes),
		cmocka_unit_test(every_operation_of_the_guest_is_as_specified),
		cmocka_unit_test(unknown_operations_change_nothing),
		cmocka_unit_test(host_discards_are_as_specified),
		cmocka_unit_test(host_content_changes_are_as_specified),
		cmocka_unit_test(release_clears_busy_and_nothing_else),
		cmocka_unit_test(discarded_means_volatile_without_content),
		cmocka_unit_test(guest_never_changes_bits_of_the_host),
		cmocka_unit_test(host_never_changes_bits_of_the_guest),
		cmocka_unit_test(nothing_becomes_stable_while_busy),
		cmocka_unit_test(stable_or_pending_is_never_discarded),
		cmocka_unit_test(only_a_discard_makes_a_frame_discarded),
		cmocka_unit_test(operations_are_idempotent),
		cmocka_unit_test(or_of_unused_is_set_unused_for_stable_frames),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
