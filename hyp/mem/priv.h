/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of hyp/mem share: struct mem and who guards which part of it.
 *
 *	member			written by		guarded by
 *	cfg, ram, table, uffd	mem_create()		immutable afterwards
 *	frames[]		any thread		stripe of the frame
 *	table bytes		guest and any thread	compare-and-exchange
 *	limit			any thread		atomics, limit.lock
 *	swap bitmap		any thread		swap->lock
 *	pageout			reclaim, test hooks	pageout.lock
 *	pager			pager thread		no one else looks
 *	fill_buffer		any thread		its lock, tried only
 *	reclaim			reclaim thread		no one else looks
 *	reclaim.age[]		any thread		atomics, relaxed
 *	probation.queue		reclaim thread		no one else looks
 *	probation.nr		any thread		atomics; stripes to write
 *	refault.left[]		any thread		stripe of the frame
 *	track.blocks		any thread		atomics; set and cleared
 *						under a stripe of the block
 *	trouble			any thread		trouble.lock, atomics
 *	count, latency		any thread		atomics
 *	watch			mem_watch()'s caller,	atomics; watch.h
 *				any thread disarms
 *
 * Lock order: pageout.lock -> stripe -> swap->lock.  limit.lock and trouble.lock
 * are leaves, but for what mem_config.pressure and .trouble take.  No
 * stripe is held across a system call other than a futex: a thread marks the
 * frame busy, drops the stripe, works, takes it again and publishes.
 */
#ifndef HYP_MEM_PRIV_H
#define HYP_MEM_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "hyp/mem/frame.h"
#include "hyp/mem/latency.h"
#include "hyp/mem/limit.h"
#include "hyp/mem/mem.h"
#include "hyp/mem/pageout.h"
#include "hyp/mem/pager.h"
#include "hyp/mem/probation.h"
#include "hyp/mem/reclaim.h"
#include "hyp/mem/refault.h"
#include "hyp/mem/swap.h"
#include "hyp/mem/track.h"
#include "hyp/mem/trouble.h"
#include "hyp/mem/watch.h"

#define MEM_PAGE_SHIFT 12
#define MEM_HOLE_START (3ull << 30)
#define MEM_HOLE_END   (4ull << 30)

struct mem_counters {
	_Atomic uint64_t content[FRAME_NR_CONTENTS]; /* frames */
	_Atomic uint64_t discarded_unused, discarded_volatile;
	_Atomic uint64_t discarded_potential, discard_lost;
	_Atomic uint64_t armed, fault_write, given_up;
	_Atomic uint64_t swapped_out, swapped_in;
	_Atomic uint64_t swap_out_bytes, swap_in_bytes;
	_Atomic uint64_t fault_zero, fault_preserved, fault_stale;
	_Atomic uint64_t fault_discard, device_fills;
	_Atomic uint64_t release_batches, busy_waits, scans;
	_Atomic uint64_t readahead, readahead_hits;
	_Atomic uint64_t reclaim_rounds, reclaim_urgent, reclaim_failed;
	_Atomic uint64_t limit_waits;
	_Atomic uint64_t parked[PROBATION_NR], rescued[PROBATION_NR];
};

struct mem {
	struct mem_config cfg;
	struct mem_region regions[MEM_MAX_REGIONS];
	unsigned int nr_regions;
	uint64_t nr_frames;
	uint64_t nr_gfns;
	uint8_t *ram;	/* frame i is at ram + i * 4 KiB: no hole here */
	uint8_t *table; /* shared with the guest, indexed by gfn */
	size_t table_bytes;
	int uffd;
	int stop_fd; /* eventfd: the pager is to end */
	int self_fd; /* pidfd of this process, for process_madvise(); or -1 */
	bool has_process_madvise;

	struct frame *frames;
	struct stripe *stripes;
	struct limit limit;
	struct swap *swap; /* NULL: none */
	struct pageout pageout;
	struct pager pager;
	struct fill_buffer fill_buffer;
	struct probation probation;
	struct reclaim reclaim;
	struct refault refault;
	struct track track;
	struct trouble trouble;
	struct watch watch;
	struct mem_counters count;
	struct latency latency[MEM_NR_WAITS];

	/* ESSA_FEAT_* in use; 0: every frame counts as Stable */
	_Atomic uint32_t features;
	_Atomic bool stopping;
	_Atomic bool failed;
	pthread_t pager_thread;
	pthread_t reclaim_thread;
	bool started;
};

/* Sequentially consistent, for watch.h; on x86 that costs nothing more. */
static inline void mem_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add(counter, n);
}

/* Frames change their content, in the counters. */
static inline void mem_recount(struct mem *mem, enum frame_content from,
			       enum frame_content to, uint64_t n)
{
	if (!n)
		return;
	atomic_fetch_sub(&mem->count.content[from], n);
	mem_count(&mem->count.content[to], n);
}

/*
 * Something that is watched has been changed, and counted: is it news?
 * Context: no stripe held, so that who is told may make a system call.
 */
static inline void watch_look(struct mem *mem)
{
	if (atomic_load(&mem->watch.armed))
		__watch_look(mem);
}

static inline bool mem_is_stopping(struct mem *mem)
{
	return atomic_load(&mem->stopping);
}

static inline uint64_t mem_gfn(const struct mem *mem, uint64_t idx)
{
	const uint64_t low = MEM_HOLE_START >> MEM_PAGE_SHIFT;

	(void)mem;
	return idx < low ? idx : idx - low + (MEM_HOLE_END >> MEM_PAGE_SHIFT);
}

static inline uint64_t mem_nr_blocks(const struct mem *mem)
{
	return (mem->nr_frames + FRAME_BLOCK - 1) / FRAME_BLOCK;
}

static inline uint8_t *mem_hva(const struct mem *mem, uint64_t idx)
{
	return mem->ram + (idx << MEM_PAGE_SHIFT);
}

/**
 * mem_fatal() - the guest cannot run on; tells the owner of the VM once
 * @mem:  memory
 * @err:  negative errno
 * @what: one line that says what to do
 */
void mem_fatal(struct mem *mem, int err, const char *what);

/**
 * mem_frame_of_gfn() - frame of a range of the guest's
 * @mem: memory
 * @gfn: first guest frame number, untrusted
 * @nr:  frames, untrusted
 * @idx: set to the first frame
 *
 * Return: 0, or -EINVAL unless the whole range lies inside one region of RAM.
 */
int mem_frame_of_gfn(const struct mem *mem, uint64_t gfn, uint64_t nr,
		     uint64_t *idx);

#endif /* HYP_MEM_PRIV_H */
