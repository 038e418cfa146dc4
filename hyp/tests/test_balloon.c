// SPDX-License-Identifier: GPL-2.0-only
/* A balloon in honest and in hostile hands. */
#include "hyp/tests/driver.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <unistd.h>

#include "hyp/dev/virtio/balloon.h"
#include "hyp/mem/tests/guest.h"

#define F(name)	    (1ull << VIRTIO_BALLOON_F_##name)
#define REPORTING   (1ull << 5)
#define INFLATE	    0u
#define DEFLATE	    1u
#define STATS	    2u
#define REPORT	    3u
#define SPEC_REPORT 4u
#define LIST_GPA    0x100000u
#define DATA_GFN    0x1000u
#define NR	    8u
#define WRITE	    VRING_DESC_F_WRITE

struct fixture {
	struct driver d;
	struct balloon *b;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_irq irq = driver_irq(&f->d);

	driver_init(&f->d,
		    (struct mem_config){ .hinting = true,
					 .swap_dir = "/tmp",
					 .swap_bytes = DRIVER_RAM_BYTES },
		    VIRTIO_MAX_QUEUES);
	assert_int_equal(
		balloon_create(&f->b, f->d.mem, DRIVER_RAM_BYTES, &irq), 0);
	f->d.transport = balloon_transport(f->b);
	assert_int_equal(balloon_start(f->b), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(balloon_stop(f->b, 30000), 0);
	balloon_destroy(f->b);
	driver_fini(&f->d);
	free(f);
	return 0;
}

static struct balloon_state state_of(struct fixture *f)
{
	struct balloon_state s;

	balloon_get(f->b, &s);
	return s;
}

static uint64_t resident(struct fixture *f)
{
	struct mem_stats s;

	mem_get_stats(f->d.mem, &s);
	return s.resident;
}

/* NR frames with something in them. */
static void fill(struct fixture *f)
{
	const uint64_t word = 0x6d696e65;
	unsigned int i;

	for (i = 0; i < NR; i++)
		assert_int_equal(mem_write(f->d.mem,
					   (DATA_GFN + i) * 4096ull + 8, &word,
					   sizeof(word)),
				 0);
}

static bool is_zero(struct fixture *f, uint64_t gfn)
{
	uint64_t word;

	assert_int_equal(
		mem_read(f->d.mem, gfn * 4096 + 8, &word, sizeof(word)), 0);
	return !word;
}

/* Numbers of frames, in an order that is not that of addresses. */
static void write_list(struct fixture *f)
{
	uint32_t pfn[NR];
	unsigned int i;

	for (i = 0; i < NR; i++)
		pfn[i] = DATA_GFN + (i * 3) % NR;
	assert_int_equal(mem_write(f->d.mem, LIST_GPA, pfn, sizeof(pfn)), 0);
}

static void what_is_given_up_is_gone_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t before;
	unsigned int i;

	driver_start(&f->d, 0);
	fill(f);
	write_list(f);
	before = resident(f);
	assert_true(driver_request(&f->d, INFLATE, LIST_GPA, 4 * NR, 0));
	assert_int_equal(resident(f), before - NR);
	assert_int_equal(state_of(f).inflated, NR);
	assert_true(driver_request(&f->d, DEFLATE, LIST_GPA, 4 * NR, 0));
	assert_int_equal(state_of(f).deflated, NR);
	for (i = 0; i < NR; i++)
		assert_true(is_zero(f, DATA_GFN + i));
}

static void paged_out_frames_free_their_slots(void **state)
{
	struct fixture *f = *state;
	struct mem_stats s;
	unsigned int i;

	driver_start(&f->d, 0);
	fill(f);
	write_list(f);
	for (i = 0; i < NR; i++)
		assert_int_equal(mem_hypercall(f->d.mem, ESSA_CMD_TEST_PAGE_OUT,
					       DATA_GFN + i, 1, true),
				 0);
	mem_get_stats(f->d.mem, &s);
	assert_int_equal(s.preserved, NR);
	assert_true(driver_request(&f->d, INFLATE, LIST_GPA, 4 * NR, 0));
	mem_get_stats(f->d.mem, &s);
	assert_int_equal(s.preserved, 0);
	assert_int_equal(s.given_up, NR);
	assert_true(is_zero(f, DATA_GFN));
	mem_get_stats(f->d.mem, &s);
	assert_int_equal(s.swapped_in, 0);
}

