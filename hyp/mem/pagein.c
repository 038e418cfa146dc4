// SPDX-License-Identifier: GPL-2.0-only
/* Reads of the pager; see pagein.h. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <essa/abi.h>

#include "hyp/mem/content.h"
#include "hyp/mem/pagein.h"
#include "hyp/mem/priv.h"
#include "hyp/mem/state.h"

/* The buffer is given out in units, one bit of struct pagein each. */
#define UNIT_PAGES 4u
#define UNIT_BYTES ((size_t)UNIT_PAGES * MEM_PAGE_SIZE)
#define NR_UNITS   32u
#define BUF_BYTES  (NR_UNITS * UNIT_BYTES)
/* Units, and reads, that readahead leaves for what is waited for. */
#define SPARE_UNITS 8
#define SPARE_READS 8
#define ALL_IDLE    ((uint32_t)((1ull << PAGER_FILLS) - 1))
/* Contiguous runs of one window. */
#define MAX_RUNS 4u

int pagein_init(struct mem *mem, const char **why)
{
	struct pagein *p = &mem->pager.in;
	void *buf;
	int err;

	*why = "out of memory";
	err = ahead_init(&p->ahead);
	if (err)
		return err;
	buf = content_map(BUF_BYTES);
	if (!buf)
		return -ENOMEM;
	p->buf = buf;
	p->idle = ALL_IDLE;
	p->units = UINT32_MAX;
	*why = "too many open files";
	p->retry_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->retry_fd < 0) {
		content_unmap(buf, BUF_BYTES);
		p->buf = NULL;
		return -EMFILE;
	}
	swap_queue_init(&p->queue, mem->swap, PAGER_FILLS, buf, BUF_BYTES);
	return 0;
}

void pagein_fini(struct mem *mem)
{
	struct pagein *p = &mem->pager.in;

	swap_queue_fini(&p->queue);
	ahead_fini(&p->ahead);
	if (!p->buf)
		return;
	close(p->retry_fd);
	content_unmap(p->buf, BUF_BYTES);
	p->buf = NULL;
}

bool pagein_any_in_flight(const struct pagein *p)
{
	return p->buf && (p->idle | p->stalled) != ALL_IDLE;
}

bool pagein_may_start(const struct pagein *p)
{
	return !p->buf || (p->idle && p->units && !p->stalled);
}

/* Neighbouring units for @nr pages, or 0. */
static uint32_t find_units(uint32_t free, unsigned int nr)
{
	unsigned int n = (nr + UNIT_PAGES - 1) / UNIT_PAGES;
	uint32_t mask = (uint32_t)((1ull << n) - 1);
	unsigned int i;

	for (i = 0; i + n <= NR_UNITS; i++)
		if (!(mask << i & ~free))
			return mask << i;
	return 0;
}

struct run {
	uint64_t idx;
	unsigned int nr;
	uint32_t units;
};

struct plan {
	uint64_t block; /* first frame of the block */
	uint64_t hit;	/* or FILL_NONE */
	uint64_t mask;	/* bit i: frame @block + i is to be read */
	unsigned int nr_runs;
	struct run run[MAX_RUNS];
};

static bool __can_read(struct mem *mem, uint64_t idx)
{
	const struct frame *f = &mem->frames[idx];

	return f->content == FRAME_PRESERVED && !f->busy &&
	       state_usage(mem, state_read(mem, idx)) == ESSA_STABLE;
}

static void __find_frames(struct mem *mem, const struct ahead_window *w,
			  struct plan *plan)
{
	uint64_t i;

	plan->mask = 0;
	for (i = w->first; i < w->end; i++)
		if (i == plan->hit || __can_read(mem, i))
			plan->mask |= 1ull << (i - plan->block);
}

/* Neighbours in the file as well. */
static unsigned int __run_at(struct mem *mem, const struct plan *plan,
			     unsigned int at)
{
	const struct frame *f = &mem->frames[plan->block + at];
	unsigned int nr = 1;

	while (at + nr < FRAME_BLOCK && plan->mask >> (at + nr) & 1 &&
	       f[nr].slot == f->slot + nr)
		nr++;
	return nr;
}

