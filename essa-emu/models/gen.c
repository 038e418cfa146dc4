// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints <essa/step.h> as tables for the models, so that what is proven is what
 * the code does.  The models keep bits 5:0; that no step looks at or changes
 * the other two is checked here, for all 256 bytes.
 */
#include <stdio.h>

#include <essa/step.h>

#define NR_STATES 64
/* Promela has bytes only; neither is a state. */
#define MODEL_WAIT    255
#define MODEL_REFUSED 254

static int bad;

static int encode(int next)
{
	if (next == ESSA_WAIT)
		return MODEL_WAIT;
	if (next == ESSA_REFUSED)
		return MODEL_REFUSED;
	return next;
}

/* Step number @step of a table; the tables are below. */
static int next_of(__u8 old, int step)
{
	return essa_next(old, (unsigned int)step);
}

static int discard_of(__u8 old, int step)
{
	return essa_host_discard(old, step);
}

static int content_of(__u8 old, int step)
{
	return essa_host_content(old, (__u8)(step << ESSA_CONTENT_SHIFT));
}

static int released_of(__u8 old, int step)
{
	(void)step;
	return essa_host_released(old);
}

static int is_discarded_of(__u8 old, int step)
{
	(void)step;
	return essa_is_discarded(old);
}

static void print_table(const char *name, int (*fn)(__u8, int), int nr_steps,
			int is_state)
{
	int step, old, high;

	printf("hidden byte %s[%d] = {", name, nr_steps * NR_STATES);
	for (step = 0; step < nr_steps; step++)
		for (old = 0; old < NR_STATES; old++) {
			int low = fn((__u8)old, step);

			printf("%s%s%d", step || old ? "," : "",
			       old % 16 ? " " : "\n\t", encode(low));
			bad |= low >= NR_STATES;
			for (high = NR_STATES; high < 256; high += NR_STATES) {
				int next = fn((__u8)(old | high), step);

				bad |= next != (is_state && low >= 0 ?
							low | high :
							low);
			}
		}
	printf("\n}\n");
}

#define CONSTANT(name) printf("#define " #name " %d\n", (int)name)

int main(void)
{
	puts("/* SPDX-License-Identifier: GPL-2.0-only */");
	puts("/* Generated from essa/step.h */");
	CONSTANT(ESSA_USAGE_MASK);
	CONSTANT(ESSA_STABLE);
	CONSTANT(ESSA_UNUSED);
	CONSTANT(ESSA_VOLATILE);
	CONSTANT(ESSA_POTENTIAL);
	CONSTANT(ESSA_PENDING);
	CONSTANT(ESSA_CONTENT_MASK);
	CONSTANT(ESSA_RESIDENT);
	CONSTANT(ESSA_PRESERVED);
	CONSTANT(ESSA_ZERO);
	CONSTANT(ESSA_BUSY);
	CONSTANT(ESSA_OP_SET_STABLE);
	CONSTANT(ESSA_OP_SET_UNUSED);
	CONSTANT(ESSA_OP_SET_VOLATILE);
	CONSTANT(ESSA_OP_SET_POTENTIAL);
	CONSTANT(ESSA_OP_SET_STABLE_IF_KEPT);
	CONSTANT(ESSA_OP_SET_PENDING);
	CONSTANT(ESSA_OP_COMMIT_VOLATILE);
	CONSTANT(ESSA_OP_COMMIT_POTENTIAL);
	printf("#define ESSA_WAIT %d\n", MODEL_WAIT);
	printf("#define ESSA_REFUSED %d\n", MODEL_REFUSED);
	print_table("essa_next_table", next_of, ESSA_NR_OPS, 1);
	print_table("essa_discard_table", discard_of, 2, 1);
	print_table("essa_content_table", content_of, 3, 1);
	print_table("essa_released_table", released_of, 1, 1);
	print_table("essa_discarded_table", is_discarded_of, 1, 0);
	if (bad)
		fputs("gen: a step looks at or changes bits 7:6\n", stderr);
	return bad;
}