static void what_a_device_uses_stays(void **state)
{
	struct fixture *f = *state;
	void *hva;

	driver_start(&f->d, 0);
	fill(f);
	write_list(f);
	assert_int_equal(
		mem_get(f->d.mem, (DATA_GFN + 2) * 4096ull, 4096, &hva), 0);
	assert_true(driver_request(&f->d, INFLATE, LIST_GPA, 4 * NR, 0));
	assert_int_equal(((uint64_t *)hva)[1], 0x6d696e65);
	mem_put(f->d.mem, (DATA_GFN + 2) * 4096ull, 4096);
	assert_false(is_zero(f, DATA_GFN + 2));
	assert_true(is_zero(f, DATA_GFN + 3));
}

/* Unused ones become zero; volatile ones are discarded, not silently zero. */
static void hints_of_the_guest_hold_in_the_balloon(void **state)
{
	struct fixture *f = *state;
	uint64_t word, nr_frames;
	struct mem_stats s;
	uint8_t *table;
	size_t len;

	table = mem_table(f->d.mem, &len, &nr_frames);
	assert_int_equal(mem_hypercall(f->d.mem, ESSA_CMD_ENABLE, ESSA_VERSION,
				       ESSA_FEAT_UNUSED | ESSA_FEAT_VOLATILE,
				       false),
			 0);
	driver_start(&f->d, 0);
	fill(f);
	write_list(f);
	guest_op(f->d.mem, table, DATA_GFN, ESSA_OP_SET_UNUSED);
	guest_op(f->d.mem, table, DATA_GFN + 1, ESSA_OP_SET_VOLATILE);
	assert_true(driver_request(&f->d, INFLATE, LIST_GPA, 4 * NR, 0));
	assert_int_equal(table[DATA_GFN], ESSA_UNUSED | ESSA_ZERO);
	assert_int_equal(table[DATA_GFN + 1], ESSA_VOLATILE | ESSA_ZERO);
	assert_int_equal(table[DATA_GFN + 2], ESSA_STABLE | ESSA_ZERO);
	assert_int_equal(mem_read(f->d.mem, (DATA_GFN + 1) * 4096ull, &word,
				  sizeof(word)),
			 -EFAULT);
	mem_get_stats(f->d.mem, &s);
	assert_int_equal(s.given_up, NR - 1);
	assert_int_equal(s.discarded_volatile, 1);
	guest_op(f->d.mem, table, DATA_GFN + 1, ESSA_OP_SET_UNUSED);
	guest_op(f->d.mem, table, DATA_GFN + 1, ESSA_OP_SET_STABLE);
	assert_true(is_zero(f, DATA_GFN + 1));
}

static void hostile_lists_lose_nothing_of_the_hosts(void **state)
{
	struct fixture *f = *state;
	static const uint32_t pfn[] = { ~0u,	~0u - 1, 0,	0,
					0x4000, 0x3fff,	 0x4001 };

	driver_start(&f->d, 0);
	assert_int_equal(mem_write(f->d.mem, LIST_GPA, pfn, sizeof(pfn)), 0);
	assert_true(driver_request(&f->d, INFLATE, LIST_GPA, sizeof(pfn), 0));
	/* A run that leaves RAM is refused as a whole. */
	assert_int_equal(state_of(f).inflated, 2);
}