/* Return: false if there are too many of them. */
static bool __find_runs(struct mem *mem, struct plan *plan)
{
	uint64_t left = plan->mask;
	unsigned int at, nr;

	plan->nr_runs = 0;
	while (left) {
		if (plan->nr_runs == MAX_RUNS)
			return false;
		at = (unsigned int)__builtin_ctzll(left);
		nr = __run_at(mem, plan, at);
		plan->run[plan->nr_runs++] =
			(struct run){ .idx = plan->block + at, .nr = nr };
		left &= ~((nr < 64 ? (1ull << nr) - 1 : ~0ull) << at);
	}
	return true;
}

/* Return: false if readahead would take what others may wait for. */
static bool find_room(struct mem *mem, struct plan *plan)
{
	struct pagein *p = &mem->pager.in;
	uint32_t units = p->units;
	unsigned int i;

	for (i = 0; i < plan->nr_runs; i++) {
		plan->run[i].units = find_units(units, plan->run[i].nr);
		if (!plan->run[i].units)
			return false;
		units &= ~plan->run[i].units;
	}
	if (plan->hit != FILL_NONE && !(plan->mask & (plan->mask - 1)))
		return true;
	return __builtin_popcount(units) >= SPARE_UNITS &&
	       __builtin_popcount(p->idle) >= (int)plan->nr_runs + SPARE_READS;
}

/* The half that is to be read, if not all can be. */
static void shrink(struct ahead_window *w, uint64_t hit)
{
	uint64_t middle = w->first + (w->end - w->first) / 2;

	if (w->step > 0 || (!w->step && hit < middle))
		w->end = middle > w->first ? middle : w->first + 1;
	else
		w->first = middle;
}

/*
 * Mark what is to be read and charge for it, but for the frame that is waited
 * for and the probe.  Caller holds the stripe.  Return: false if there is
 * nothing.
 */
static bool __claim(struct mem *mem, struct ahead_window *w, struct plan *plan)
{
	unsigned int probes = mem->pager.in.ahead.fixed ? 0 : 1;
	unsigned int ahead;
	uint64_t left;

	for (;; shrink(w, plan->hit)) {
		__find_frames(mem, w, plan);
		ahead = (unsigned int)__builtin_popcountll(plan->mask) -
			(plan->hit != FILL_NONE);
		if (__find_runs(mem, plan) && find_room(mem, plan) &&
		    (ahead <= probes ||
		     limit_try_spare(mem, ahead - probes, false)))
			break;
		if (w->end - w->first == 1)
			return false;
	}
	for (left = plan->mask; left; left &= left - 1)
		mem->frames[plan->block + (unsigned int)__builtin_ctzll(left)]
			.busy = FRAME_FILL;
	w->nr_ahead = ahead;
	mem_count(&mem->count.readahead, ahead);
	return plan->mask;
}

/* The n-th frame that is read ahead. */
static uint64_t choose_probe(struct mem *mem, const struct ahead_window *w,
			     const struct plan *plan)
{
	struct ahead *a = &mem->pager.in.ahead;
	uint64_t left = plan->mask;
	unsigned int n;

	if (!w->nr_ahead || a->fixed)
		return FILL_NONE;
	if (plan->hit != FILL_NONE)
		left &= ~(1ull << (plan->hit - plan->block));
	for (n = ahead_probe(a, w->nr_ahead); n; n--)
		left &= left - 1;
	return plan->block + (unsigned int)__builtin_ctzll(left);
}

static bool has(const struct run *r, uint64_t idx)
{
	return idx >= r->idx && idx < r->idx + r->nr;
}

static void start_run(struct mem *mem, const struct run *r,
		      struct ahead_window *w, uint64_t hit, uint64_t probe,
		      uint64_t since_ns)
{
	struct pagein *p = &mem->pager.in;
	unsigned int i = (unsigned int)__builtin_ctz(p->idle);
	struct pagein_read *read = &p->read[i];

	p->idle &= ~(1u << i);
	p->units &= ~r->units;
	read->units = r->units;
	read->window = has(r, probe) ? w : NULL;
	if (read->window)
		w->reading = true;
	read->fill = (struct fill){
		.idx = r->idx,
		.nr = r->nr,
		.hit = has(r, hit) ? hit : FILL_NONE,
		.probe = read->window ? probe : FILL_NONE,
		.kept = w->page,
		.since_ns = has(r, hit) ? since_ns : 0,
	};
	fill_prepare(mem, &read->fill,
		     p->buf + (unsigned int)__builtin_ctz(r->units) *
				      UNIT_BYTES);
	swap_start(&p->queue, &read->fill.io);
}

