// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk without KVM: the test is the driver, through the registers of the
 * transport and rings in guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hyp/dev/virtio/blk.h"
#include "hyp/mem/mem.h"

#define RAM_BYTES	(64 * MIB)
#define LIMIT_BYTES	(8 * MIB)
#define DISK_BYTES	(8 * MIB)
#define QUEUE_SIZE	256u
#define SECTOR		512u
#define RINGS_GPA	0x10000u
#define AVAIL_OFF	0x1000u
#define USED_OFF	0x2000u
#define RINGS_BYTES	0x3000u
#define OTHER_RINGS_GPA (RINGS_GPA + RINGS_BYTES)
#define HEADER_GPA	0x20000u
#define STATUS_GPA	0x30000u
#define DATA_GPA	0x100000u
#define UNWRITTEN	0xee

struct disk {
	char dir[64], path[80];
	struct mem *mem;
	struct blk *blk;
	void *rings;	    /* two sets, pinned */
	uint64_t rings_gpa; /* of the set in use */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	unsigned int nr_desc; /* in use */
	uint16_t avail_idx;
	pthread_mutex_t lock; /* guards @irqs; taken below the device's */
	pthread_cond_t irq;   /* there is one more */
	unsigned int irqs;
	bool fatal; /* atomic */
};

static void on_fatal(void *ctx, int err, const char *what)
{
	struct disk *d = ctx;

	(void)err;
	(void)what;
	__atomic_store_n(&d->fatal, true, __ATOMIC_RELAXED);
}

static void on_irq(void *ctx, unsigned int irq, bool level)
{
	struct disk *d = ctx;

	(void)irq;
	if (!level)
		return;
	pthread_mutex_lock(&d->lock);
	d->irqs++;
	pthread_cond_broadcast(&d->irq);
	pthread_mutex_unlock(&d->lock);
}

static unsigned int nr_irqs(struct disk *d)
{
	unsigned int nr;

	pthread_mutex_lock(&d->lock);
	nr = d->irqs;
	pthread_mutex_unlock(&d->lock);
	return nr;
}

/* Until there have been more than @seen. */
static void wait_irq(struct disk *d, unsigned int seen, const char *what)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&d->lock);
	while (d->irqs == seen && !err)
		err = pthread_cond_timedwait(&d->irq, &d->lock, &until);
	pthread_mutex_unlock(&d->lock);
	if (err)
		fail_msg("no interrupt: %s", what);
}

static void use_rings(struct disk *d, uint64_t gpa)
{
	uint8_t *hva = (uint8_t *)d->rings + (gpa - RINGS_GPA);

	d->rings_gpa = gpa;
	d->desc = (void *)hva;
	d->avail = (void *)(hva + AVAIL_OFF);
	d->used = (void *)(hva + USED_OFF);
}

