/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory of one VM: RAM, frame table, state table, reclaim, swap.
 *
 * The rest of hyp knows guest memory through this header only.  Nothing here
 * depends on KVM: a test drives it with threads that touch the RAM.
 */
#ifndef HYP_MEM_H
#define HYP_MEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MEM_PAGE_SIZE	4096u
#define MEM_MAX_REGIONS 2

struct mem; /* opaque */

/**
 * struct mem_config - what a VM's memory is to be; copied by mem_create()
 * @size_bytes:   guest RAM, a multiple of 4 KiB
 * @limit_bytes:  resident limit, a multiple of 4 KiB; 0: none
 * @swap_dir:     directory for the (unlinked) swap file; NULL: no swap
 * @swap_bytes:   most bytes the swap file may hold
 * @hinting:      take the guest's state table into account
 * @potential:    with @hinting: offer Potentially Volatile as well, if the host
 *		  kernel can tell of writes; see mem_features()
 * @storm:        discard every volatile frame as soon as it is seen
 * @always_pressure: tell the guest that reclaim is near when it is not, too
 * @fatal:        called once, from any thread, when the guest can no longer
 *		  run without losing data (swap file cut off, no host memory);
 *		  @err is a negative errno, @what one line that says what to
 *		  do.  Must not block; the VM is expected to stop.
 * @trouble:      called from any thread when the guest cannot go on for now and
 *		  nothing is lost (no space for the swap file or in it, I/O
 *		  error): @err and @what as above; the VM is expected to pause
 *		  and to run on when it is called with @err 0, as all is well
 *		  again.  Locks of mem are held: must not call back, must not
 *		  block.  NULL: such failures are fatal.
 * @pressure:     called from any thread when it begins (@on) or ends that
 *		  reclaim may discard soon; locks of mem are held: must not
 *		  call back.  May be NULL.
 * @news:         called once after mem_watch(), from any thread, as soon as
 *		  there is what it asked for; must not block.  NULL: nobody asks
 * @ctx:          first argument of all four
 * @start_thread: starts a thread ("pager", "reclaim"); thread_start() of hyp.
 *		  NULL: as pthread_create()
 */
struct mem_config {
	uint64_t size_bytes;
	uint64_t limit_bytes;
	const char *swap_dir;
	uint64_t swap_bytes;
	bool hinting;
	bool potential;
	bool storm;
	bool always_pressure;
	void (*fatal)(void *ctx, int err, const char *what);
	void (*trouble)(void *ctx, int err, const char *what);
	void (*pressure)(void *ctx, bool on);
	void (*news)(void *ctx);
	void *ctx;
	int (*start_thread)(pthread_t *out, const char *name,
			    void *(*fn)(void *arg), void *arg);
};

/** struct mem_region - guest-physical range of RAM and where hyp sees it */
struct mem_region {
	uint64_t gpa;
	uint64_t size_bytes;
	void *hva;
};

/* What a vCPU thread does about a SIGBUS on guest RAM. */
enum mem_fault {
	MEM_FAULT_RETRY,   /* frame is accessible now: run on */
	MEM_FAULT_DISCARD, /* inject a discard fault */
	MEM_FAULT_FOREIGN, /* not an address of guest RAM */
};

/* Why an access of the guest, or of the kernel for it, had to wait for hyp. */
enum mem_wait {
	MEM_WAIT_ZERO,	  /* the frame had no backing */
	MEM_WAIT_PAGE_IN, /* it was paged out */
	MEM_WAIT_DISCARD, /* it was discarded: until the discard fault */
	MEM_WAIT_WRITE,	  /* a write found it protected */
	MEM_WAIT_OTHER,	  /* it was on its way out, or there after all */
	MEM_NR_WAITS,
};

extern const char *const mem_wait_names[MEM_NR_WAITS];

#define MEM_LATENCY_BUCKETS 98u

/**
 * struct mem_latency - how long accesses of one kind waited
 * @count:  accesses; the sum of @bucket
 * @sum_ns: of all of them
 * @bucket: accesses that took longer than the bound of the bucket before, and at
 *	    most mem_latency_bound()
 */
struct mem_latency {
	uint64_t count, sum_ns;
	uint64_t bucket[MEM_LATENCY_BUCKETS];
};
/* Refault distances, in frames: up to 4 MiB, 64 MiB, 1 GiB, and more. */
#define MEM_DISTANCES	4u
#define MEM_DISTANCE(i) (1024u << 4 * (i))

/**
 * struct mem_stats - counters since mem_create(), in frames unless said
 *
 * Every frame is one of @resident, @preserved and @zero; while frames change,
 * the three may be of different moments.  @resident_peak and @limit are of what
 * is @charged: resident frames and those that are being filled.
 */