static void start_all(struct mem *mem, struct ahead_window *w,
		      const struct plan *plan, uint64_t since_ns)
{
	uint64_t probe = choose_probe(mem, w, plan);
	unsigned int i;

	for (i = 0; i < plan->nr_runs; i++)
		start_run(mem, &plan->run[i], w, plan->hit, probe, since_ns);
	swap_submit(&mem->pager.in.queue);
}

/* What a stream is about to want; nobody waits for it. */
static void follow(struct mem *mem, struct ahead_window *w)
{
	struct plan plan = { .hit = FILL_NONE };
	bool claimed;

	if (!pagein_may_start(&mem->pager.in) || !ahead_follow(mem, w))
		return;
	plan.block = w->first - w->first % FRAME_BLOCK;
	frame_lock(mem, plan.block);
	claimed = __claim(mem, w, &plan);
	frame_unlock(mem, plan.block);
	if (claimed)
		start_all(mem, w, &plan, 0);
	else
		ahead_nothing(w);
}

/* From the copy.  Caller holds the stripe, which is dropped. */
static void __read_probe(struct mem *mem, struct ahead_window *w,
			 uint64_t since_ns)
{
	struct fill f = {
		.idx = w->probe,
		.nr = 1,
		.hit = w->probe,
		.probe = FILL_NONE,
		.since_ns = since_ns,
	};

	mem->frames[f.idx].busy = FRAME_FILL;
	frame_unlock(mem, f.idx);
	watch_look(mem);
	fill_prepare(mem, &f, w->page);
	ahead_hit(mem, w);
	if (!fill_kept(mem, &f))
		follow(mem, w);
}

static bool __is_wanted(const struct frame *f)
{
	return !f->busy && f->content == FRAME_PRESERVED;
}

bool pagein_frame(struct mem *mem, uint64_t idx, uint64_t since_ns)
{
	struct plan plan = { .hit = idx, .block = idx - idx % FRAME_BLOCK };
	const struct frame *f = &mem->frames[idx];
	struct ahead_window *w;
	bool wanted;

	frame_lock(mem, idx);
	w = f->ahead ? ahead_find(mem, idx) : NULL;
	if (!__is_wanted(f)) {
		frame_unlock(mem, idx);
		return false;
	}
	if (w) {
		mem_count(&mem->count.fault_preserved, 1);
		__read_probe(mem, w, since_ns);
		return true;
	}
	frame_unlock(mem, idx);
	w = ahead_plan(mem, idx);
	frame_lock(mem, idx);
	/* Devices fill frames, too, and the guest gives them up. */
	wanted = __is_wanted(f) && __claim(mem, w, &plan);
	mem_count(&mem->count.fault_preserved, wanted);
	frame_unlock(mem, idx);
	if (!wanted)
		return false;
	watch_look(mem); /* now: the read may take its time */
	start_all(mem, w, &plan, since_ns);
	return true;
}

static void finish(struct mem *mem, struct pagein_read *read)
{
	struct pagein *p = &mem->pager.in;
	unsigned int i = (unsigned int)(read - p->read);
	int err = fill_finish(mem, &read->fill);

	if (err > 0) {
		p->stalled |= 1u << i;
		return;
	}
	p->idle |= 1u << i;
	p->units |= read->units;
	if (!read->window)
		return;
	read->window->reading = false;
	if (!err)
		ahead_keep(mem, read->window, read->fill.probe);
}

void pagein_reap(struct mem *mem, bool wait)
{
	struct pagein *p = &mem->pager.in;
	struct swap_io *io;

	while (pagein_any_in_flight(p) && (io = swap_next(&p->queue, wait))) {
		/* The first member of the first member. */
		finish(mem, (struct pagein_read *)io);
		wait = false;
	}
}

void pagein_retry(struct mem *mem)
{
	struct pagein *p = &mem->pager.in;
	eventfd_t n;

	if (!p->buf || eventfd_read(p->retry_fd, &n))
		return;
	for (; p->stalled; p->stalled &= p->stalled - 1)
		swap_start(&p->queue,
			   &p->read[__builtin_ctz(p->stalled)].fill.io);
	swap_submit(&p->queue);
}
