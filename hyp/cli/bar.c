// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/bar.h"

#include <stdio.h>
#include <string.h>

#define NAME	   13u
#define STATE	   14u
#define MEMORY	   15u
#define RATE	   8u
#define ALL	   (NAME + 1 + STATE + 1 + MEMORY + RATE_NR * (1 + RATE))
#define BUDGET	   8u
#define PRESSURE   8u
#define WHY	   17u
#define HOST	   (1 + BUDGET + 1 + PRESSURE + 1 + WHY)
#define MORE_WHY   (ROW_WITH_HOST - ALL - HOST)
#define MORE_STATE 16u
#define MORE_NAME  51u

const char bar_signs[BAR_NR + 1] = "Ss_Uu.Vv,Pp:";
const char bar_legend[] =
	"S stable U unused V volatile P potential; small: paged out; _.,: no backing";

void bar_fill(const uint64_t n[BAR_NR], unsigned int width,
	      unsigned int cells[BAR_NR])
{
	unsigned int i, at, sum = 0;
	double total = 0, part[BAR_NR];

	memset(cells, 0, BAR_NR * sizeof(*cells));
	for (i = 0; i < BAR_NR; i++)
		total += (double)n[i];
	if (!(total > 0))
		return;
	for (i = 0; i < BAR_NR; i++) {
		part[i] = (double)n[i] * width / total;
		cells[i] = (unsigned int)part[i];
		if (n[i] && !cells[i])
			cells[i] = 1;
		sum += cells[i];
	}
	/* Where it is most wrong, so that the rest is least. */
	for (; sum != width; sum += sum < width ? 1 : -1u) {
		at = BAR_NR;
		for (i = 0; i < BAR_NR; i++) {
			double off = part[i] - cells[i];

			if (sum < width ? !n[i] : cells[i] <= 1)
				continue;
			if (at == BAR_NR ||
			    (sum < width ? off > part[at] - cells[at] :
					   off < part[at] - cells[at]))
				at = i;
		}
		if (at == BAR_NR)
			return; /* narrower than BAR_MIN */
		cells[at] += sum < width ? 1 : -1u;
	}
}

struct line {
	char *text;
	unsigned int used, width;
	bool full;
};

/* Return: is there room? */
static bool cell(struct line *l, const char *text, unsigned int width,
		 bool right)
{
	unsigned int gap = l->used ? 1 : 0, len = (unsigned int)strlen(text), i;

	if (!l->used && width > l->width)
		width = l->width;
	if (l->full || l->used + gap + width > l->width) {
		l->full = true;
		return false;
	}
	snprintf(l->text + l->used, LINE_MAX_LEN - l->used,
		 right ? "%*s%*.*s" : "%*s%-*.*s", (int)gap, "", (int)width,
		 (int)width, text);
	for (i = l->used; l->text[i]; i++)
		if (l->text[i] < ' ' || l->text[i] > '~')
			l->text[i] = '?';
	l->used += gap + width;
	if (len > width && width)
		l->text[l->used - 1] = '+'; /* there is more of it */
	return true;
}

static void rate_cell(struct line *l, bool has, double rate)
{
	char text[32] = "-";

	if (has)
		snprintf(text, sizeof(text),
			 rate < 100000 ? "%.1f" :
			 rate < 1e8    ? "%.0f" :
					 "%.1e",
			 rate);
	cell(l, text, RATE, true);
}

static void whole_cell(struct line *l, bool has, double n, unsigned int width)
{
	char text[32] = "-";

	if (has)
		snprintf(text, sizeof(text), n < 1e8 ? "%.0f" : "%.1e", n);
	cell(l, text, width, true);
}

struct widths {
	unsigned int name, state, why;
};

static unsigned int take_of(unsigned int *more, unsigned int most)
{
	unsigned int taken = *more < most ? *more : most;

	*more -= taken;
	return taken;
}

static struct widths fit(unsigned int width, bool with_host)
{
	unsigned int all = ALL + (with_host ? HOST : 0);
	unsigned int more = width > all ? width - all : 0;
	struct widths w = { NAME, STATE, WHY };

	if (with_host)
		w.why += take_of(&more, MORE_WHY);
	w.state += take_of(&more, MORE_STATE);
	w.name += take_of(&more, MORE_NAME);
	return w;
}

/* Before the rates, so that they are there where a terminal is narrow. */
static void host_cells(struct line *l, const struct row *row)
{
	if (!row) {
		cell(l, "WANT/MiB", BUDGET, true);
		cell(l, "PRESSURE", PRESSURE, true);
		return;
	}
	whole_cell(l, row->has_budget, row->budget_mib, BUDGET);
	whole_cell(l, row->has_budget, row->pressure, PRESSURE);
}

void row_text(char text[LINE_MAX_LEN], unsigned int width, bool with_host,
	      const struct row *row)
{
	static const char *const heads[RATE_NR] = { "FAULTS/s", "PG-IN/s",
						    "PG-OUT/s", "DISC/s" };
	const struct widths w = fit(width, with_host);
	struct line l = { text, 0, width, false };
	char memory[64] = "-";
	unsigned int i;

	*text = '\0';
	if (l.width >= LINE_MAX_LEN)
		l.width = LINE_MAX_LEN - 1;
	if (row && row->has_figures && row->has_limit)
		snprintf(memory, sizeof(memory), "%.0f/%.0f", row->resident_mib,
			 row->limit_mib);
	else if (row && row->has_figures)
		snprintf(memory, sizeof(memory), "%.0f/-", row->resident_mib);
	cell(&l, row ? row->name : "NAME", w.name, false);
	cell(&l, row ? row->state : "STATE", w.state, false);
	cell(&l, row ? memory : "RES/LIMIT MiB", MEMORY, true);
	if (with_host)
		host_cells(&l, row);
	for (i = 0; i < RATE_NR; i++) {
		if (row)
			rate_cell(&l, row->has_rates, row->per_s[i]);
		else
			cell(&l, heads[i], RATE, true);
	}
	if (with_host)
		cell(&l,
		     !row			 ? "WHY" :
		     row->has_budget && row->why ? row->why :
						   "-",
		     w.why, false);
}