struct mem_stats {
	uint64_t frames, resident, resident_peak, preserved, zero, limit;
	uint64_t charged;
	uint64_t discarded_unused, discarded_volatile, discarded_potential;
	uint64_t discard_lost; /* the guest was faster than the CAS */
	uint64_t given_up;     /* by mem_give_up() */
	uint64_t swapped_out, swapped_in;
	uint64_t swap_out_bytes, swap_in_bytes;
	uint64_t readahead; /* read with others, when nobody waited for them */
	uint64_t readahead_hits; /* used; by a sample, of one page of each read */
	uint64_t fault_zero, fault_preserved, fault_stale, fault_discard;
	uint64_t armed;	       /* by ESSA_CMD_ARM, each time */
	uint64_t fault_write;  /* writes that found a frame protected */
	uint64_t device_fills; /* filled for a device access */
	uint64_t release_batches;
	uint64_t busy_waits; /* ESSA_CMD_WAIT calls that slept */
	uint64_t scans;
	uint64_t stall_us; /* time that accesses waited, all kinds of enum mem_wait */
	uint64_t reclaim_rounds;
	uint64_t reclaim_urgent; /* of these, begun above the limit or for a wait */
	uint64_t limit_waits; /* fills that slept until there was room */
	uint64_t probation;   /* frames there now, of the resident ones */
	uint64_t parked;      /* put there */
	uint64_t rescued_volatile, rescued_stable; /* touched there */
	uint64_t reclaim_failed; /* page in use, or not to be written */
	/* Wanted again, by how many frames reclaim took meanwhile. */
	uint64_t refault_discarded[MEM_DISTANCES]; /* by discard fault */
	uint64_t refault_swapped[MEM_DISTANCES];
};

/** struct mem_dist - frames by usage (S U V P) and content (r p z), as in <essa/abi.h> */
struct mem_dist {
	uint64_t n[4][3];
};

/**
 * mem_create() - reserve RAM and state table, open and probe userfaultfd
 * @out: set on success; caller owns, mem_destroy()
 * @cfg: copied
 * @why: on failure set to one static line that says what to do about it
 *
 * RAM begins as zero (no backing).  No thread runs yet.
 * Return: 0 or a negative errno.
 */
int mem_create(struct mem **out, const struct mem_config *cfg,
	       const char **why);

/** mem_start() - start the pager and reclaim threads */
int mem_start(struct mem *mem);

/**
 * mem_stop() - stop and join them; no vCPU or device may touch RAM any more
 * Waits in mem_hypercall() and mem_get() end before.
 */
void mem_stop(struct mem *mem);

/** mem_destroy() - free everything; accepts NULL */
void mem_destroy(struct mem *mem);

/** mem_regions() - RAM as memslots; @out is owned by @mem. Return: how many */
unsigned int mem_regions(const struct mem *mem, const struct mem_region **out);

/**
 * mem_table() - the shared state table, to be mapped at a gpa outside RAM
 * @len_bytes: its size, a multiple of 4 KiB
 * @nr_frames: its entries: highest gfn of RAM + 1
 */
void *mem_table(const struct mem *mem, size_t *len_bytes, uint64_t *nr_frames);

/** mem_features() - ESSA_FEAT_* of the table and the slow path, but for TEST */
uint32_t mem_features(const struct mem *mem);

#define MEM_MAX_HOST 8u

/**
 * mem_host() - what of the host's kernel is in use that older ones do not have
 * @mem:   memory
 * @names: set to static strings (hyp/mem/host.h)
 *
 * Return: how many.
 */
unsigned int mem_host(const struct mem *mem, const char *names[MEM_MAX_HOST]);

/**
 * mem_get() - make a range accessible to the host and keep it so
 * @gpa: start, untrusted
 * @len: bytes; > 0
 * @hva: set to the address of @gpa
 *
 * The frames become resident and are neither discarded, paged out nor moved
 * until mem_put() with the same range.  They count as written (R-POT-3).
 * Context: a thread that holds no lock of mem; may sleep; not the pager's.
 * Return: 0; -EFAULT if the range is not wholly inside one region of RAM or a
 * frame in it is discarded; -EBUSY if a frame is pinned 65535 times already;
 * -ECANCELED when the VM is stopping, or another errno when it has to stop
 * because the range cannot be paged in (mem_config.fatal has been called).
 */
int mem_get(struct mem *mem, uint64_t gpa, size_t len, void **hva);
void mem_put(struct mem *mem, uint64_t gpa, size_t len);

/** mem_read(), mem_write() - copy; rules and errors as mem_get() */
int mem_read(struct mem *mem, uint64_t gpa, void *dst, size_t len);
int mem_write(struct mem *mem, uint64_t gpa, const void *src, size_t len);

/**
 * mem_fault() - resolve a SIGBUS that a vCPU took on guest RAM
 * @addr: si_addr
 * @gpa:  set to the guest physical address of the page
 */
enum mem_fault mem_fault(struct mem *mem, const void *addr, uint64_t *gpa);

/** mem_clock_ns() - the monotonic clock that waits are measured with */
uint64_t mem_clock_ns(void);

/**
 * mem_note_discard() - a discard fault has been injected
 * @since_ns: mem_clock_ns() when its (first) SIGBUS was fetched
 */
