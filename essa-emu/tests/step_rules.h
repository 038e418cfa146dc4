/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The transitions of a state byte, written down from the specification: what
 * test_step.c holds <essa/step.h> against.
 */
#ifndef ESSA_TESTS_STEP_RULES_H
#define ESSA_TESTS_STEP_RULES_H

#include <essa/step.h>

/*
 * Rows: usage, "+" for pending.  Columns: content r, p, z, and the value that
 * no host sets.  Cells: usage afterwards, "." for an unchanged byte, "wait".
 */
/* clang-format off */
static const struct guest_rule {
	unsigned int op;
	const char *cell[2][8][4];	/* [busy][row][column] */
} guest_rules[] = {
	{ ESSA_OP_GET, {
	  { /* idle */
		{ ".", ".", ".", "." }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ ".", ".", ".", "." }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  }, { /* busy */
		{ ".", ".", ".", "." }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ ".", ".", ".", "." }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_STABLE, {
	  { /* idle */
		{ "S", "S", "S", "S" }, /* S */
		{ "S", "S", "S", "S" }, /* U */
		{ "S", "S", "S", "S" }, /* V */
		{ "S", "S", "S", "S" }, /* P */
		{ "S", "S", "S", "S" }, /* S+ */
		{ "S", "S", "S", "S" }, /* U+ */
		{ "S", "S", "S", "S" }, /* V+ */
		{ "S", "S", "S", "S" }, /* P+ */
	  }, { /* busy */
		{ "wait", "wait", "wait", "wait" }, /* S */
		{ "wait", "wait", "wait", "wait" }, /* U */
		{ "wait", "wait", "wait", "wait" }, /* V */
		{ "wait", "wait", "wait", "wait" }, /* P */
		{ "wait", "wait", "wait", "wait" }, /* S+ */
		{ "wait", "wait", "wait", "wait" }, /* U+ */
		{ "wait", "wait", "wait", "wait" }, /* V+ */
		{ "wait", "wait", "wait", "wait" }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_UNUSED, {
	  { /* idle */
		{ "U", "U", "U", "U" }, /* S */
		{ "U", "U", "U", "U" }, /* U */
		{ "U", "U", "U", "U" }, /* V */
		{ "U", "U", "U", "U" }, /* P */
		{ "U", "U", "U", "U" }, /* S+ */
		{ "U", "U", "U", "U" }, /* U+ */
		{ "U", "U", "U", "U" }, /* V+ */
		{ "U", "U", "U", "U" }, /* P+ */
	  }, { /* busy */
		{ "U", "U", "U", "U" }, /* S */
		{ "U", "U", "U", "U" }, /* U */
		{ "U", "U", "U", "U" }, /* V */
		{ "U", "U", "U", "U" }, /* P */
		{ "U", "U", "U", "U" }, /* S+ */
		{ "U", "U", "U", "U" }, /* U+ */
		{ "U", "U", "U", "U" }, /* V+ */
		{ "U", "U", "U", "U" }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_VOLATILE, {
	  { /* idle */
		{ "V", "V", ".", "V" }, /* S */
		{ "V", "V", ".", "V" }, /* U */
		{ "V", "V", ".", "V" }, /* V */
		{ "V", "V", ".", "V" }, /* P */
		{ "V", "V", ".", "V" }, /* S+ */
		{ "V", "V", ".", "V" }, /* U+ */
		{ "V", "V", ".", "V" }, /* V+ */
		{ "V", "V", ".", "V" }, /* P+ */
	  }, { /* busy */
		{ "V", "V", ".", "V" }, /* S */
		{ "V", "V", ".", "V" }, /* U */
		{ "V", "V", ".", "V" }, /* V */
		{ "V", "V", ".", "V" }, /* P */
		{ "V", "V", ".", "V" }, /* S+ */
		{ "V", "V", ".", "V" }, /* U+ */
		{ "V", "V", ".", "V" }, /* V+ */
		{ "V", "V", ".", "V" }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_POTENTIAL, {
	  { /* idle */
		{ "P", "P", ".", "P" }, /* S */
		{ "P", "P", ".", "P" }, /* U */
		{ "P", "P", ".", "P" }, /* V */
		{ "P", "P", ".", "P" }, /* P */
		{ "P", "P", ".", "P" }, /* S+ */
		{ "P", "P", ".", "P" }, /* U+ */
		{ "P", "P", ".", "P" }, /* V+ */
		{ "P", "P", ".", "P" }, /* P+ */
	  }, { /* busy */
		{ "P", "P", ".", "P" }, /* S */
		{ "P", "P", ".", "P" }, /* U */
		{ "P", "P", ".", "P" }, /* V */
		{ "P", "P", ".", "P" }, /* P */
		{ "P", "P", ".", "P" }, /* S+ */
		{ "P", "P", ".", "P" }, /* U+ */
		{ "P", "P", ".", "P" }, /* V+ */
		{ "P", "P", ".", "P" }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_STABLE_RESIDENT, {
	  { /* idle */
		{ "S", "S", "S", "S" }, /* S */
		{ "S", "S", "S", "S" }, /* U */
		{ "S", "S", "S", "S" }, /* V */
		{ "S", "S", "S", "S" }, /* P */
		{ "S", "S", "S", "S" }, /* S+ */
		{ "S", "S", "S", "S" }, /* U+ */
		{ "S", "S", "S", "S" }, /* V+ */
		{ "S", "S", "S", "S" }, /* P+ */
	  }, { /* busy */
		{ "wait", "wait", "wait", "wait" }, /* S */
		{ "wait", "wait", "wait", "wait" }, /* U */
		{ "wait", "wait", "wait", "wait" }, /* V */
		{ "wait", "wait", "wait", "wait" }, /* P */
		{ "wait", "wait", "wait", "wait" }, /* S+ */
		{ "wait", "wait", "wait", "wait" }, /* U+ */
		{ "wait", "wait", "wait", "wait" }, /* V+ */
		{ "wait", "wait", "wait", "wait" }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_STABLE_IF_KEPT, {
	  { /* idle */
		{ "S", "S", "S", "S" }, /* S */
		{ "S", "S", "S", "S" }, /* U */
		{ "S", "S", ".", "S" }, /* V */
		{ "S", "S", ".", "S" }, /* P */
		{ "S", "S", "S", "S" }, /* S+ */
		{ "S", "S", "S", "S" }, /* U+ */
		{ "S", "S", ".", "S" }, /* V+ */
		{ "S", "S", ".", "S" }, /* P+ */
	  }, { /* busy */
		{ "wait", "wait", "wait", "wait" }, /* S */
		{ "wait", "wait", "wait", "wait" }, /* U */
		{ "wait", "wait", ".", "wait" }, /* V */
		{ "wait", "wait", ".", "wait" }, /* P */
		{ "wait", "wait", "wait", "wait" }, /* S+ */
		{ "wait", "wait", "wait", "wait" }, /* U+ */
		{ "wait", "wait", ".", "wait" }, /* V+ */
		{ "wait", "wait", ".", "wait" }, /* P+ */
	  },
	} },
	{ ESSA_OP_SET_PENDING, {
	  { /* idle */
		{ "S+", "S+", "S+", "S+" }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ "S+", "S+", "S+", "S+" }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  }, { /* busy */
		{ "S+", "S+", "S+", "S+" }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ "S+", "S+", "S+", "S+" }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  },
	} },
	{ ESSA_OP_COMMIT_VOLATILE, {
	  { /* idle */
		{ ".", ".", ".", "." }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ "V", "V", ".", "V" }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  }, { /* busy */
		{ ".", ".", ".", "." }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ "V", "V", ".", "V" }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  },
	} },
	{ ESSA_OP_COMMIT_POTENTIAL, {
	  { /* idle */
		{ ".", ".", ".", "." }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ "P", "P", ".", "P" }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  }, { /* busy */
		{ ".", ".", ".", "." }, /* S */
		{ ".", ".", ".", "." }, /* U */
		{ ".", ".", ".", "." }, /* V */
		{ ".", ".", ".", "." }, /* P */
		{ "P", "P", ".", "P" }, /* S+ */
		{ ".", ".", ".", "." }, /* U+ */
		{ ".", ".", ".", "." }, /* V+ */
		{ ".", ".", ".", "." }, /* P+ */
	  },
	} },
};

/* Host: may a frame be discarded?  n: no, y: yes, c: only if known clean. */
static const char discard_rules[2][8][5] = {
	{ /* idle */
		"nnnn", "yyny", "yyny", "ccnc",
		"nnnn", "nnnn", "nnnn", "nnnn",
	},
	{ /* busy */
		"nnnn", "nnnn", "nnnn", "nnnn",
		"nnnn", "nnnn", "nnnn", "nnnn",
	},
};

/* Host: new content r, p, z for each old content; n: refused.  Busy: never. */
static const char content_rules[8][4][4] = {
	{ "rpz", "rpz", "rpz", "rpz" },	/* S */
	{ "rpz", "rpz", "rpz", "rpz" },	/* U */
	{ "rpn", "rpn", "nnz", "rpn" },	/* V */
	{ "rpn", "rpn", "nnz", "rpn" },	/* P */
	{ "rpz", "rpz", "rpz", "rpz" },	/* S+ */
	{ "rpz", "rpz", "rpz", "rpz" },	/* U+ */
	{ "rpn", "rpn", "nnz", "rpn" },	/* V+ */
	{ "rpn", "rpn", "nnz", "rpn" },	/* P+ */
};
/* clang-format on */

#endif /* ESSA_TESTS_STEP_RULES_H */
