// SPDX-License-Identifier: GPL-2.0-only
/* Entropy for guests that ask well, ask badly, or do not stop asking. */
#include "hyp/tests/driver.h"

#include "hyp/dev/virtio/entropy.h"

#define DATA_GPA 0x100000u
#define WRITE	 VRING_DESC_F_WRITE
#define NEXT	 VRING_DESC_F_NEXT

struct fixture {
	struct driver d;
	struct entropy *e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_irq irq = driver_irq(&f->d);

	driver_init(&f->d, (struct mem_config){ .storm = false }, 1);
	assert_int_equal(entropy_create(&f->e, f->d.mem, &irq), 0);
	f->d.transport = entropy_transport(f->e);
	assert_int_equal(entropy_start(f->e), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(entropy_stop(f->e, 30000), 0);
	entropy_destroy(f->e);
	driver_fini(&f->d);
	free(f);
	return 0;
}

static void buffers_are_filled_in_pieces(void **state)
{
	uint8_t a[64] = { 0 }, b[64] = { 0 }, zeros[64] = { 0 };
	struct fixture *f = *state;

	driver_start(&f->d, 0);
	driver_desc(&f->d, 0, DATA_GPA, sizeof(a), WRITE | NEXT);
	driver_desc(&f->d, 0, DATA_GPA + 4096 - 32, sizeof(b), WRITE);
	driver_offer(&f->d, 0, 0);
	assert_true(driver_wait(&f->d, 0));
	assert_int_equal(f->d.queues[0].used->ring[0].len, 128);
	mem_read(f->d.mem, DATA_GPA, a, sizeof(a));
	mem_read(f->d.mem, DATA_GPA + 4096 - 32, b, sizeof(b));
	assert_memory_not_equal(a, zeros, sizeof(a));
	assert_memory_not_equal(b, zeros, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(entropy_bytes(f->e), 128);
}

static void one_request_gets_no_more_than_said(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0);
	assert_true(driver_request(&f->d, 0, DATA_GPA, 1u << 20, WRITE));
	assert_int_equal(f->d.queues[0].used->ring[0].len,
			 ENTROPY_REQUEST_BYTES);
	/* A length that would end behind all memory is not looked at. */
	assert_true(driver_request(&f->d, 0, DATA_GPA, ~0u, WRITE));
}

/* Time is measured here, never compared with a small number. */
static void a_greedy_guest_waits(void **state)
{
	struct fixture *f = *state;
	uint64_t start = now_ms();
	unsigned int i;

	driver_start(&f->d, 0);
	for (i = 0; i < 32; i++)
		assert_true(driver_request(&f->d, 0, DATA_GPA,
					   ENTROPY_REQUEST_BYTES, WRITE));
	/* The first interval's bytes are free. */
	assert_true(now_ms() - start >=
		    entropy_bytes(f->e) * 1000 / ENTROPY_BYTES_PER_S - 200);
	assert_true(now_ms() - start >= 200);
}

static void malformed_requests_stop_the_device(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t gpa;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{ DATA_GPA, 16, 0 },
		{ DRIVER_RAM_BYTES - 8, 16, WRITE },
		{ ~0ull - 8, 16, WRITE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_reset(&f->d);
		driver_start(&f->d, 0);
		if (driver_request(&f->d, 0, bad[i].gpa, bad[i].len,
				   bad[i].flags))
			fail_msg("accepted: %u", i);
	}
	driver_reset(&f->d);
	driver_start(&f->d, 0);
	assert_true(driver_request(&f->d, 0, DATA_GPA, 16, WRITE));
}

static void a_reset_does_not_wait_for_the_rate(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		unsigned int j;

		driver_reset(&f->d);
		driver_start(&f->d, 0);
		for (j = 0; j < 16; j++) {
			driver_desc(&f->d, 0, DATA_GPA, 4096, WRITE);
			driver_offer(&f->d, 0, (uint16_t)j);
		}
	}
	driver_reset(&f->d);
	assert_int_equal(driver_used(&f->d, 0), 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(buffers_are_filled_in_pieces),
		CASE(one_request_gets_no_more_than_said),
		CASE(a_greedy_guest_waits),
		CASE(malformed_requests_stop_the_device),
		CASE(a_reset_does_not_wait_for_the_rate),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