void mem_note_discard(struct mem *mem, uint64_t since_ns);

/**
 * mem_hypercall() - slow path of the interface (ESSA_CMD_*)
 * @test_hooks: allow ESSA_CMD_TEST_*
 *
 * Arguments are the guest's and untrusted.  May sleep.
 * Return: the value for EAX.
 */
int32_t mem_hypercall(struct mem *mem, uint64_t cmd, uint64_t gfn, uint64_t nr,
		      bool test_hooks);

/**
 * mem_give_up() - the guest says that it has no use for a range any more
 * @gfn: first guest frame number, untrusted
 * @nr:  frames, untrusted
 *
 * Memory and swap slots are freed before this returns, and what is read
 * afterwards is zeros, however Stable the frames are: the guest does not touch
 * them before it is told that this is done, or loses what it writes.  Left alone
 * are frames that are pinned (mem_get()), as a device is about to use them, and
 * (potentially) volatile ones that may not be discarded now; those that may are
 * discarded: a touch is a discard fault then, never silent zeros.
 * Context: as mem_get().
 * Return: 0 or -EINVAL if the range is not wholly inside one region of RAM.
 */
int mem_give_up(struct mem *mem, uint64_t gfn, uint64_t nr);

/** mem_reset() - the guest rebooted or crashed: all frames Stable, hinting off */
void mem_reset(struct mem *mem);

/**
 * mem_set_limit() - change the resident limit; returns at once
 *
 * Tries again what was in trouble.
 * Return: 0 or -EINVAL.
 */
int mem_set_limit(struct mem *mem, uint64_t limit_bytes);

/**
 * mem_discard() - have reclaim take content away that the guest gave up
 * @mem:       started
 * @nr_frames: not 0; Unused, Volatile and clean Potentially Volatile ones, in
 *	       this order, as many if there are (a few more in one batch);
 *	       nothing is paged out
 * @done:      called once with the number of frames that have become free, from
 *	       reclaim's thread with no lock held; not if mem_stop() comes first
 * @ctx:       its first argument
 *
 * Returns at once.
 * Return: 0; -EBUSY if one is under way; -EINVAL.
 */
int mem_discard(struct mem *mem, uint64_t nr_frames,
		void (*done)(void *ctx, uint64_t nr_frames), void *ctx);

/**
 * mem_retry() - somebody has made room: try again what was in trouble
 *
 * Any thread; returns at once, and does nothing if there is no trouble.  Also
 * happens by itself, once a second.
 */
void mem_retry(struct mem *mem);

/**
 * mem_bear_trouble() - is there somebody who can wait for the end of trouble?
 * @on: false: trouble is fatal, also what there is now; calls that sleep because
 *	of it return -ECANCELED.  True after mem_create().
 */
void mem_bear_trouble(struct mem *mem, bool on);

/**
 * struct mem_watch - what is no news for who watches
 * @cost:         mem_cost() of what he has seen
 * @resident_min: resident frames, of which at least so many
 * @resident_max: and at most so many are none
 * @over:	  he has seen more charged than the limit: it is news when there
 *		  no longer is
 */
struct mem_watch {
	uint64_t cost;
	uint64_t resident_min, resident_max;
	bool over;
};

/**
 * mem_cost() - events that cost a guest or a disk something, together: grows with
 * each discard, discard fault, page-out and fault on a preserved frame
 */
static inline uint64_t mem_cost(const struct mem_stats *s)
{
	return s->fault_preserved + s->fault_discard + s->swapped_out +
	       s->discarded_unused + s->discarded_volatile +
	       s->discarded_potential;
}

/**
 * mem_watch() - have mem_config.news called once, with the next news
 * @what: copied; NULL: no more, but a call may be under way
 *
 * That may be at once, and before this returns: whatever happened since the
 * statistics were taken that @what is made of is news.
 * Context: one thread at a time; no lock of mem held.
 */
void mem_watch(struct mem *mem, const struct mem_watch *what);

/** mem_get_stats() - any thread; takes no lock, and as long for any size */
void mem_get_stats(struct mem *mem, struct mem_stats *out);

/** mem_get_latency() - waits of one kind since mem_create(); as mem_get_stats() */
void mem_get_latency(struct mem *mem, enum mem_wait kind,
		     struct mem_latency *out);

/** mem_latency_bound() - longest time of a bucket, in ns; of the last UINT64_MAX */
uint64_t mem_latency_bound(unsigned int bucket);

/**
 * mem_latency_quantile() - the bound of the bucket that @permille of all reach
 * Return: nanoseconds; 0 if there is none.
 */
uint64_t mem_latency_quantile(const struct mem_latency *l,
			      unsigned int permille);

/**
 * mem_get_dist() - look at every frame, and at the guest's table, where usage
 * changes without the host: not for what is asked often.  Any thread.
 */
void mem_get_dist(struct mem *mem, struct mem_dist *out);

#endif /* HYP_MEM_H */
