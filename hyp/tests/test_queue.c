// SPDX-License-Identifier: GPL-2.0-only
/* Rings in hostile hands. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hyp/dev/virtio/queue.h"
#include "hyp/util.h"

#define SIZE	 8u
#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

/* Where the guest has its indirect table. */
#define TABLE_GPA 0x7000u

struct table {
	struct vring_desc desc[VQ_MAX_SEGMENTS + 1];
	unsigned int reads;
};

/*
 * The rings lie in one allocation each, so that the address sanitizer sees an
 * access behind them.
 */
struct rings {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vq vq;
	struct vq_chain chain;
	struct table table;
	sem_t notified;
};

static void *aligned_zeros(size_t align, size_t size)
{
	void *p = NULL;

	assert_int_equal(posix_memalign(&p, align, size), 0);
	memset(p, 0, size);
	return p;
}

static int setup(void **state)
{
	struct rings *r = calloc(1, sizeof(*r));

	r->desc = aligned_zeros(16, vq_desc_bytes(SIZE));
	r->avail = aligned_zeros(16, vq_avail_bytes(SIZE));
	r->used = aligned_zeros(16, vq_used_bytes(SIZE));
	assert_int_equal(vq_init(&r->vq, SIZE, r->desc, r->avail, r->used), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rings *r = *state;

	free(r->desc);
	free(r->avail);
	free(r->used);
	free(r);
	return 0;
}

static void set(struct rings *r, unsigned int i, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next)
{
	r->desc[i] = (struct vring_desc){ addr, len, flags, next };
}

static void offer(struct rings *r, uint16_t head)
{
	r->avail->ring[r->avail->idx % SIZE] = head;
	r->avail->idx++;
}

static void empty_ring_has_no_request(void **state)
{
	struct rings *r = *state;

	assert_int_equal(vq_pop(&r->vq, &r->chain), 0);
}

static void chain_is_copied_in_order(void **state)
{
	struct rings *r = *state;

	set(r, 5, 0x1000, 16, NEXT, 0);
	set(r, 0, 0x2000, 4096, NEXT | WRITE, 7);
	set(r, 7, 0x3000, 1, WRITE, 99 /* not used without NEXT */);
	offer(r, 5);
	assert_int_equal(vq_pop(&r->vq, &r->chain), 1);
	assert_int_equal(r->chain.head, 5);
	assert_int_equal(r->chain.nr, 3);
	assert_int_equal(r->chain.segments[0].gpa, 0x1000);
	assert_false(r->chain.segments[0].writable);
	assert_int_equal(r->chain.segments[1].len, 4096);
	assert_true(r->chain.segments[1].writable);
	assert_int_equal(r->chain.segments[2].gpa, 0x3000);
	assert_int_equal(vq_pop(&r->vq, &r->chain), 0);
}

struct hostile {
	const char *what;
	uint16_t head, added;
	struct vring_desc desc[SIZE];
};

static const struct hostile hostile[] = {
	{ "head behind the table", SIZE, 1, { { 0, 16, 0, 0 } } },
	{ "head far behind the table", 0xffff, 1, { { 0, 16, 0, 0 } } },
	{ "next behind the table", 0, 1, { { 0, 16, NEXT, SIZE } } },
	{ "next far behind the table", 0, 1, { { 0, 16, NEXT, 0xffff } } },
	{ "chain of one that is a loop", 0, 1, { { 0, 16, NEXT, 0 } } },
	{ "chain of two that is a loop",
	  0,
	  1,
	  { { 0, 16, NEXT, 1 }, { 0, 16, NEXT, 0 } } },
	{ "loop behind a good start",
	  0,
	  1,
	  { { 0, 16, NEXT, 1 }, { 0, 16, NEXT, 2 }, { 0, 16, NEXT, 1 } } },
	{ "empty segment", 0, 1, { { 0, 0, 0, 0 } } },
	{ "empty segment at the end",
	  0,
	  1,
	  { { 0, 16, NEXT, 1 }, { 0, 0, WRITE, 0 } } },
	{ "indirect table, not negotiated", 0, 1, { { 0, 16, INDIRECT, 0 } } },
	{ "unknown flag", 0, 1, { { 0, 16, 0x8000, 0 } } },
	{ "readable behind writable",
	  0,
	  1,
	  { { 0, 16, NEXT | WRITE, 1 }, { 0, 16, 0, 0 } } },
	{ "more requests than descriptors", 0, SIZE + 1, { { 0, 16, 0, 0 } } },
	{ "index that ran backwards", 0, 0xffff, { { 0, 16, 0, 0 } } },
};

static void hostile_rings_are_refused(void **state)
{
	struct rings *r = *state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hostile); i++) {
		memcpy(r->desc, hostile[i].desc, sizeof(hostile[i].desc));
		assert_int_equal(
			vq_init(&r->vq, SIZE, r->desc, r->avail, r->used), 0);
		r->avail->ring[0] = hostile[i].head;
		r->avail->idx = hostile[i].added;
		if (vq_pop(&r->vq, &r->chain) != -EPROTO)
			fail_msg("accepted: %s", hostile[i].what);
	}
}

