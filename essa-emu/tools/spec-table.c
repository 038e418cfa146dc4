// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Prints the transition table of SPEC.md from the transition functions, so
 * that the text cannot say anything else than the code.
 *
 * A state is one of 8 guest parts (usage, pending) x 3 contents x busy or not.
 * A column covers all combinations of some guest parts, some contents and some
 * values of busy on which every row of its table agrees: the largest such box
 * first, until each state is in one.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <essa/step.h>

#define NR_GUEST   8
#define NR_CONTENT 3
#define NR_BUSY	   2
#define NR_STATES  (NR_GUEST * NR_CONTENT * NR_BUSY)
#define MAX_CELL   24

static const char *const guest_names[NR_GUEST] = {
	"S", "U", "V", "P", "S+", "U+", "V+", "P+",
};
static const char content_names[] = "rpz?";

struct row {
	const char *name;
	int (*step)(__u8 byte, unsigned int arg);
	unsigned int arg;
};

static int guest_step(__u8 byte, unsigned int op)
{
	return essa_next(byte, op);
}

static int discard_step(__u8 byte, unsigned int clean)
{
	return essa_host_discard(byte, (int)clean);
}

static int released_step(__u8 byte, unsigned int unused)
{
	(void)unused;
	return essa_host_released(byte);
}

static int content_step(__u8 byte, unsigned int content)
{
	return essa_host_content(byte, (__u8)content);
}

static const struct row guest_rows[ESSA_NR_OPS] = {
	{ "0 get state", guest_step, ESSA_OP_GET },
	{ "1 set stable", guest_step, ESSA_OP_SET_STABLE },
	{ "2 set unused", guest_step, ESSA_OP_SET_UNUSED },
	{ "3 set volatile", guest_step, ESSA_OP_SET_VOLATILE },
	{ "4 set potentially volatile", guest_step, ESSA_OP_SET_POTENTIAL },
	{ "5 set stable and make resident", guest_step,
	  ESSA_OP_SET_STABLE_RESIDENT },
	{ "6 set stable if kept", guest_step, ESSA_OP_SET_STABLE_IF_KEPT },
	{ "7 set pending (*ours*)", guest_step, ESSA_OP_SET_PENDING },
	{ "8 commit volatile (*ours*)", guest_step, ESSA_OP_COMMIT_VOLATILE },
	{ "9 commit potentially volatile (*ours*)", guest_step,
	  ESSA_OP_COMMIT_POTENTIAL },
};

static const struct row host_rows[] = {
	{ "commit a discard", discard_step, 0 },
	{ "the same, known unwritten", discard_step, 1 },
	{ "end of release", released_step, 0 },
	{ "content becomes resident", content_step, ESSA_RESIDENT },
	{ "content becomes preserved", content_step, ESSA_PRESERVED },
	{ "content becomes zero", content_step, ESSA_ZERO },
};

#define NR_HOST_ROWS (sizeof(host_rows) / sizeof(host_rows[0]))

static __u8 byte_of(unsigned int state)
{
	unsigned int guest = state % NR_GUEST;
	unsigned int content = state / NR_GUEST % NR_CONTENT;
	unsigned int busy = state / NR_GUEST / NR_CONTENT;

	return (__u8)(guest | content << ESSA_CONTENT_SHIFT |
		      (busy ? ESSA_BUSY : 0));
}

/* What a step gives, in words: the parts of the byte that @parts names. */
static void describe(char *cell, int next, unsigned int parts)
{
	char *end = cell + MAX_CELL;

	cell[0] = 0;
	if (next == ESSA_WAIT)
		snprintf(cell, MAX_CELL, "wait");
	else if (next == ESSA_REFUSED)
		snprintf(cell, MAX_CELL, "no");
	else if (next < 0)
		snprintf(cell, MAX_CELL, "?");
	if (next < 0)
		return;
	if (parts & 0x07)
		cell += snprintf(cell, (size_t)(end - cell), "%s ",
				 guest_names[next & 0x07]);
	if (parts & ESSA_CONTENT_MASK)
		cell += snprintf(cell, (size_t)(end - cell), "%c ",
				 content_names[(next & ESSA_CONTENT_MASK) >>
					       ESSA_CONTENT_SHIFT]);
	if (parts & ESSA_BUSY)
		cell += snprintf(cell, (size_t)(end - cell), "%s ",
				 next & ESSA_BUSY ? "busy" : "idle");
	if (parts & 0xc0)
		cell += snprintf(cell, (size_t)(end - cell), "? ");
	cell[-1] = 0;
}

/*
 * The cell of a row for a set of states: "." if none of them changes, else what
 * becomes of the parts that change in any of them.  Return: false if the states
 * do not agree on that.
 */
static bool cell_of(char *cell, const struct row *row,
		    const unsigned char *states, unsigned int nr)
{
	char other[MAX_CELL] = "";
	unsigned int parts = 0;
	bool steps = false;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		int next = row->step(byte_of(states[i]), row->arg);

		if (next >= 0) {
			parts |= (unsigned int)next ^ byte_of(states[i]);
			steps = true;
		}
	}
	/* A part is the guest's three bits, the content, or busy: whole. */
	if (parts & 0x07)
		parts |= 0x07;
	if (parts & ESSA_CONTENT_MASK)
		parts |= ESSA_CONTENT_MASK;
	snprintf(cell, MAX_CELL, ".");
	if (steps && !parts) {
		for (i = 0; i < nr; i++)
			if (row->step(byte_of(states[i]), row->arg) < 0)
				return false;
		return true;
	}
	for (i = 0; i < nr; i++) {
		describe(i ? other : cell,
			 row->step(byte_of(states[i]), row->arg), parts);
		if (i && strcmp(cell, other) != 0)
			return false;
	}
	return true;
}

