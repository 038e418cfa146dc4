// SPDX-License-Identifier: GPL-2.0-only
/* A disk of several queues, on a file. */
#include "hyp/tests/driver.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hyp/dev/virtio/blk.h"

#define LIMIT_BYTES (8 * MIB)
#define DISK_BYTES  (8 * MIB)
#define NR_QUEUES   3u
#define MQ	    (1ull << VIRTIO_BLK_F_MQ)
#define SECTOR	    512u
#define HEADER_GPA  0x80000u
#define STATUS_GPA  0x90000u
#define DATA_GPA    0x100000u
#define UNWRITTEN   0xee

struct disk {
	struct driver d;
	struct blk *blk;
	char dir[64], path[80];
};

static int setup(void **state)
{
	struct disk *f = calloc(1, sizeof(*f));
	struct virtio_irq irq = driver_irq(&f->d);
	struct why why = { "" };
	int fd;

	strcpy(f->dir, "/tmp/hyp-blk-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/disk", f->dir);
	fd = open(f->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	/* Twice the rings, to go on with others. */
	driver_init(&f->d,
		    (struct mem_config){ .limit_bytes = LIMIT_BYTES,
					 .swap_dir = f->dir,
					 .swap_bytes = DRIVER_RAM_BYTES },
		    2 * NR_QUEUES);
	driver_use(&f->d, 0, NR_QUEUES);
	if (blk_create(&f->blk, f->path, false, NR_QUEUES, f->d.mem, &irq,
		       &why))
		fail_msg("blk_create: %s", why.text);
	f->d.transport = blk_transport(f->blk);
	assert_int_equal(blk_start(f->blk), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct disk *f = *state;

	assert_int_equal(blk_stop(f->blk, 10000), 0);
	blk_destroy(f->blk);
	driver_fini(&f->d);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static uint64_t status_gpa(unsigned int queue, unsigned int head)
{
	return STATUS_GPA + queue * DRIVER_QUEUE_SIZE + head;
}

/* A request whose data is @nr segments, @stride apart.  Return: its head. */
static uint16_t build(struct driver *d, unsigned int queue, uint32_t type,
		      uint64_t sector, uint64_t gpa, uint32_t len,
		      unsigned int nr, uint64_t stride)
{
	const struct virtio_blk_outhdr header = { .type = type,
						  .sector = sector };
	uint16_t head = (uint16_t)d->queues[queue].nr_desc;
	uint64_t header_gpa = HEADER_GPA + (queue * DRIVER_QUEUE_SIZE + head) *
						   sizeof(header);
	uint16_t flags = VRING_DESC_F_NEXT;
	const uint8_t unwritten = UNWRITTEN;
	unsigned int i;

	if (type != VIRTIO_BLK_T_OUT)
		flags |= VRING_DESC_F_WRITE;
	assert_int_equal(mem_write(d->mem, header_gpa, &header, sizeof(header)),
			 0);
	assert_int_equal(
		mem_write(d->mem, status_gpa(queue, head), &unwritten, 1), 0);
	driver_desc(d, queue, header_gpa, sizeof(header), VRING_DESC_F_NEXT);
	for (i = 0; i < nr; i++)
		driver_desc(d, queue, gpa + i * stride, len, flags);
	driver_desc(d, queue, status_gpa(queue, head), 1, VRING_DESC_F_WRITE);
	return head;
}

/* The same, offered to the disk. */
static uint16_t add(struct driver *d, unsigned int queue, uint32_t type,
		    uint64_t sector, uint64_t gpa, uint32_t len)
{
	uint16_t head = build(d, queue, type, sector, gpa, len, len != 0, 0);

	driver_offer(d, queue, head);
	return head;
}

static uint8_t status_of(struct driver *d, unsigned int queue,
			 unsigned int head)
{
	uint8_t status;

	assert_int_equal(mem_read(d->mem, status_gpa(queue, head), &status, 1),
			 0);
	return status;
}

static void expect_alive(struct driver *d)
{
	uint16_t head;

	driver_reset(d);
	driver_start(d, MQ);
	head = add(d, 0, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR);
	assert_true(driver_wait(d, 0));
	assert_int_equal(status_of(d, 0, head), VIRTIO_BLK_S_OK);
}

static void what_is_written_is_read(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
	const struct vring_used *used = d->queues[0].used;
	char out[4 * SECTOR], in[sizeof(out)];
	unsigned int i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / SECTOR);
	assert_int_equal(mem_write(d->mem, DATA_GPA + 100, out, sizeof(out)),
			 0);
	driver_start(d, MQ);
	driver_offer(d, 0,
		     build(d, 0, VIRTIO_BLK_T_OUT, 3, DATA_GPA + 100,
			   2 * SECTOR, 2, 2 * SECTOR));
	assert_true(driver_wait(d, 0));
	assert_int_equal(status_of(d, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(used->ring[0].len, 1);
	driver_offer(d, 0,
		     build(d, 0, VIRTIO_BLK_T_IN, 3, DATA_GPA + 0x8000, SECTOR,
			   4, SECTOR));
	assert_true(driver_wait(d, 0));
	assert_int_equal(status_of(d, 0, 4), VIRTIO_BLK_S_OK);
	assert_int_equal(used->ring[1].id, 4);
	assert_int_equal(used->ring[1].len, sizeof(in) + 1);
	assert_int_equal(mem_read(d->mem, DATA_GPA + 0x8000, in, sizeof(in)),
			 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_true(driver_irqs(d) > 0);
}

static void what_is_not_the_disks_is_refused(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
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
		{ 0, DRIVER_RAM_BYTES, SECTOR },
		{ 0, DRIVER_RAM_BYTES - 1, SECTOR },
		{ 0, ~0ull - SECTOR, SECTOR },
	};
	unsigned int i;

	driver_start(d, MQ);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		add(d, 0, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
		    bad[i].sector, bad[i].gpa, bad[i].len);
	assert_true(driver_wait(d, 0));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(status_of(d, 0, i * 3), VIRTIO_BLK_S_IOERR);
		assert_int_equal(d->queues[0].used->ring[i].len, 1);
	}
}

static void a_malformed_request_stops_the_device(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;

	driver_start(d, MQ);
	build(d, 2, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR, 1, 0);
	d->queues[2].desc[0].flags |= VRING_DESC_F_WRITE;
	driver_offer(d, 2, 0);
	assert_false(driver_wait(d, 2));
	assert_int_equal(driver_used(d, 2), 0);
	expect_alive(d);
}

static void a_reset_disk_leaves_the_queues_alone(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
	unsigned int round, q;
	uint16_t idx[NR_QUEUES];

	for (round = 0; round < 20000; round++) {
		driver_reset(d);
		for (q = 0; q < NR_QUEUES; q++) {
			add(d, q, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR);
			add(d, q, VIRTIO_BLK_T_GET_ID, 0, DATA_GPA + SECTOR,
			    VIRTIO_BLK_ID_BYTES);
		}
		driver_start(d, MQ);
		if (round % 2)
			sched_yield();
		driver_set(d, VIRTIO_MMIO_STATUS, 0);
		for (q = 0; q < NR_QUEUES; q++)
			idx[q] = driver_used(d, q);
		/* What a disk that goes on does, it does before other work. */
		if (round % 4 == 3) {
			driver_use(d, NR_QUEUES, NR_QUEUES);
			expect_alive(d);
			driver_use(d, 0, NR_QUEUES);
		}
		for (q = 0; q < NR_QUEUES; q++)
			assert_int_equal(driver_used(d, q), idx[q]);
	}
	expect_alive(d);
}

#define CONFIG(d, field, value)                                                \
	virtio_mmio_bus_ops.read((d)->transport,                               \
				 VIRTIO_MMIO_CONFIG +                          \
					 offsetof(struct virtio_blk_config,    \
						  field),                      \
				 value, sizeof(*(value)))

static void a_request_of_the_size_offered_works(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
	uint32_t size_max, seg_max;

	CONFIG(d, size_max, &size_max);
	CONFIG(d, seg_max, &seg_max);
	assert_int_equal(seg_max, 64);
	driver_start(d, MQ);
	driver_offer(d, 0,
		     build(d, 0, VIRTIO_BLK_T_IN, 0, DATA_GPA, size_max,
			   seg_max, size_max));
	assert_true(driver_wait(d, 0));
	assert_int_equal(status_of(d, 0, 0), VIRTIO_BLK_S_OK);
}

static void the_identity_is_as_long_as_it_says(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;

	driver_start(d, MQ);
	add(d, 0, VIRTIO_BLK_T_GET_ID, 0, DATA_GPA, VIRTIO_BLK_ID_BYTES);
	assert_true(driver_wait(d, 0));
	assert_int_equal(status_of(d, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(d->queues[0].used->ring[0].len,
			 VIRTIO_BLK_ID_BYTES + 1);
}

/* What one queue wrote, another reads; each flush covers the file. */
static void a_request_ends_in_the_queue_it_came_from(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
	char text[SECTOR], got[SECTOR];
	unsigned int q;
	uint16_t head;

	driver_start(d, MQ);
	for (q = 0; q < NR_QUEUES; q++) {
		unsigned int next = (q + 1) % NR_QUEUES;

		memset(text, 'a' + (int)q, sizeof(text));
		mem_write(d->mem, DATA_GPA, text, sizeof(text));
		head = add(d, q, VIRTIO_BLK_T_OUT, q, DATA_GPA, SECTOR);
		assert_true(driver_wait(d, q));
		assert_int_equal(status_of(d, q, head), VIRTIO_BLK_S_OK);
		head = add(d, next, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
		assert_true(driver_wait(d, next));
		assert_int_equal(status_of(d, next, head), VIRTIO_BLK_S_OK);
		add(d, next, VIRTIO_BLK_T_IN, q, DATA_GPA + 4096, SECTOR);
		assert_true(driver_wait(d, next));
		mem_read(d->mem, DATA_GPA + 4096, got, sizeof(got));
		assert_memory_equal(got, text, sizeof(text));
	}
	for (q = 0; q < NR_QUEUES; q++)
		assert_int_equal(driver_used(d, q), 3);
}

/* The queue that was served first cannot be exhausted before the others'. */
static void a_full_queue_does_not_delay_another(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
	unsigned int i;

	for (i = 0; i < 60; i++)
		add(d, 0, VIRTIO_BLK_T_GET_ID, 0, DATA_GPA,
		    VIRTIO_BLK_ID_BYTES);
	build(d, 2, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR, 1, 0);
	d->queues[2].desc[0].flags |= VRING_DESC_F_WRITE;
	driver_offer(d, 2, 0);
	driver_start(d, MQ);
	assert_false(driver_wait(d, 2));
	assert_int_equal(driver_used(d, 0), 1);
}

static void without_the_feature_there_is_one_queue(void **state)
{
	struct driver *d = &((struct disk *)*state)->d;
	uint16_t nr_queues;

	CONFIG(d, num_queues, &nr_queues);
	assert_int_equal(nr_queues, NR_QUEUES);
	driver_start(d, 0);
	add(d, 1, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR);
	add(d, 0, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR);
	assert_true(driver_wait(d, 0));
	assert_int_equal(driver_used(d, 1), 0);
}

/* Numbers of queues that there are not, and queues that the driver left out. */
static void hostile_queue_numbers_are_nobodys(void **state)
{
	static const uint32_t bad[] = { NR_QUEUES, VIRTIO_MAX_QUEUES,
					VIRTIO_MAX_QUEUES + 1, 0x80000000u,
					~0u };
	struct driver *d = &((struct disk *)*state)->d;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_set(d, VIRTIO_MMIO_QUEUE_SEL, bad[i]);
		assert_int_equal(driver_get(d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		driver_set_queue(d, bad[i]);
		assert_int_equal(driver_get(d, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	driver_agree(d, MQ);
	driver_set_queue(d, 1);
	driver_set(d, VIRTIO_MMIO_STATUS, DRIVER_OK_STATUS);
	add(d, 0, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		driver_set(d, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
	add(d, 1, VIRTIO_BLK_T_IN, 0, DATA_GPA, SECTOR);
	assert_true(driver_wait(d, 1));
	assert_int_equal(driver_used(d, 0), 0);
}

/* Header, data and status in segments that have nothing to do with them. */
static void a_request_may_be_split_anyhow(void **state)
{
	const struct virtio_blk_outhdr out = { .type = VIRTIO_BLK_T_OUT,
					       .sector = 5 };
	const struct virtio_blk_outhdr in = { .type = VIRTIO_BLK_T_IN,
					      .sector = 5 };
	const uint16_t next = VRING_DESC_F_NEXT, write = VRING_DESC_F_WRITE;
	struct driver *d = &((struct disk *)*state)->d;
	char data[SECTOR], back[SECTOR + 1];

	memset(data, 'x', sizeof(data));
	memset(back, UNWRITTEN, sizeof(back));
	driver_start(d, MQ);
	/* Written: 10 bytes of the header; the rest with data; data. */
	mem_write(d->mem, HEADER_GPA, &out, sizeof(out));
	mem_write(d->mem, HEADER_GPA + sizeof(out), data, sizeof(data));
	driver_desc(d, 0, HEADER_GPA, 10, next);
	driver_desc(d, 0, HEADER_GPA + 10, 6 + 100, next);
	driver_desc(d, 0, HEADER_GPA + 16 + 100, SECTOR - 100, next);
	driver_desc(d, 0, STATUS_GPA, 1, write);
	driver_offer(d, 0, 0);
	assert_true(driver_wait(d, 0));
	assert_int_equal(status_of(d, 0, 0), VIRTIO_BLK_S_OK);
	/* Read: the status is the last byte of a segment of data. */
	mem_write(d->mem, HEADER_GPA, &in, sizeof(in));
	mem_write(d->mem, DATA_GPA, back, sizeof(back));
	driver_desc(d, 0, HEADER_GPA, sizeof(in), next);
	driver_desc(d, 0, DATA_GPA, 1, next | write);
	driver_desc(d, 0, DATA_GPA + 1, SECTOR, write);
	driver_offer(d, 0, 4);
	assert_true(driver_wait(d, 0));
	assert_int_equal(d->queues[0].used->ring[1].len, SECTOR + 1);
	mem_read(d->mem, DATA_GPA, back, sizeof(back));
	assert_memory_equal(back, data, sizeof(data));
	assert_int_equal(back[SECTOR], VIRTIO_BLK_S_OK);
}

static uint8_t ranges(struct driver *d, uint32_t type, const void *list,
		      uint32_t len)
{
	const struct virtio_blk_outhdr header = { .type = type };
	uint16_t head = (uint16_t)d->queues[0].nr_desc;

	mem_write(d->mem, HEADER_GPA, &header, sizeof(header));
	mem_write(d->mem, HEADER_GPA + sizeof(header), list, len);
	driver_desc(d, 0, HEADER_GPA, sizeof(header) + len, VRING_DESC_F_NEXT);
	driver_desc(d, 0, STATUS_GPA + head, 1, VRING_DESC_F_WRITE);
	driver_offer(d, 0, head);
	assert_true(driver_wait(d, 0));
	return status_of(d, 0, head);
}

static uint64_t allocated(const struct disk *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
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
	struct disk *f = *state;
	struct driver *d = &f->d;
	char ones[4096], was[64 * SECTOR];
	unsigned int i;
	int fd = open(f->path, O_RDWR | O_CLOEXEC);
	uint64_t before;
	uint8_t status;

	memset(ones, 1, sizeof(ones));
	for (i = 0; i < 8; i++)
		assert_int_equal(pwrite(fd, ones, sizeof(ones),
					(off_t)(i * sizeof(ones))),
				 sizeof(ones));
	before = allocated(f);
	driver_start(d, MQ);
	assert_int_equal(ranges(d, VIRTIO_BLK_T_DISCARD, discard,
				sizeof(discard)),
			 VIRTIO_BLK_S_OK);
	assert_true(allocated(f) < before);
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
	struct disk *f = *state;
	struct driver *d = &f->d;
	uint64_t before = allocated(f);
	uint8_t list[17 * 16];
	unsigned int i;

	driver_start(d, MQ);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(list, 0, sizeof(list));
		memcpy(list, &bad[i].range, sizeof(bad[i].range));
		if (ranges(d, bad[i].type, list, bad[i].len) != bad[i].status)
			fail_msg("%u: not refused so", i);
	}
	assert_int_equal(allocated(f), before);
	expect_alive(d);
}

static void a_guest_cannot_fill_the_log_with_failing_reads(void **state)
{
	struct disk *f = *state;
	struct driver *d = &f->d;
	int log = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	unsigned int i, lines = 0;
	char c;

	assert_int_equal(truncate(f->path, 0), 0);
	driver_start(d, MQ);
	dup2(log, STDERR_FILENO);
	for (i = 0; i < 60; i++)
		add(d, 0, VIRTIO_BLK_T_IN, i, DATA_GPA, SECTOR);
	assert_true(driver_wait(d, 0));
	dup2(saved, STDERR_FILENO);
	assert_int_equal(status_of(d, 0, 0), VIRTIO_BLK_S_IOERR);
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
		CASE(a_reset_disk_leaves_the_queues_alone),
		CASE(a_request_of_the_size_offered_works),
		CASE(the_identity_is_as_long_as_it_says),
		CASE(a_request_ends_in_the_queue_it_came_from),
		CASE(a_full_queue_does_not_delay_another),
		CASE(without_the_feature_there_is_one_queue),
		CASE(hostile_queue_numbers_are_nobodys),
		CASE(a_request_may_be_split_anyhow),
		CASE(discarded_and_zeroed_sectors_read_as_zeros),
		CASE(hostile_ranges_are_refused),
		CASE(a_guest_cannot_fill_the_log_with_failing_reads),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