static void the_longest_chain_fits(void **state)
{
	struct rings *r = *state;
	unsigned int i;

	for (i = 0; i < SIZE; i++)
		set(r, i, i, 16, i < SIZE - 1 ? NEXT : 0, (uint16_t)(i + 1));
	offer(r, 0);
	assert_int_equal(vq_pop(&r->vq, &r->chain), 1);
	assert_int_equal(r->chain.nr, SIZE);
}

static void more_segments_than_a_chain_holds_are_refused(void **state)
{
	struct vring_desc *desc = aligned_zeros(16, vq_desc_bytes(VQ_MAX_SIZE));
	struct vring_avail *avail =
		aligned_zeros(16, vq_avail_bytes(VQ_MAX_SIZE));
	struct vring_used *used = aligned_zeros(16, vq_used_bytes(VQ_MAX_SIZE));
	struct rings *r = *state;
	unsigned int i;

	for (i = 0; i < VQ_MAX_SIZE; i++)
		desc[i] = (struct vring_desc){ 0, 16, NEXT, (uint16_t)(i + 1) };
	desc[VQ_MAX_SEGMENTS].flags = 0; /* one more than there is room for */
	avail->idx = 1;
	assert_int_equal(vq_init(&r->vq, VQ_MAX_SIZE, desc, avail, used), 0);
	assert_int_equal(vq_pop(&r->vq, &r->chain), -EPROTO);
	desc[VQ_MAX_SEGMENTS - 1].flags = 0;
	assert_int_equal(vq_pop(&r->vq, &r->chain), 1);
	assert_int_equal(r->chain.nr, VQ_MAX_SEGMENTS);
	free(desc);
	free(avail);
	free(used);
}

static void indices_wrap(void **state)
{
	struct rings *r = *state;
	unsigned int i;

	for (i = 0; i < 0x10000 + 3 * SIZE; i++) {
		uint16_t head = (uint16_t)(i % SIZE);

		set(r, head, i, 16, WRITE, 0);
		offer(r, head);
		assert_int_equal(vq_pop(&r->vq, &r->chain), 1);
		assert_int_equal(r->chain.segments[0].gpa, i);
		vq_push(&r->vq, r->chain.head, i);
		assert_int_equal(r->used->idx, (uint16_t)(i + 1));
		assert_int_equal(r->used->ring[i % SIZE].id, head);
		assert_int_equal(r->used->ring[i % SIZE].len, i);
	}
	assert_int_equal(vq_pop(&r->vq, &r->chain), 0);
}

static void flags_control_notifications(void **state)
{
	struct rings *r = *state;

	assert_true(vq_push(&r->vq, 0, 0));
	r->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(vq_push(&r->vq, 0, 0));
	vq_want_notify(&r->vq, false);
	assert_int_equal(r->used->flags, VRING_USED_F_NO_NOTIFY);
	vq_want_notify(&r->vq, true);
	assert_int_equal(r->used->flags, 0);
}

static void impossible_queues_are_refused(void **state)
{
	struct rings *r = *state;
	struct vq vq;

	assert_int_equal(vq_init(&vq, 0, r->desc, r->avail, r->used), -EINVAL);
	assert_int_equal(vq_init(&vq, 7, r->desc, r->avail, r->used), -EINVAL);
	assert_int_equal(vq_init(&vq, 2 * VQ_MAX_SIZE, r->desc, r->avail,
				 r->used),
			 -EINVAL);
	assert_int_equal(vq_init(&vq, 4, (char *)r->desc + 8, r->avail,
				 r->used),
			 -EINVAL);
	assert_int_equal(vq_init(&vq, 4, r->desc, (char *)r->avail + 1,
				 r->used),
			 -EINVAL);
	assert_int_equal(vq_init(&vq, 4, r->desc, r->avail,
				 (char *)r->used + 2),
			 -EINVAL);
}

static int read_table(void *ctx, uint64_t gpa, void *dst, size_t len)
{
	struct table *t = ctx;

	t->reads++;
	if (gpa != TABLE_GPA || len > sizeof(t->desc))
		return -EFAULT;
	memcpy(dst, t->desc, len);
	return 0;
}