static void malformed_requests_stop_the_device(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned int queue;
		uint64_t gpa;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{ INFLATE, LIST_GPA, 3, 0 },
		{ INFLATE, LIST_GPA, 4, WRITE },
		{ INFLATE, DRIVER_RAM_BYTES, 4, 0 },
		{ INFLATE, LIST_GPA, ~3u, 0 },
		{ DEFLATE, LIST_GPA, ~3u, 0 },
		{ STATS, ~0ull - 3, 20, 0 },
		{ REPORT, DATA_GFN * 4096ull, 4096, 0 },
		{ REPORT, 0, ~0u, WRITE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_reset(&f->d);
		driver_start(&f->d, F(STATS_VQ) | REPORTING);
		if (driver_request(&f->d, bad[i].queue, bad[i].gpa, bad[i].len,
				   bad[i].flags) &&
		    bad[i].queue != STATS)
			fail_msg("accepted: %u", i);
	}
	driver_reset(&f->d);
	driver_start(&f->d, 0);
	write_list(f);
	assert_true(driver_request(&f->d, INFLATE, LIST_GPA, 4 * NR, 0));
}

static void reported_ranges_lose_whole_frames(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa = DATA_GFN * 4096ull;
	unsigned int queue;

	for (queue = REPORT; queue <= SPEC_REPORT; queue++) {
		driver_reset(&f->d);
		driver_start(&f->d, F(STATS_VQ) | REPORTING);
		fill(f);
		assert_true(driver_request(&f->d, queue, gpa + 16, 3 * 4096,
					   WRITE));
		assert_false(is_zero(f, DATA_GFN));
		assert_true(is_zero(f, DATA_GFN + 1));
		assert_true(is_zero(f, DATA_GFN + 2));
		assert_false(is_zero(f, DATA_GFN + 3));
	}
	assert_int_equal(state_of(f).reported, 4);
	/* Without statistics, Linux has nothing in between. */
	driver_reset(&f->d);
	driver_start(&f->d, REPORTING);
	assert_true(driver_request(&f->d, 2, gpa, 4096, WRITE));
	assert_true(is_zero(f, DATA_GFN));
	assert_int_equal(state_of(f).reported, 5);
}

static void poisoned_frames_are_kept(void **state)
{
	struct fixture *f = *state;
	const uint32_t poison = 0xaaaaaaaa, init_on_free = 0;
	uint64_t gpa = DATA_GFN * 4096ull;

	fill(f);
	driver_start(&f->d, F(STATS_VQ) | REPORTING | 1ull << 4);
	virtio_mmio_bus_ops.write(f->d.transport, VIRTIO_MMIO_CONFIG + 12,
				  &poison, sizeof(poison));
	assert_true(driver_request(&f->d, REPORT, gpa, 4096, WRITE));
	assert_false(is_zero(f, DATA_GFN));
	virtio_mmio_bus_ops.write(f->d.transport, VIRTIO_MMIO_CONFIG + 12,
				  &init_on_free, sizeof(init_on_free));
	assert_true(driver_request(&f->d, REPORT, gpa, 4096, WRITE));
	assert_true(is_zero(f, DATA_GFN));
	assert_int_equal(state_of(f).reported, 1);
}

static void count_change(void *ctx)
{
	++*(unsigned int *)ctx;
}

