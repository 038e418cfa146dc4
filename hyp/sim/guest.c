// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replay.  The trace was recorded where nothing was discarded, so it says what
 * the guest wants; @want holds that, as the byte of a frame that is always
 * resident.  What the host has done meanwhile shows in the real table only,
 * and a discarded page is brought back to the wanted state at once.
 */
#include "hyp/sim/guest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hyp/mem/touch.h"

#define LAST_WORD (MEM_PAGE_SIZE / 8 - 1)

/* Never written: reads as zeros. */
#define GEN_NONE 0u
/* Written before a reboot; discarded then, perhaps. */
#define GEN_UNKNOWN UINT32_MAX
#define GEN_MASK    0xffffffu

/* Lines about what is wrong with one guest. */
#define MAX_COMPLAINTS 3u

struct sim_guest {
	struct sim_guest_config cfg;
	struct mem *mem;
	bool started;
	uint8_t *table; /* NULL without hints */
	uint8_t *ram;
	uint8_t *want;
	uint32_t *gen; /* of the content, by gfn */
	struct trace_cursor cur;
	struct trace_event next; /* not replayed yet */
	bool more;		 /* @next is valid */
	uint64_t boot_ms;	 /* when this replay began */
	struct sim_result res;
};

static uint64_t tag_of(const struct sim_guest *g, uint64_t gfn)
{
	if (g->gen[gfn] == GEN_NONE)
		return 0;
	return (uint64_t)(g->cfg.id + 1) << 52 | gfn << 24 |
	       (g->gen[gfn] & GEN_MASK);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct sim_guest *g, uint64_t gfn, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (g->res.failures++ >= MAX_COMPLAINTS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "hyp-sim: guest %u, gfn %llu: %s\n", g->cfg.id,
		(unsigned long long)gfn, text);
}

static volatile uint64_t *word_of(const struct sim_guest *g, uint64_t gfn,
				  unsigned int word)
{
	return (volatile uint64_t *)(g->ram + gfn * MEM_PAGE_SIZE) + word;
}

static unsigned int usage_of(const struct sim_guest *g, uint64_t gfn)
{
	return g->want[gfn] & ESSA_USAGE_MASK;
}

/* The frame is Stable.  New content in both words. */
static void store(struct sim_guest *g, uint64_t gfn)
{
	unsigned int i;
	uint64_t tag;

	g->gen[gfn] = g->gen[gfn] % (GEN_MASK - 1) + 1;
#ifdef SIM_BREAK_TAG
	/* For tests only: what the comparison is there to find. */
	if (gfn % 1024 == 1023 && g->gen[gfn] > 1)
		return;
#endif
	tag = tag_of(g, gfn);
	for (i = 0; i <= LAST_WORD; i += LAST_WORD)
		if (guest_access(g->mem, word_of(g, gfn, i), &tag, 1) !=
		    GUEST_OK)
			fail(g, gfn, "a stable page cannot be written");
}

/* Return: false if it was discarded and may have been. */
static bool load(struct sim_guest *g, uint64_t gfn)
{
	uint64_t want = tag_of(g, gfn);
	unsigned int i;
	uint64_t val;

	for (i = 0; i <= LAST_WORD; i += LAST_WORD) {
		switch (guest_access(g->mem, word_of(g, gfn, i), &val, 0)) {
		case GUEST_OK:
			if (val == want || g->gen[gfn] == GEN_UNKNOWN)
				break;
			fail(g, gfn, "word %u is %#llx, should be %#llx: %s", i,
			     (unsigned long long)val, (unsigned long long)want,
			     val ? "stale or foreign" : "lost");
			return true;
		case GUEST_DISCARDED:
			if (!g->table || usage_of(g, gfn) == ESSA_STABLE)
				fail(g, gfn, "a stable page was discarded");
			return !g->table;
		default:
			fail(g, gfn, "a page cannot be read");
			return true;
		}
	}
	return true;
}

