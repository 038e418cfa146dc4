// SPDX-License-Identifier: GPL-2.0-only
/*
 * Order of queues: Linux numbers those that exist without a gap, the
 * specification with one where free page hinting would be; both work, as 3 and
 * 4 mean the same.
 */
#include "hyp/dev/virtio/balloon.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hyp/dev/virtio/chain.h"
#include "hyp/dev/virtio/worker.h"
#include "hyp/mem/mem.h"

/* Newer than the headers of Debian 12. */
#ifndef VIRTIO_BALLOON_F_REPORTING
#define VIRTIO_BALLOON_F_REPORTING 5
#endif

#define QUEUE_INFLATE 0u
#define QUEUE_DEFLATE 1u
#define QUEUE_STATS   2u
#define NR_QUEUES     5u
/* Frame numbers that are looked at together; Linux sends 256. */
#define PFN_BATCH 256u
#define NO_HEAD	  -1

const char *const balloon_stat_names[BALLOON_NR_STATS] = {
	"swap_in",     "swap_out",	"major_faults",	 "minor_faults",
	"free_memory", "total_memory",	"available",	 "disk_caches",
	"htlb_allocs", "htlb_failures", "oom_kills",	 "alloc_stalls",
	"async_scan",  "direct_scan",	"async_reclaim", "direct_reclaim",
};

struct balloon {
	struct mem *mem;
	struct virtio_mmio *transport;
	uint64_t max_bytes;
	struct worker worker;
	int timer_fd;
	void (*changed)(void *ctx); /* NULL: nobody wants to know */
	void *changed_ctx;

	/* Atomic; target by the host, the others by the guest's registers. */
	uint32_t target, actual, poison;
	bool target_is_new; /* atomic: the thread is to tell the driver */
	uint64_t inflated, deflated, reported;

	pthread_mutex_t lock; /* a leaf; guards these */
	uint64_t stats[BALLOON_NR_STATS];
	uint32_t stats_valid;
	uint64_t stats_ms;
	bool stats_there; /* the guest's buffer is here: it can be asked */
	bool stats_wanted;

	/* The thread's own. */
	bool broken; /* the guest broke the rules */
	bool want_irq;
	unsigned int queue; /* that is being served */
	int stats_head;	    /* the buffer, or NO_HEAD */
};

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void push(struct balloon *b, uint16_t head)
{
	b->want_irq |=
		vq_push(virtio_mmio_queue(b->transport, b->queue), head, 0);
}

static int cmp_pfn(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

/* What lies outside of RAM is the guest's mistake, and no harm is done. */
static void give_up(struct balloon *b, uint32_t *pfn, unsigned int nr)
{
	unsigned int i, first;

	/* Neighbours together: they come in the order of allocation. */
	qsort(pfn, nr, sizeof(*pfn), cmp_pfn);
	for (first = 0, i = 1; i <= nr; i++)
		if (i == nr || pfn[i] != pfn[i - 1] + 1) {
			if (!mem_give_up(b->mem, pfn[first], i - first))
				count(&b->inflated, i - first);
			first = i;
		}
}

/* A guest that adds requests all the time must not keep worker_pause(). */
static int go_on(struct balloon *b)
{
	return worker_may_work(&b->worker);
}

/* An array of 32-bit frame numbers, 4 KiB each whatever the guest's pages. */
static int serve_pfns(void *dev, const struct vq_chain *chain)
{
	uint64_t at, len = chain_bytes(chain, false);
	uint32_t pfn[PFN_BATCH];
	struct balloon *b = dev;
	unsigned int i, nr;
	int64_t n;

	if (!len || len % sizeof(pfn[0]))
		return -EPROTO;
	/* Nobody needs more, and worker_pause() waits for the end of it. */
	if (len > 64 * sizeof(pfn))
		return -EPROTO;
	if (b->queue == QUEUE_DEFLATE)
		count(&b->deflated, len / sizeof(pfn[0]));
	for (at = 0; b->queue == QUEUE_INFLATE && at < len; at += (uint64_t)n) {
		n = chain_read(b->mem, chain, at, pfn, sizeof(pfn));
		if (n <= 0)
			return n ? (int)n : -EPROTO;
		nr = (unsigned int)n / sizeof(pfn[0]);
		for (i = 0; i < nr; i++)
			pfn[i] = le32toh(pfn[i]);
		give_up(b, pfn, nr);
	}
	push(b, chain->head);
	return go_on(b);
}

/*
 * Section 5.5.6.7: the ranges are the buffers themselves.  A guest that wants
 * to find something else than zeros there (page poisoning) keeps its memory.
 * Frames at the edges of a range belong to it in part only, and stay.
 */
static int serve_report(void *dev, const struct vq_chain *chain)
{
	struct balloon *b = dev;
	uint32_t poison =
		virtio_mmio_has(b->transport, VIRTIO_BALLOON_F_PAGE_POISON) ?
			__atomic_load_n(&b->poison, __ATOMIC_RELAXED) :
			0;
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < chain->nr && !poison; i++) {
		const struct vq_segment *s = &chain->segments[i];
		uint64_t first =
			s->gpa / MEM_PAGE_SIZE + (s->gpa % MEM_PAGE_SIZE != 0);
		uint64_t end = s->gpa > UINT64_MAX - s->len ?
				       0 :
				       (s->gpa + s->len) / MEM_PAGE_SIZE;

		bytes += s->len;
		if (!s->writable || bytes > b->max_bytes)
			return -EPROTO;
		if (first < end && !mem_give_up(b->mem, first, end - first))
			count(&b->reported, end - first);
	}
	push(b, chain->head);
	return go_on(b);
}