static void the_guest_hears_of_a_new_target(void **state)
{
	struct fixture *f = *state;
	const uint32_t actual = 3;
	unsigned int changes = 0, seen;

	assert_int_equal(balloon_set_target(f->b, 1), -EINVAL);
	assert_int_equal(balloon_set_target(f->b, DRIVER_RAM_BYTES + 4096),
			 -EINVAL);
	driver_start(&f->d, 0);
	seen = driver_irqs(&f->d);
	balloon_on_change(f->b, count_change, &changes);
	assert_int_equal(balloon_set_target(f->b, 5 * 4096), 0);
	driver_wait_irq(&f->d, seen);
	assert_true(driver_get(&f->d, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(driver_get(&f->d, VIRTIO_MMIO_CONFIG), 5);
	virtio_mmio_bus_ops.write(f->d.transport, VIRTIO_MMIO_CONFIG + 4,
				  &actual, sizeof(actual));
	assert_int_equal(changes, 1);
	assert_int_equal(state_of(f).actual_bytes, 3 * 4096);
	assert_int_equal(state_of(f).target_bytes, 5 * 4096);
	driver_reset(&f->d);
	assert_int_equal(changes, 2);
	assert_int_equal(state_of(f).actual_bytes, 0);
}

static void send_stats(struct fixture *f, uint16_t tag, uint64_t value)
{
	struct virtio_balloon_stat stats[] = {
		{ tag, value },
		{ 0x7fff, 1 },
		{ VIRTIO_BALLOON_S_MEMTOT, 64 * MIB },
	};
	uint16_t head = (uint16_t)f->d.queues[STATS].nr_desc;

	assert_int_equal(mem_write(f->d.mem, LIST_GPA, stats, sizeof(stats)),
			 0);
	driver_desc(&f->d, STATS, LIST_GPA, sizeof(stats), 0);
	driver_offer(&f->d, STATS, head);
}

/* The buffer comes back when statistics are wanted, not before. */
static void statistics_come_when_asked_for(void **state)
{
	struct fixture *f = *state;
	unsigned int round;

	assert_int_equal(balloon_ask_stats(f->b), -EAGAIN);
	assert_int_equal(state_of(f).stats_ms, 0);
	driver_start(&f->d, F(STATS_VQ));
	for (round = 1; round <= 3; round++) {
		send_stats(f, VIRTIO_BALLOON_S_MEMFREE, round);
		/* Not asked: the thread has seen it when it can be asked. */
		while (state_of(f).stats[VIRTIO_BALLOON_S_MEMFREE] != round)
			usleep(100);
		assert_int_equal(driver_used(&f->d, STATS), round - 1);
		assert_int_equal(balloon_ask_stats(f->b), 0);
		assert_true(driver_wait(&f->d, STATS));
		assert_int_equal(balloon_ask_stats(f->b), -EAGAIN);
	}
	assert_int_equal(state_of(f).stats[VIRTIO_BALLOON_S_MEMTOT], 64 * MIB);
	assert_int_equal(state_of(f).stats_valid,
			 1u << VIRTIO_BALLOON_S_MEMFREE |
				 1u << VIRTIO_BALLOON_S_MEMTOT);
	assert_true(state_of(f).stats_ms > 0);
	/* By the clock, if somebody wants that. */
	send_stats(f, 15, 77);
	balloon_stats_every(f->b, 1);
	assert_true(driver_wait(&f->d, STATS));
	assert_int_equal(state_of(f).stats[15], 77);
	balloon_stats_every(f->b, 0);
}

static void no_driver_without_agreed_features(void **state)
{
	struct fixture *f = *state;

	driver_set(&f->d, VIRTIO_MMIO_STATUS,
		   VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	driver_set_queue(&f->d, INFLATE);
	driver_set(&f->d, VIRTIO_MMIO_STATUS,
		   DRIVER_OK_STATUS & ~VIRTIO_CONFIG_S_FEATURES_OK);
	assert_false(driver_get(&f->d, VIRTIO_MMIO_STATUS) &
		     VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(driver_get(&f->d, VIRTIO_MMIO_STATUS) &
		    VIRTIO_CONFIG_S_NEEDS_RESET);
	driver_reset(&f->d);
	driver_start(&f->d, 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_given_up_is_gone_at_once),
		CASE(paged_out_frames_free_their_slots),
		CASE(what_a_device_uses_stays),
		CASE(hints_of_the_guest_hold_in_the_balloon),
		CASE(hostile_lists_lose_nothing_of_the_hosts),
		CASE(malformed_requests_stop_the_device),
		CASE(reported_ranges_lose_whole_frames),
		CASE(poisoned_frames_are_kept),
		CASE(the_guest_hears_of_a_new_target),
		CASE(statistics_come_when_asked_for),
		CASE(no_driver_without_agreed_features),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