static int setup(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));
	const struct virtio_irq irq = { on_irq, d, 5 };
	struct mem_config cfg = {
		.size_bytes = RAM_BYTES,
		.limit_bytes = LIMIT_BYTES,
		.swap_dir = d->dir,
		.swap_bytes = RAM_BYTES,
		.fatal = on_fatal,
		.ctx = d,
	};
	const char *text = NULL;
	struct why why = { "" };
	int fd;

	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->irq, NULL);
	strcpy(d->dir, "/tmp/hyp-blk-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->path, sizeof(d->path), "%s/disk", d->dir);
	fd = open(d->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	if (mem_create(&d->mem, &cfg, &text))
		fail_msg("mem_create: %s", text);
	assert_int_equal(mem_start(d->mem), 0);
	if (blk_create(&d->blk, d->path, false, d->mem, &irq, &why))
		fail_msg("blk_create: %s", why.text);
	assert_int_equal(blk_start(d->blk), 0);
	assert_int_equal(mem_get(d->mem, RINGS_GPA, 2 * RINGS_BYTES, &d->rings),
			 0);
	use_rings(d, RINGS_GPA);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct disk *d = *state;

	assert_int_equal(blk_stop(d->blk, 10000), 0);
	blk_destroy(d->blk);
	mem_put(d->mem, RINGS_GPA, 2 * RINGS_BYTES);
	mem_stop(d->mem);
	mem_destroy(d->mem);
	assert_false(d->fatal);
	unlink(d->path);
	rmdir(d->dir);
	pthread_cond_destroy(&d->irq);
	pthread_mutex_destroy(&d->lock);
	free(d);
	return 0;
}

static void set_reg(struct disk *d, unsigned int reg, uint32_t value)
{
	virtio_mmio_bus_ops.write(blk_transport(d->blk), reg, &value,
				  sizeof(value));
}

static uint32_t get_reg(struct disk *d, unsigned int reg)
{
	uint32_t value = ~0u;

	virtio_mmio_bus_ops.read(blk_transport(d->blk), reg, &value,
				 sizeof(value));
	return value;
}

static void reset(struct disk *d)
{
	set_reg(d, VIRTIO_MMIO_STATUS, 0);
	memset(d->desc, 0, MEM_PAGE_SIZE);
	memset(d->avail, 0, MEM_PAGE_SIZE);
	memset(d->used, 0, MEM_PAGE_SIZE);
	d->nr_desc = 0;
	d->avail_idx = 0;
}

static void start(struct disk *d)
{
	const uint32_t driver = VIRTIO_CONFIG_S_ACKNOWLEDGE |
				VIRTIO_CONFIG_S_DRIVER;

	set_reg(d, VIRTIO_MMIO_STATUS, driver);
	set_reg(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set_reg(d, VIRTIO_MMIO_DRIVER_FEATURES,
		1u << (VIRTIO_F_VERSION_1 - 32));
	set_reg(d, VIRTIO_MMIO_STATUS, driver | VIRTIO_CONFIG_S_FEATURES_OK);
	set_reg(d, VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
	set_reg(d, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)d->rings_gpa);
	set_reg(d, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		(uint32_t)d->rings_gpa + AVAIL_OFF);
	set_reg(d, VIRTIO_MMIO_QUEUE_USED_LOW,
		(uint32_t)d->rings_gpa + USED_OFF);
	set_reg(d, VIRTIO_MMIO_QUEUE_READY, 1);
	set_reg(d, VIRTIO_MMIO_STATUS,
		driver | VIRTIO_CONFIG_S_FEATURES_OK |
			VIRTIO_CONFIG_S_DRIVER_OK);
}

static void add_desc(struct disk *d, uint64_t gpa, uint32_t len, uint16_t flags)
{
	assert_true(d->nr_desc < QUEUE_SIZE);
	d->desc[d->nr_desc] = (struct vring_desc){ gpa, len, flags,
						   (uint16_t)(d->nr_desc + 1) };
	d->nr_desc++;
}

/* Puts a request into the ring; its data is @nr segments, @stride apart. */
static void add_request(struct disk *d, uint32_t type, uint64_t sector,
			uint64_t gpa, uint32_t len, unsigned int nr,
			uint64_t stride)
{
	const struct virtio_blk_outhdr header = { .type = type,
						  .sector = sector };
	uint16_t head = (uint16_t)d->nr_desc;
	uint16_t flags = VRING_DESC_F_NEXT;
	const uint8_t unwritten = UNWRITTEN;
	unsigned int i;

	if (type != VIRTIO_BLK_T_OUT)
		flags |= VRING_DESC_F_WRITE;
	assert_int_equal(mem_write(d->mem, HEADER_GPA + head * 16u, &header,
				   sizeof(header)),
			 0);
	assert_int_equal(mem_write(d->mem, STATUS_GPA + head, &unwritten, 1),
			 0);
	add_desc(d, HEADER_GPA + head * 16u, sizeof(header), VRING_DESC_F_NEXT);
	for (i = 0; i < nr; i++)
		add_desc(d, gpa + i * stride, len, flags);
	add_desc(d, STATUS_GPA + head, 1, VRING_DESC_F_WRITE);
	d->avail->ring[d->avail_idx++ % QUEUE_SIZE] = head;
}

static void publish(struct disk *d)
{
	__atomic_store_n(&d->avail->idx, d->avail_idx, __ATOMIC_RELEASE);
	set_reg(d, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static uint16_t used_idx(const struct disk *d)
{
	return __atomic_load_n(&d->used->idx, __ATOMIC_ACQUIRE);
}

static void wait_all(struct disk *d)
{
	unsigned int seen;

	/* The ring is written before its interrupt comes. */
	for (;;) {
		seen = nr_irqs(d);
		if (used_idx(d) == d->avail_idx)
			return;
		wait_irq(d, seen, "requests are not done");
	}
}

static uint8_t status_of(struct disk *d, unsigned int head)
{
	uint8_t status;

	assert_int_equal(mem_read(d->mem, STATUS_GPA + head, &status, 1), 0);
	return status;
}

static void expect_alive(struct disk *d)
{
	reset(d);
	start(d);
	add_request(d, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR, 1, 0);
	publish(d);
	wait_all(d);
	assert_int_equal(status_of(d, 0), VIRTIO_BLK_S_OK);
}

static void what_is_written_is_read(void **state)
{
	struct disk *d = *state;
	char out[4 * SECTOR], in[sizeof(out)];
	unsigned int i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / SECTOR);
	assert_int_equal(mem_write(d->mem, DATA_GPA + 100, out, sizeof(out)),
			 0);
	start(d);
	add_request(d, VIRTIO_BLK_T_OUT, 3, DATA_GPA + 100, 2 * SECTOR, 2,
		    2 * SECTOR);
	publish(d);
	wait_all(d);
	assert_int_equal(status_of(d, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(d->used->ring[0].len, 1);
	add_request(d, VIRTIO_BLK_T_IN, 3, DATA_GPA + 0x8000, SECTOR, 4,
		    SECTOR);
	publish(d);
	wait_all(d);
	assert_int_equal(status_of(d, 4), VIRTIO_BLK_S_OK);
	assert_int_equal(d->used->ring[1].id, 4);
	assert_int_equal(d->used->ring[1].len, sizeof(in) + 1);
	assert_int_equal(mem_read(d->mem, DATA_GPA + 0x8000, in, sizeof(in)),
			 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_true(nr_irqs(d) > 0);
}

static void what_is_not_the_disks_is_refused(void **state)
{
	struct disk *d = *state;
	static const struct {
		uint64_t sector, gpa;
		uint32_t len;
	} bad[] = {
		{ DISK_BYTES / SECTOR, DATA_GPA, SECTOR },
		{ DISK_BYTES / SECTOR - 1, DATA_GPA, 2 * SECTOR },
		{ ~0ull, DATA_GPA, SECTOR },
		{ ~0ull / SECTOR, DATA_GPA, SECTOR },
		{ 0, DATA_GPA, SECTOR - 1 },
		{ 0, DATA_GPA, ~0u & ~(SECTOR - 1) },
		{ 0, RAM_BYTES, SECTOR },
		{ 0, RAM_BYTES - 1, SECTOR },
		{ 0, ~0ull - SECTOR, SECTOR },
	};
	unsigned int i;

	start(d);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		add_request(d, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
			    bad[i].sector, bad[i].gpa, bad[i].len, 1, 0);
	publish(d);
	wait_all(d);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(status_of(d, i * 3), VIRTIO_BLK_S_IOERR);
		assert_int_equal(d->used->ring[i].len, 1);
	}
}

static void a_malformed_request_stops_the_device(void **state)
{
	const uint32_t needs_reset = VIRTIO_CONFIG_S_NEEDS_RESET;
	struct disk *d = *state;
	unsigned int seen = nr_irqs(d);

	start(d);
	add_request(d, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR, 1, 0);
	d->desc[0].flags |= VRING_DESC_F_WRITE;
	publish(d);
	wait_irq(d, seen, "the device does not ask for a reset");
	assert_true(get_reg(d, VIRTIO_MMIO_STATUS) & needs_reset);
	assert_int_equal(used_idx(d), 0);
	expect_alive(d);
}

static void a_reset_disk_leaves_the_queue_alone(void **state)
{
	struct disk *d = *state;
	unsigned int round;
	uint16_t idx;

	for (round = 0; round < 20000; round++) {
		reset(d);
		add_request(d, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR, 1, 0);
		add_request(d, VIRTIO_BLK_T_GET_ID, 0, DATA_GPA + SECTOR, 20, 1,
			    0);
		d->avail->idx = d->avail_idx;
		start(d);
		if (round % 2)
			sched_yield();
		set_reg(d, VIRTIO_MMIO_STATUS, 0);
		idx = used_idx(d);
		/* What a disk that goes on does, it does before other work. */
		if (round % 4 == 3) {
			use_rings(d, OTHER_RINGS_GPA);
			expect_alive(d);
			use_rings(d, RINGS_GPA);
		}
		assert_int_equal(used_idx(d), idx);
	}
	expect_alive(d);
}

static void a_request_of_the_size_offered_works(void **state)
{
	struct disk *d = *state;
	struct virtio_blk_config config;

	virtio_mmio_bus_ops.read(blk_transport(d->blk),
				 VIRTIO_MMIO_CONFIG +
					 offsetof(struct virtio_blk_config,
						  size_max),
				 &config.size_max, sizeof(config.size_max));
	virtio_mmio_bus_ops.read(blk_transport(d->blk),
				 VIRTIO_MMIO_CONFIG +
					 offsetof(struct virtio_blk_config,
						  seg_max),
				 &config.seg_max, sizeof(config.seg_max));
	assert_int_equal(config.seg_max, 64);
	start(d);
	add_request(d, VIRTIO_BLK_T_IN, 0, DATA_GPA, config.size_max,
		    config.seg_max, config.size_max);
	publish(d);
	wait_all(d);
	assert_int_equal(status_of(d, 0), VIRTIO_BLK_S_OK);
}

static void the_identity_is_as_long_as_it_says(void **state)
{
	struct disk *d = *state;

	start(d);
	add_request(d, VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, VIRTIO_BLK_ID_BYTES, 1,
		    0);
	publish(d);
	wait_all(d);
	assert_int_equal(status_of(d, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(d->used->ring[0].len, VIRTIO_BLK_ID_BYTES + 1);
}

/* Header, data and status in segments that have nothing to do with them. */
static void a_request_may_be_split_anyhow(void **state)
{
	const struct virtio_blk_outhdr out = { .type = VIRTIO_BLK_T_OUT,
					       .sector = 5 };
	const struct virtio_blk_outhdr in = { .type = VIRTIO_BLK_T_IN,
					      .sector = 5 };
	const uint16_t next = VRING_DESC_F_NEXT, write = VRING_DESC_F_WRITE;
	struct disk *d = *state;
	char data[SECTOR], back[SECTOR + 1];

	memset(data, 'x', sizeof(data));
	memset(back, UNWRITTEN, sizeof(back));
	start(d);
	/* Written: 10 bytes of the header; the rest with data; data. */
	mem_write(d->mem, HEADER_GPA, &out, sizeof(out));
	mem_write(d->mem, HEADER_GPA + sizeof(out), data, sizeof(data));
	add_desc(d, HEADER_GPA, 10, next);
	add_desc(d, HEADER_GPA + 10, 6 + 100, next);
	add_desc(d, HEADER_GPA + 16 + 100, SECTOR - 100, next);
	add_desc(d, STATUS_GPA, 1, write);
	d->avail->ring[d->avail_idx++] = 0;
	publish(d);
	wait_all(d);
	assert_int_equal(status_of(d, 0), VIRTIO_BLK_S_OK);
	/* Read: the status is the last byte of a segment of data. */
	mem_write(d->mem, HEADER_GPA, &in, sizeof(in));
	mem_write(d->mem, DATA_GPA, back, sizeof(back));
	add_desc(d, HEADER_GPA, sizeof(in), next);
	add_desc(d, DATA_GPA, 1, next | write);
	add_desc(d, DATA_GPA + 1, SECTOR, write);
	d->avail->ring[d->avail_idx++] = 4;
	publish(d);
	wait_all(d);
	assert_int_equal(d->used->ring[1].len, SECTOR + 1);
	mem_read(d->mem, DATA_GPA, back, sizeof(back));
	assert_memory_equal(back, data, sizeof(data));
	assert_int_equal(back[SECTOR], VIRTIO_BLK_S_OK);
}

static uint8_t ranges(struct disk *d, uint32_t type, const void *list,
		      uint32_t len)
{
	const struct virtio_blk_outhdr header = { .type = type };
	uint16_t head = (uint16_t)d->nr_desc;

	mem_write(d->mem, HEADER_GPA, &header, sizeof(header));
	mem_write(d->mem, HEADER_GPA + sizeof(header), list, len);
	add_desc(d, HEADER_GPA, sizeof(header) + len, VRING_DESC_F_NEXT);
	add_desc(d, STATUS_GPA + head, 1, VRING_DESC_F_WRITE);
	d->avail->ring[d->avail_idx++ % QUEUE_SIZE] = head;
	publish(d);
	wait_all(d);
	return status_of(d, head);
}

static uint64_t allocated(const struct disk *d)
{
	struct stat st;

	assert_int_equal(stat(d->path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void discarded_and_zeroed_sectors_read_as_zeros(void **state)
{
	const struct virtio_blk_discard_write_zeroes discard[] = {
		{ .sector = 8, .num_sectors = 8 },
		{ .sector = 64, .num_sectors = 0 },
		{ .sector = 24, .num_sectors = 8 },
	};
	const struct virtio_blk_discard_write_zeroes zeroes = {
		.sector = 40, .num_sectors = 3
	};
	struct disk *d = *state;
	char ones[4096], was[64 * SECTOR];
	unsigned int i;
	int fd = open(d->path, O_RDWR | O_CLOEXEC);
	uint64_t before;
	uint8_t status;

	memset(ones, 1, sizeof(ones));
	for (i = 0; i < 8; i++)
		assert_int_equal(pwrite(fd, ones, sizeof(ones),
					(off_t)(i * sizeof(ones))),
				 sizeof(ones));
	before = allocated(d);
	start(d);
	assert_int_equal(ranges(d, VIRTIO_BLK_T_DISCARD, discard,
				sizeof(discard)),
			 VIRTIO_BLK_S_OK);
	assert_true(allocated(d) < before);
	/* Not every file system can; then it says so. */
	status = ranges(d, VIRTIO_BLK_T_WRITE_ZEROES, &zeroes, sizeof(zeroes));
	assert_true(status == VIRTIO_BLK_S_OK || status == VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(pread(fd, was, sizeof(was), 0), sizeof(was));
	close(fd);
	for (i = 0; i < 64; i++) {
		bool zero = (i >= 8 && i < 16) || (i >= 24 && i < 32) ||
			    (i >= 40 && i < 43 && status == VIRTIO_BLK_S_OK);

		assert_int_equal(was[i * SECTOR], zero ? 0 : 1);
		assert_int_equal(was[i * SECTOR + SECTOR - 1], zero ? 0 : 1);
	}
}

static void hostile_ranges_are_refused(void **state)
{
	static const struct {
		uint32_t type, len;
		struct virtio_blk_discard_write_zeroes range;
		uint8_t status;
	} bad[] = {
		{ VIRTIO_BLK_T_DISCARD, 16, { DISK_BYTES / SECTOR, 1, 0 }, 1 },
		{ VIRTIO_BLK_T_DISCARD, 16, { 1, DISK_BYTES / SECTOR, 0 }, 1 },
		{ VIRTIO_BLK_T_DISCARD, 16, { ~0ull, ~0u, 0 }, 1 },
		{ VIRTIO_BLK_T_DISCARD, 16, { 0, 8, 1 }, 2 },
		{ VIRTIO_BLK_T_DISCARD, 15, { 0, 8, 0 }, 1 },
		{ VIRTIO_BLK_T_DISCARD, 0, { 0, 8, 0 }, 1 },
		{ VIRTIO_BLK_T_DISCARD, 17 * 16, { 0, 8, 0 }, 1 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 16, { 0, 8, 2 }, 2 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 16, { ~0ull >> 9, 8, 0 }, 1 },
	};
	struct disk *d = *state;
	uint64_t before = allocated(d);
	uint8_t list[17 * 16];
	unsigned int i;

	start(d);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(list, 0, sizeof(list));
		memcpy(list, &bad[i].range, sizeof(bad[i].range));
		if (ranges(d, bad[i].type, list, bad[i].len) != bad[i].status)
			fail_msg("%u: not refused so", i);
	}
	assert_int_equal(allocated(d), before);
	expect_alive(d);
}

static void a_guest_cannot_fill_the_log_with_failing_reads(void **state)
{
	struct disk *d = *state;
	int log = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	unsigned int i, lines = 0;
	char c;

	assert_int_equal(truncate(d->path, 0), 0);
	start(d);
	for (i = 0; i < 60; i++)
		add_request(d, VIRTIO_BLK_T_IN, i, DATA_GPA, SECTOR, 1, 0);
	dup2(log, STDERR_FILENO);
	publish(d);
	wait_all(d);
	dup2(saved, STDERR_FILENO);
	assert_int_equal(status_of(d, 0), VIRTIO_BLK_S_IOERR);
	for (i = 0; pread(log, &c, 1, i) == 1; i++)
		lines += c == '\n';
	assert_true(lines >= 1);
	assert_true(lines <= 20);
	close(log);
	close(saved);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_written_is_read),
		CASE(what_is_not_the_disks_is_refused),
		CASE(a_malformed_request_stops_the_device),
		CASE(a_reset_disk_leaves_the_queue_alone),
		CASE(a_request_of_the_size_offered_works),
		CASE(the_identity_is_as_long_as_it_says),
		CASE(a_request_may_be_split_anyhow),
		CASE(discarded_and_zeroed_sectors_read_as_zeros),
		CASE(hostile_ranges_are_refused),
		CASE(a_guest_cannot_fill_the_log_with_failing_reads),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