/* A box: sets of guest parts, contents, busy values, as bit masks. */
struct box {
	unsigned int guest, content, busy;
};

static unsigned int states_of(struct box b, unsigned char *states)
{
	unsigned int nr = 0;
	unsigned int s;

	for (s = 0; s < NR_STATES; s++)
		if ((b.guest >> s % NR_GUEST & 1) &&
		    (b.content >> s / NR_GUEST % NR_CONTENT & 1) &&
		    (b.busy >> s / NR_GUEST / NR_CONTENT & 1))
			states[nr++] = (unsigned char)s;
	return nr;
}

static bool agrees(struct box b, const struct row *rows, size_t nr_rows,
		   const bool *todo, unsigned int *nr)
{
	unsigned char states[NR_STATES];
	char cell[MAX_CELL];
	unsigned int i;

	*nr = states_of(b, states);
	for (i = 0; i < *nr; i++)
		if (!todo[states[i]])
			return false;
	for (i = 0; i < nr_rows; i++)
		if (!cell_of(cell, &rows[i], states, *nr))
			return false;
	return true;
}

/* The largest box of states still to do that holds @first. */
static struct box largest(unsigned int first, const struct row *rows,
			  size_t nr_rows, const bool *todo)
{
	struct box best = { 0, 0, 0 };
	unsigned int best_nr = 0;
	unsigned int nr;
	struct box b;

	for (b.busy = 1; b.busy < 1u << NR_BUSY; b.busy++)
		for (b.content = 1; b.content < 1u << NR_CONTENT; b.content++)
			for (b.guest = 1; b.guest < 1u << NR_GUEST; b.guest++) {
				if (!(b.guest >> first % NR_GUEST & 1) ||
				    !(b.content >>
					      first / NR_GUEST % NR_CONTENT &
				      1) ||
				    !(b.busy >> first / NR_GUEST / NR_CONTENT &
				      1))
					continue;
				if (agrees(b, rows, nr_rows, todo, &nr) &&
				    nr > best_nr) {
					best = b;
					best_nr = nr;
				}
			}
	return best;
}

static void print_heading(struct box b)
{
	unsigned int i;

	printf(" ");
	for (i = 0; i < NR_GUEST; i++)
		if (b.guest >> i & 1)
			printf("%s ", guest_names[i]);
	if (b.content != (1u << NR_CONTENT) - 1) {
		printf("· ");
		for (i = 0; i < NR_CONTENT; i++)
			if (b.content >> i & 1)
				printf("%c ", content_names[i]);
	}
	if (b.busy == 2)
		printf("· busy ");
	printf("|");
}

static void print_table(const char *title, const struct row *rows,
			size_t nr_rows, const bool *wanted)
{
	struct box boxes[NR_STATES];
	unsigned char states[NR_STATES];
	bool todo[NR_STATES];
	char cell[MAX_CELL];
	unsigned int nr = 0;
	unsigned int s, i, k, n;

	memcpy(todo, wanted, sizeof(todo));
	for (s = 0; s < NR_STATES; s++) {
		if (!todo[s])
			continue;
		boxes[nr] = largest(s, rows, nr_rows, todo);
		n = states_of(boxes[nr++], states);
		for (i = 0; i < n; i++)
			todo[states[i]] = false;
	}
	printf("| %s |", title);
	for (k = 0; k < nr; k++)
		print_heading(boxes[k]);
	printf("\n|---|");
	for (k = 0; k < nr; k++)
		printf("---|");
	for (i = 0; i < nr_rows; i++) {
		printf("\n| %s |", rows[i].name);
		for (k = 0; k < nr; k++) {
			n = states_of(boxes[k], states);
			cell_of(cell, &rows[i], states, n);
			printf(" %s |", cell);
		}
	}
	printf("\n\n");
}

static void reach(bool *seen, __u8 byte);

static void reach_rows(bool *seen, __u8 byte, const struct row *rows,
		       size_t nr_rows)
{
	unsigned int i;
	int next;

	for (i = 0; i < nr_rows; i++) {
		next = rows[i].step(byte, rows[i].arg);
		if (next >= 0)
			reach(seen, (__u8)next);
	}
}

/* All states that steps of guest and host lead to from one of them. */
static void reach(bool *seen, __u8 byte)
{
	unsigned int s;

	for (s = 0; s < NR_STATES && byte_of(s) != byte;)
		s++;
	if (s == NR_STATES || seen[s])
		return;
	seen[s] = true;
	reach_rows(seen, byte, guest_rows, ESSA_NR_OPS);
	reach_rows(seen, byte, host_rows, NR_HOST_ROWS);
}

int main(void)
{
	bool reached[NR_STATES] = { false };
	bool others[NR_STATES];
	unsigned int s;

	reach(reached, ESSA_STABLE | ESSA_ZERO);
	for (s = 0; s < NR_STATES; s++)
		others[s] = !reached[s];
	print_table("guest", guest_rows, ESSA_NR_OPS, reached);
	print_table("host", host_rows, NR_HOST_ROWS, reached);
	printf("No sequence of these steps leads to the states below; only a guest that\n"
	       "scribbles gets there.\n\n");
	print_table("guest", guest_rows, ESSA_NR_OPS, others);
	print_table("host", host_rows, NR_HOST_ROWS, others);
	return ferror(stdout) || fflush(stdout);
}