/* As the guest does: drop the page, allocate one, read it from the disk. */
static void refill(struct sim_guest *g, uint64_t gfn)
{
	unsigned int usage = usage_of(g, gfn);

	guest_op(g->mem, g->table, gfn, ESSA_OP_SET_UNUSED);
	guest_op(g->mem, g->table, gfn, ESSA_OP_SET_STABLE);
	store(g, gfn);
	if (usage == ESSA_VOLATILE)
		guest_op(g->mem, g->table, gfn, ESSA_OP_SET_VOLATILE);
	else if (usage == ESSA_POTENTIAL)
		guest_op(g->mem, g->table, gfn, ESSA_OP_SET_POTENTIAL);
}

static void use(struct sim_guest *g, uint64_t gfn)
{
	/* Freed between the use and the moment when that was noticed. */
	if (usage_of(g, gfn) == ESSA_UNUSED)
		return;
	g->res.reads++;
	if (!load(g, gfn)) {
		g->res.refaults_touch++;
		refill(g, gfn);
	}
}

static void overwrite(struct sim_guest *g, uint64_t gfn)
{
	/* What is volatile is clean: nobody writes to it. */
	if (usage_of(g, gfn) != ESSA_STABLE) {
		use(g, gfn);
		return;
	}
	g->res.writes++;
	store(g, gfn);
}

/* What the operation did in the table; @before is what the guest believed. */
static void check_op(struct sim_guest *g, uint64_t gfn, unsigned int op,
		     uint8_t before, uint8_t old)
{
	int next = essa_next(old, op);

	if (essa_is_discarded(old)) {
		if (!(before & 0x02))
			fail(g, gfn, "stable, but the table says discarded");
		return;
	}
	/* A page with content is refused nothing. */
	if (g->gen[gfn] != GEN_NONE && g->gen[gfn] != GEN_UNKNOWN &&
	    usage_of(g, gfn) != ESSA_UNUSED &&
	    (next & ESSA_USAGE_MASK) != usage_of(g, gfn))
		fail(g, gfn, "%s: the table has %02x, should be usage %u",
		     trace_kind_name(op), (unsigned int)next, usage_of(g, gfn));
}

static void state_op(struct sim_guest *g, uint64_t gfn, unsigned int op)
{
	uint8_t before = g->want[gfn];
	bool kept = true;
	uint8_t old;

	g->res.state_ops++;
	g->want[gfn] = (uint8_t)essa_next(before, op);
	if (g->table) {
		old = guest_op(g->mem, g->table, gfn, op);
		kept = !essa_is_discarded(old);
		check_op(g, gfn, op, before, old);
	}
	if (g->want[gfn] == before || usage_of(g, gfn) != ESSA_STABLE)
		return;
	switch (before & ESSA_USAGE_MASK) {
	case ESSA_UNUSED:
		g->res.writes++;
		store(g, gfn);
		break;
	case ESSA_VOLATILE:
	case ESSA_POTENTIAL:
		if (kept) {
			use(g, gfn);
		} else {
			g->res.reads++;
			g->res.refaults_op++;
			refill(g, gfn);
		}
	}
}

static void replay(struct sim_guest *g, const struct trace_event *ev)
{
	uint64_t gfn;

	g->res.events++;
	if (ev->kind == TRACE_MARK || ev->kind == TRACE_DISK)
		return;
	for (gfn = ev->gfn; gfn < ev->gfn + ev->nr; gfn++) {
		if (ev->kind == TRACE_READ)
			use(g, gfn);
		else if (ev->kind == TRACE_WRITE)
			overwrite(g, gfn);
		else
			state_op(g, gfn, ev->kind);
	}
}