static void __take_stat(struct balloon *b, const struct virtio_balloon_stat *s)
{
	uint16_t tag = le16toh(s->tag);

	if (tag >= BALLOON_NR_STATS)
		return; /* of a later Linux */
	b->stats[tag] = le64toh(s->val);
	b->stats_valid |= 1u << tag;
}

/*
 * The guest's only buffer of this queue: it stays here until statistics are
 * wanted; the guest then fills it anew and gives it back.
 */
static int serve_stats(void *dev, const struct vq_chain *chain)
{
	/* Twice what we know: a later Linux may have more tags. */
	struct virtio_balloon_stat stats[2 * BALLOON_NR_STATS];
	struct balloon *b = dev;
	unsigned int i;
	int64_t n;

	if (b->stats_head != NO_HEAD)
		return -EPROTO;
	n = chain_read(b->mem, chain, 0, stats, sizeof(stats));
	if (n < 0)
		return (int)n;
	b->stats_head = chain->head;
	pthread_mutex_lock(&b->lock);
	b->stats_valid = 0;
	for (i = 0; i < (uint64_t)n / sizeof(stats[0]); i++)
		__take_stat(b, &stats[i]);
	b->stats_ms = now_ms();
	b->stats_there = true;
	pthread_mutex_unlock(&b->lock);
	return 1;
}

static void ask_stats(struct balloon *b)
{
	bool ask;

	pthread_mutex_lock(&b->lock);
	ask = b->stats_wanted && b->stats_head != NO_HEAD;
	if (ask)
		b->stats_wanted = b->stats_there = false;
	pthread_mutex_unlock(&b->lock);
	if (!ask)
		return;
	b->queue = QUEUE_STATS;
	push(b, (uint16_t)b->stats_head);
	b->stats_head = NO_HEAD;
}

typedef int (*serve_fn)(void *dev, const struct vq_chain *chain);

static serve_fn serve_of(const struct balloon *b, unsigned int queue)
{
	if (queue < QUEUE_STATS)
		return serve_pfns;
	if (queue == QUEUE_STATS &&
	    virtio_mmio_has(b->transport, VIRTIO_BALLOON_F_STATS_VQ))
		return serve_stats;
	return virtio_mmio_has(b->transport, VIRTIO_BALLOON_F_REPORTING) ?
		       serve_report :
		       NULL;
}