static void an_indirect_table_ends_a_chain(void **state)
{
	struct rings *r = *state;
	struct table *t = &r->table;

	t->desc[0] = (struct vring_desc){ 0x2000, 5, NEXT, 2 };
	t->desc[1] = (struct vring_desc){ 0x4000, 7, WRITE, 0 };
	t->desc[2] = (struct vring_desc){ 0x3000, 6, NEXT | WRITE, 1 };
	r->vq.read = read_table;
	r->vq.read_ctx = t;
	set(r, 1, 0x1000, 4, NEXT, 4);
	set(r, 4, TABLE_GPA, 3 * 16, INDIRECT | WRITE /* ignored */, 0);
	offer(r, 1);
	assert_int_equal(vq_pop(&r->vq, &r->chain), 1);
	assert_int_equal(r->chain.head, 1);
	assert_int_equal(r->chain.nr, 4);
	assert_int_equal(r->chain.segments[1].gpa, 0x2000);
	assert_false(r->chain.segments[1].writable);
	assert_int_equal(r->chain.segments[3].gpa, 0x4000);
	assert_true(r->chain.segments[3].writable);
	assert_int_equal(t->reads, 1);
}

static void hostile_indirect_tables_are_refused(void **state)
{
	static const struct {
		const char *what;
		struct vring_desc direct, table[3];
	} bad[] = {
		{ "half a descriptor",
		  { TABLE_GPA, 24, INDIRECT, 0 },
		  { { 0, 16, 0, 0 } } },
		{ "longer than a chain",
		  { TABLE_GPA, 16 * (VQ_MAX_SEGMENTS + 1), INDIRECT, 0 },
		  { { 0, 16, 0, 0 } } },
		{ "enormous", { TABLE_GPA, ~15u, INDIRECT, 0 }, { { 0 } } },
		{ "in no memory", { 0, 16, INDIRECT, 0 }, { { 0, 16, 0, 0 } } },
		{ "something behind it",
		  { TABLE_GPA, 16, INDIRECT | NEXT, 1 },
		  { { 0, 16, 0, 0 } } },
		{ "another one in it",
		  { TABLE_GPA, 16, INDIRECT, 0 },
		  { { TABLE_GPA, 16, INDIRECT, 0 } } },
		{ "next behind its end",
		  { TABLE_GPA, 32, INDIRECT, 0 },
		  { { 0, 16, NEXT, 2 }, { 0, 16, 0, 0 }, { 0, 16, 0, 0 } } },
		{ "a loop",
		  { TABLE_GPA, 32, INDIRECT, 0 },
		  { { 0, 16, NEXT, 1 }, { 0, 16, NEXT, 0 } } },
		{ "readable behind writable",
		  { TABLE_GPA, 32, INDIRECT, 0 },
		  { { 0, 16, NEXT | WRITE, 1 }, { 0, 16, 0, 0 } } },
	};
	struct rings *r = *state;
	unsigned int i;

	r->vq.read = read_table;
	r->vq.read_ctx = &r->table;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(r->table.desc, bad[i].table, sizeof(bad[i].table));
		r->desc[0] = bad[i].direct;
		r->vq.next_avail = 0;
		r->avail->ring[0] = 0;
		r->avail->idx = 1;
		if (vq_pop(&r->vq, &r->chain) != -EPROTO)
			fail_msg("accepted: %s", bad[i].what);
	}
}

static void events_replace_the_flags(void **state)
{
	struct rings *r = *state;
	uint16_t *used_event = &r->avail->ring[SIZE];
	uint16_t *avail_event = (uint16_t *)&r->used->ring[SIZE];

	r->vq.event_idx = true;
	r->avail->flags = VRING_AVAIL_F_NO_INTERRUPT; /* to be ignored */
	*used_event = 1;
	assert_false(vq_push(&r->vq, 0, 0));
	assert_true(vq_push(&r->vq, 0, 0));
	assert_false(vq_push(&r->vq, 0, 0));
	r->vq.next_avail = 0xffff;
	vq_want_notify(&r->vq, false);
	assert_int_equal(*avail_event, 0);
	vq_want_notify(&r->vq, true);
	assert_int_equal(*avail_event, 0xffff);
	assert_int_equal(r->used->flags, 0);
}

static int push_it(void *ctx, const struct vq_chain *chain)
{
	struct rings *r = ctx;

	vq_push(&r->vq, chain->head, 0);
	/* One more comes when the queue looks empty already. */
	if (r->vq.next_used == 3)
		offer(r, 0);
	return r->vq.next_used < 6;
}

