// SPDX-License-Identifier: GPL-2.0-only
/* A virtio console between two pipes. */
#include "hyp/tests/driver.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "hyp/dev/virtio/vcon.h"

#define RX	 0u
#define TX	 1u
#define DATA_GPA 0x100000u
#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE

struct fixture {
	struct driver d;
	struct vcon *c;
	int in[2], out[2];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_irq irq = driver_irq(&f->d);
	struct vcon_config cfg = { .console = true };

	signal(SIGPIPE, SIG_IGN); /* hyp has all signals blocked */
	assert_int_equal(pipe2(f->in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(f->out, O_CLOEXEC), 0);
	driver_init(&f->d, (struct mem_config){ .storm = false }, 2);
	cfg.in_fd = f->in[0];
	cfg.out_fd = f->out[1];
	assert_int_equal(vcon_create(&f->c, f->d.mem, &cfg, &irq), 0);
	f->d.transport = vcon_transport(f->c);
	assert_int_equal(vcon_start(f->c), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	assert_int_equal(vcon_stop(f->c, 30000), 0);
	vcon_destroy(f->c);
	driver_fini(&f->d);
	for (i = 0; i < 2; i++) {
		close(f->in[i]);
		close(f->out[i]);
	}
	free(f);
	return 0;
}

static void output_keeps_its_order(void **state)
{
	static char text[10000], got[sizeof(text)];
	struct fixture *f = *state;
	size_t done = 0, i;
	ssize_t n;

	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	mem_write(f->d.mem, DATA_GPA, text, sizeof(text));
	driver_start(&f->d, 0);
	driver_desc(&f->d, TX, DATA_GPA, 5000, NEXT);
	driver_desc(&f->d, TX, DATA_GPA + 5000, 4999, 0);
	driver_desc(&f->d, TX, DATA_GPA + 9999, 1, 0);
	driver_offer(&f->d, TX, 0);
	driver_offer(&f->d, TX, 2);
	while (done < sizeof(got)) {
		n = read(f->out[0], got + done, sizeof(got) - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_memory_equal(got, text, sizeof(text));
	assert_true(driver_wait(&f->d, TX));
}

static void input_waits_for_room(void **state)
{
	struct fixture *f = *state;
	char got[6] = "";

	driver_start(&f->d, 0);
	assert_int_equal(write(f->in[1], "hello", 5), 5);
	driver_desc(&f->d, RX, DATA_GPA, 2, WRITE | NEXT);
	driver_desc(&f->d, RX, DATA_GPA + 4096, 1, WRITE);
	driver_desc(&f->d, RX, DATA_GPA + 8192, 100, WRITE);
	driver_offer(&f->d, RX, 0);
	assert_true(driver_wait(&f->d, RX));
	assert_int_equal(f->d.queues[RX].used->ring[0].len, 3);
	driver_offer(&f->d, RX, 2);
	assert_true(driver_wait(&f->d, RX));
	assert_int_equal(f->d.queues[RX].used->ring[1].len, 2);
	mem_read(f->d.mem, DATA_GPA, got, 2);
	mem_read(f->d.mem, DATA_GPA + 4096, got + 2, 1);
	mem_read(f->d.mem, DATA_GPA + 8192, got + 3, 2);
	assert_string_equal(got, "hello");
}

/* The pipe holds 64 KiB; the guest wants to say more and nobody reads. */
static void a_reset_does_not_wait_for_a_reader(void **state)
{
	struct fixture *f = *state;
	char c;

	driver_start(&f->d, 0);
	driver_desc(&f->d, TX, DATA_GPA, 1 << 20, 0);
	driver_offer(&f->d, TX, 0);
	assert_int_equal(read(f->out[0], &c, 1), 1);
	driver_reset(&f->d);
	driver_start(&f->d, 0);
	driver_desc(&f->d, RX, DATA_GPA, 8, WRITE);
	driver_offer(&f->d, RX, 0);
	assert_int_equal(write(f->in[1], "x", 1), 1);
	assert_true(driver_wait(&f->d, RX));
}

static void output_to_nobody_is_swallowed(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0);
	close(f->out[0]);
	f->out[0] = -1;
	assert_true(driver_request(&f->d, TX, DATA_GPA, 1 << 20, 0));
	assert_true(driver_request(&f->d, TX, DATA_GPA, 10, 0));
}

static void the_end_of_input_is_quiet(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0);
	close(f->in[1]);
	f->in[1] = -1;
	driver_desc(&f->d, RX, DATA_GPA, 8, WRITE);
	driver_offer(&f->d, RX, 0);
	assert_true(driver_request(&f->d, TX, DATA_GPA, 10, 0));
	assert_int_equal(driver_used(&f->d, RX), 0);
}

static void malformed_requests_stop_the_device(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned int queue;
		uint64_t gpa;
		uint16_t flags;
	} bad[] = {
		{ RX, DATA_GPA, 0 },
		{ RX, DRIVER_RAM_BYTES, WRITE },
		{ TX, ~0ull - 4, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_reset(&f->d);
		driver_start(&f->d, 0);
		assert_int_equal(write(f->in[1], "x", 1), 1);
		if (driver_request(&f->d, bad[i].queue, bad[i].gpa, 16,
				   bad[i].flags))
			fail_msg("accepted: %u", i);
	}
	driver_reset(&f->d);
	driver_start(&f->d, 0);
	assert_true(driver_request(&f->d, TX, DATA_GPA, 10, 0));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(output_keeps_its_order),
		CASE(input_waits_for_room),
		CASE(a_reset_does_not_wait_for_a_reader),
		CASE(output_to_nobody_is_swallowed),
		CASE(the_end_of_input_is_quiet),
		CASE(malformed_requests_stop_the_device),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