static void serve(struct balloon *b)
{
	struct vq_chain chain;
	int ret = 0;

	for (b->queue = 0; ret >= 0 && b->queue < NR_QUEUES; b->queue++) {
		struct vq *vq = virtio_mmio_queue(b->transport, b->queue);
		serve_fn fn = serve_of(b, b->queue);

		if (vq && fn)
			ret = vq_drain(vq, &chain, fn, b);
	}
	if (ret < 0 && ret != -ECANCELED) {
		b->broken = true;
		virtio_mmio_fail(b->transport, "malformed request");
	} else {
		ask_stats(b);
	}
	if (b->want_irq)
		virtio_mmio_interrupt(b->transport);
	b->want_irq = false;
}

/* The driver is gone, and with it its buffer. */
static void forget(struct balloon *b)
{
	b->broken = false;
	b->stats_head = NO_HEAD;
	pthread_mutex_lock(&b->lock);
	b->stats_there = b->stats_wanted = false;
	pthread_mutex_unlock(&b->lock);
}

static void on_timer(struct balloon *b)
{
	uint64_t expirations;

	if (read(b->timer_fd, &expirations, sizeof(expirations)) > 0)
		balloon_ask_stats(b);
}

static void *balloon_thread(void *arg)
{
	struct balloon *b = arg;
	bool reset = false;

	while (worker_follow(&b->worker, true, &reset)) {
		if (reset)
			forget(b);
		reset = false;
		if (__atomic_exchange_n(&b->target_is_new, false,
					__ATOMIC_ACQ_REL))
			virtio_mmio_config_changed(b->transport);
		if (worker_may_work(&b->worker) && !b->broken)
			serve(b);
		if (worker_wait(&b->worker, b->timer_fd, -1))
			on_timer(b);
	}
	return NULL;
}

static void balloon_virtio_start(void *dev)
{
	worker_run(&((struct balloon *)dev)->worker);
}

static void balloon_virtio_stop(void *dev)
{
	worker_pause(&((struct balloon *)dev)->worker);
}

static void balloon_virtio_notify(void *dev)
{
	worker_kick(&((struct balloon *)dev)->worker);
}

static void set_actual(struct balloon *b, uint32_t frames)
{
	__atomic_store_n(&b->actual, frames, __ATOMIC_RELAXED);
	if (b->changed)
		b->changed(b->changed_ctx);
}

/* A balloon whose driver is gone is empty. */
static void balloon_virtio_reset(void *dev)
{
	struct balloon *b = dev;

	set_actual(b, 0);
	__atomic_store_n(&b->poison, 0, __ATOMIC_RELAXED);
}

static void balloon_config_read(void *dev, uint64_t offset, void *data,
				unsigned int len)
{
	struct balloon *b = dev;
	struct virtio_balloon_config config = {
		.num_pages =
			htole32(__atomic_load_n(&b->target, __ATOMIC_RELAXED)),
		.actual =
			htole32(__atomic_load_n(&b->actual, __ATOMIC_RELAXED)),
		.poison_val =
			htole32(__atomic_load_n(&b->poison, __ATOMIC_RELAXED)),
	};

	memset(data, 0, len);
	if (offset < sizeof(config) && len <= sizeof(config) - offset)
		memcpy(data, (char *)&config + offset, len);
}