static void boot(struct sim_guest *g)
{
	uint64_t i;
	int ret = 0;

	memset(g->want, ESSA_STABLE, g->cfg.trace->nr_frames);
	for (i = 0; i < g->cfg.trace->nr_frames; i++)
		if (g->gen[i] != GEN_NONE)
			g->gen[i] = GEN_UNKNOWN;
	if (g->table) {
		mem_hypercall(g->mem, ESSA_CMD_DISABLE, 0, 0, false);
		ret = mem_hypercall(g->mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				    ESSA_FEAT_UNUSED | ESSA_FEAT_VOLATILE,
				    false);
	}
	if (ret)
		fail(g, 0, "cannot enable the interface: %d", ret);
	trace_rewind(&g->cur, g->cfg.trace);
	g->more = trace_next(&g->cur, &g->next);
}

bool sim_guest_run(struct sim_guest *g, uint64_t until_ms)
{
	for (;;) {
		while (g->more && g->boot_ms + g->next.time_ms <= until_ms) {
			replay(g, &g->next);
			g->more = trace_next(&g->cur, &g->next);
		}
		if (g->more)
			return true;
		if (g->cfg.loops <= 1)
			return false;
		g->cfg.loops--;
		g->boot_ms += g->cfg.trace->end_ms + 1;
		boot(g);
	}
}

void sim_guest_finish(struct sim_guest *g, struct sim_result *out)
{
	uint64_t gfn;

	mem_get_stats(g->mem, &g->res.mem);
	*out = g->res;
	for (gfn = 0; gfn < g->cfg.trace->nr_frames; gfn++)
		if (usage_of(g, gfn) != ESSA_UNUSED)
			load(g, gfn);
	out->failures = g->res.failures;
	mem_stop(g->mem);
	g->started = false;
}

/* Its replay would sleep for ever in its next touch: no orderly way out. */
static void on_fatal(void *ctx, int err, const char *what)
{
	const struct sim_guest *g = ctx;

	fprintf(stderr, "hyp-sim: guest %u: %s: %s\n", g->cfg.id, what,
		strerror(-err));
	_exit(2);
}

int sim_guest_create(struct sim_guest **out, const struct sim_guest_config *cfg,
		     struct why *why)
{
	uint64_t nr = cfg->trace->nr_frames, nr_gfns;
	struct sim_guest *g = calloc(1, sizeof(*g));
	const struct mem_config mc = {
		.size_bytes = nr * MEM_PAGE_SIZE,
		.limit_bytes = cfg->limit_bytes,
		.swap_dir = cfg->swap_dir,
		.swap_bytes = nr * MEM_PAGE_SIZE,
		.hinting = cfg->hints,
		.storm = cfg->storm,
		.fatal = on_fatal,
		.ctx = g,
	};
	const struct mem_region *regions;
	const char *text = NULL;
	size_t len;
	int err;

	if (!g)
		return why_set(why, -ENOMEM, "guest %u", cfg->id);
	g->cfg = *cfg;
	g->want = calloc(nr, sizeof(*g->want));
	g->gen = calloc(nr, sizeof(*g->gen));
	if (!g->want || !g->gen) {
		err = why_set(why, -ENOMEM, "guest %u", cfg->id);
		goto err_destroy;
	}
	err = mem_create(&g->mem, &mc, &text);
	if (err) {
		why_set(why, err, "guest %u: %s", cfg->id, text);
		goto err_destroy;
	}
	/* A trace indexes frames by gfn: no hole below 3 GiB. */
	if (mem_regions(g->mem, &regions) != 1) {
		err = why_set(why, 0,
			      "the guest of the trace is larger than 3 GiB");
		goto err_destroy;
	}
	g->ram = regions[0].hva;
	if (cfg->hints)
		g->table = mem_table(g->mem, &len, &nr_gfns);
	err = mem_start(g->mem);
	if (err) {
		why_set(why, err, "guest %u: cannot start its threads",
			cfg->id);
		goto err_destroy;
	}
	g->started = true;
	boot(g);
	*out = g;
	return 0;

err_destroy:
	sim_guest_destroy(g);
	return err;
}

void sim_guest_destroy(struct sim_guest *g)
{
	if (!g)
		return;
	if (g->started)
		mem_stop(g->mem);
	mem_destroy(g->mem);
	free(g->want);
	free(g->gen);
	free(g);
}