static void a_drained_queue_wants_to_be_told(void **state)
{
	struct rings *r = *state;
	unsigned int i;

	r->vq.event_idx = true;
	set(r, 0, 0x1000, 16, 0, 0);
	for (i = 0; i < 3; i++)
		offer(r, 0);
	assert_int_equal(vq_drain(&r->vq, &r->chain, push_it, r), 0);
	assert_int_equal(r->used->idx, 4);
	assert_int_equal(*(uint16_t *)&r->used->ring[SIZE], 4);
	for (i = 0; i < 3; i++)
		offer(r, 0);
	assert_int_equal(vq_drain(&r->vq, &r->chain, push_it, r), 1);
	assert_int_equal(r->used->idx, 6);
}

#define RACE_ROUNDS 60000u /* an index of 16 bits */

static int count_it(void *ctx, const struct vq_chain *chain)
{
	struct rings *r = ctx;

	vq_push(&r->vq, chain->head, 0);
	return 1;
}

/* A device that sleeps when the queue looks empty, until it is notified. */
static void *drain_all(void *arg)
{
	struct rings *r = arg;
	struct timespec until;

	while (r->vq.next_used != (uint16_t)RACE_ROUNDS) {
		if (vq_drain(&r->vq, &r->chain, count_it, r))
			return arg;
		if (r->vq.next_used == (uint16_t)RACE_ROUNDS)
			break;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 20;
		if (sem_timedwait(&r->notified, &until))
			return arg;
	}
	return NULL;
}

/* As Linux does it: add, publish, look whether the device wants to know. */
static void no_notification_is_lost(void **state)
{
	struct rings *r = *state;
	uint16_t *event = (uint16_t *)&r->used->ring[SIZE];
	pthread_t thread;
	void *failed;
	uint32_t i;

	r->vq.event_idx = true;
	set(r, 0, 0x1000, 16, 0, 0);
	sem_init(&r->notified, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, drain_all, r), 0);
	for (i = 0; i < RACE_ROUNDS; i++) {
		/* One at a time: the device is about to sleep each time. */
		while (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) !=
		       (uint16_t)i)
			if (!pthread_tryjoin_np(thread, &failed))
				fail_msg("not notified in round %u", i);
		__atomic_store_n(&r->avail->idx, (uint16_t)(i + 1),
				 __ATOMIC_SEQ_CST);
		if (__atomic_load_n(event, __ATOMIC_SEQ_CST) == (uint16_t)i)
			sem_post(&r->notified);
	}
	pthread_join(thread, &failed);
	assert_null(failed);
	sem_destroy(&r->notified);
}

struct flipper {
	struct rings *r;
	bool stop;
};

#ifdef __SANITIZE_THREAD__
#define LOOKS 1000000u
#else
#define LOOKS 30000000u
#endif

/* A guest that rewrites a descriptor while the host looks at it. */
static void *flip(void *arg)
{
	struct flipper *f = arg;
	struct vring_desc *d = &f->r->desc[0];

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&d->len, 16, __ATOMIC_RELAXED);
		__atomic_store_n(&d->len, 0, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_descriptor_that_changes_is_read_once(void **state)
{
	struct rings *r = *state;
	struct flipper f = { .r = r };
	unsigned int i, good = 0, bad = 0;
	pthread_t thread;

	set(r, 0, 0x1000, 16, NEXT, 1);
	set(r, 1, 0x2000, 16, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
	for (i = 0; i < 10 * LOOKS && (i < LOOKS || !good || !bad); i++) {
		int ret;

		r->avail->ring[r->vq.next_avail % SIZE] = 0;
		r->avail->idx = (uint16_t)(r->vq.next_avail + 1);
		ret = vq_pop(&r->vq, &r->chain);
		if (ret == 1) {
			good++;
			assert_int_equal(r->chain.nr, 2);
			assert_int_equal(r->chain.segments[0].len, 16);
		} else {
			bad++;
			assert_int_equal(ret, -EPROTO);
		}
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(good && bad);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(empty_ring_has_no_request),
		CASE(chain_is_copied_in_order),
		CASE(hostile_rings_are_refused),
		CASE(the_longest_chain_fits),
		CASE(more_segments_than_a_chain_holds_are_refused),
		CASE(indices_wrap),
		CASE(flags_control_notifications),
		CASE(impossible_queues_are_refused),
		CASE(an_indirect_table_ends_a_chain),
		CASE(hostile_indirect_tables_are_refused),
		CASE(events_replace_the_flags),
		CASE(a_drained_queue_wants_to_be_told),
		CASE(no_notification_is_lost),
		CASE(a_descriptor_that_changes_is_read_once),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