static void balloon_config_write(void *dev, uint64_t offset, const void *data,
				 unsigned int len)
{
	struct balloon *b = dev;
	uint32_t value;

	if (len != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	value = le32toh(value);
	if (offset == offsetof(struct virtio_balloon_config, actual))
		set_actual(b, value);
	else if (offset == offsetof(struct virtio_balloon_config, poison_val))
		__atomic_store_n(&b->poison, value, __ATOMIC_RELAXED);
}

static const struct virtio_ops balloon_ops = {
	.device_id = VIRTIO_ID_BALLOON,
	.start = balloon_virtio_start,
	.stop = balloon_virtio_stop,
	.notify = balloon_virtio_notify,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.reset = balloon_virtio_reset,
};

int balloon_create(struct balloon **out, struct mem *mem, uint64_t max_bytes,
		   const struct virtio_irq *irq)
{
	const uint64_t features = 1ull << VIRTIO_BALLOON_F_STATS_VQ |
				  1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
				  1ull << VIRTIO_BALLOON_F_PAGE_POISON |
				  1ull << VIRTIO_BALLOON_F_REPORTING;
	struct balloon *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->mem = mem;
	b->max_bytes = max_bytes;
	b->stats_head = NO_HEAD;
	pthread_mutex_init(&b->lock, NULL);
	b->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = worker_init(&b->worker);
	if (!err && b->timer_fd < 0)
		err = -errno;
	if (!err)
		err = virtio_mmio_create(&b->transport, mem, &balloon_ops, b,
					 NR_QUEUES, features, irq);
	if (err) {
		balloon_destroy(b);
		return err;
	}
	*out = b;
	return 0;
}

void balloon_on_change(struct balloon *balloon, void (*fn)(void *ctx),
		       void *ctx)
{
	balloon->changed = fn;
	balloon->changed_ctx = ctx;
}

int balloon_start(struct balloon *balloon)
{
	return worker_start(&balloon->worker, "balloon", balloon_thread,
			    balloon);
}

int balloon_stop(struct balloon *balloon, unsigned int timeout_ms)
{
	return worker_stop(&balloon->worker, timeout_ms);
}

void balloon_destroy(struct balloon *balloon)
{
	if (!balloon)
		return;
	virtio_mmio_destroy(balloon->transport);
	worker_fini(&balloon->worker);
	if (balloon->timer_fd >= 0)
		close(balloon->timer_fd);
	pthread_mutex_destroy(&balloon->lock);
	free(balloon);
}

struct virtio_mmio *balloon_transport(struct balloon *balloon)
{
	return balloon->transport;
}

int balloon_kick_fd(const struct balloon *balloon)
{
	return balloon->worker.kick_fd;
}

int balloon_set_target(struct balloon *balloon, uint64_t bytes)
{
	if (bytes % MEM_PAGE_SIZE || bytes > balloon->max_bytes)
		return -EINVAL;
	__atomic_store_n(&balloon->target, (uint32_t)(bytes / MEM_PAGE_SIZE),
			 __ATOMIC_RELAXED);
	/* By the thread: the transport's lock may be held over a wait. */
	__atomic_store_n(&balloon->target_is_new, true, __ATOMIC_RELEASE);
	worker_kick(&balloon->worker);
	return 0;
}

int balloon_ask_stats(struct balloon *balloon)
{
	bool ask;

	pthread_mutex_lock(&balloon->lock);
	ask = balloon->stats_there && !balloon->stats_wanted;
	balloon->stats_wanted |= ask;
	pthread_mutex_unlock(&balloon->lock);
	if (!ask)
		return -EAGAIN;
	worker_kick(&balloon->worker);
	return 0;
}

void balloon_stats_every(struct balloon *balloon, unsigned int ms)
{
	const struct timespec every = { ms / 1000,
					(long)(ms % 1000) * 1000000 };
	const struct itimerspec spec = { .it_value = every,
					 .it_interval = every };

	timerfd_settime(balloon->timer_fd, 0, &spec, NULL);
}

void balloon_get(struct balloon *balloon, struct balloon_state *out)
{
	struct balloon *b = balloon;

	*out = (struct balloon_state){
		.target_bytes = (uint64_t)__atomic_load_n(&b->target,
							  __ATOMIC_RELAXED) *
				MEM_PAGE_SIZE,
		.actual_bytes = (uint64_t)__atomic_load_n(&b->actual,
							  __ATOMIC_RELAXED) *
				MEM_PAGE_SIZE,
		.inflated = __atomic_load_n(&b->inflated, __ATOMIC_RELAXED),
		.deflated = __atomic_load_n(&b->deflated, __ATOMIC_RELAXED),
		.reported = __atomic_load_n(&b->reported, __ATOMIC_RELAXED),
	};
	pthread_mutex_lock(&b->lock);
	memcpy(out->stats, b->stats, sizeof(out->stats));
	out->stats_valid = b->stats_valid;
	out->stats_ms = b->stats_ms;
	pthread_mutex_unlock(&b->lock);
}
