// SPDX-License-Identifier: GPL-2.0-only
/* Channels of a virtio console: a driver on one side, sockets on the other. */
#include "hyp/tests/driver.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hyp/dev/virtio/vcon.h"

#define MULTIPORT    (1ull << VIRTIO_CONSOLE_F_MULTIPORT)
#define NR_CHANNELS  2u
#define NR_QUEUES    (2 * (NR_CHANNELS + 2))
#define CONTROL_RX   2u
#define CONTROL_TX   3u
#define RX(port)     (2 + 2 * (port))
#define TX(port)     (3 + 2 * (port))
#define CONTROL_GPA  0x80000u
#define SAY_GPA	     0x81000u
#define DATA_GPA     0x100000u
#define OUT_GPA	     0x600000u
#define IN_GPA	     0x800000u
#define WRITE	     VRING_DESC_F_WRITE
#define MESSAGE_SIZE sizeof(struct virtio_console_control)

struct fixture {
	struct driver d;
	struct vcon *c;
	char dir[64];
	struct sockaddr_un addr[NR_CHANNELS];
	int listener[NR_CHANNELS];
	int console[2]; /* what the device has, and its other end */
	bool has_room;	/* a buffer for the next message is offered */
};

static void create(struct fixture *f, bool console)
{
	static const char *const names[] = { "org.test.one", "two" };
	struct virtio_irq irq = driver_irq(&f->d);
	struct vcon_config cfg = {
		.console = console,
		.in_fd = f->console[0],
		.out_fd = f->console[0],
		.nr_channels = NR_CHANNELS,
	};
	unsigned int i;

	for (i = 0; i < NR_CHANNELS; i++)
		cfg.channels[i] =
			(struct vcon_channel){ names[i], f->listener[i] };
	assert_int_equal(vcon_create(&f->c, f->d.mem, &cfg, &irq), 0);
	f->d.transport = vcon_transport(f->c);
	assert_int_equal(vcon_start(f->c), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	unsigned int i;

	signal(SIGPIPE, SIG_IGN); /* hyp has all signals blocked */
	strcpy(f->dir, "/tmp/hyp-channel-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    f->console),
			 0);
	for (i = 0; i < NR_CHANNELS; i++) {
		f->addr[i].sun_family = AF_UNIX;
		snprintf(f->addr[i].sun_path, sizeof(f->addr[i].sun_path),
			 "%s/%u", f->dir, i);
		f->listener[i] = socket(
			AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(f->listener[i], (void *)&f->addr[i],
				      sizeof(f->addr[i])),
				 0);
		assert_int_equal(listen(f->listener[i], 4), 0);
	}
	driver_init(&f->d, (struct mem_config){ .storm = false }, NR_QUEUES);
	create(f, false);
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
	for (i = 0; i < NR_CHANNELS; i++) {
		close(f->listener[i]);
		unlink(f->addr[i].sun_path);
	}
	rmdir(f->dir);
	close(f->console[0]);
	close(f->console[1]);
	free(f);
	return 0;
}

/* To channel @i.  A test that waits in vain fails. */
static int join(const struct fixture *f, unsigned int i)
{
	struct timeval timeout = { .tv_sec = 30 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
		connect(fd, (const void *)&f->addr[i], sizeof(f->addr[i])), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static void send_control(struct fixture *f, uint32_t id, unsigned int event,
			 unsigned int value)
{
	struct virtio_console_control m = { id, (uint16_t)event,
					    (uint16_t)value };

	mem_write(f->d.mem, SAY_GPA, &m, sizeof(m));
	assert_true(driver_request(&f->d, CONTROL_TX, SAY_GPA, sizeof(m), 0));
}

static void give_room(struct fixture *f)
{
	if (f->has_room)
		return;
	driver_desc(&f->d, CONTROL_RX, CONTROL_GPA, 256, WRITE);
	driver_offer(&f->d, CONTROL_RX,
		     (uint16_t)(f->d.queues[CONTROL_RX].nr_desc - 1));
	f->has_room = true;
}

/* One message at a time: the device keeps what it has to say. */
static void expect(struct fixture *f, uint32_t id, unsigned int event,
		   unsigned int value, const char *name)
{
	struct driver_queue *q = &f->d.queues[CONTROL_RX];
	struct virtio_console_control m;
	char text[64] = "";
	uint32_t len;

	give_room(f);
	assert_true(driver_wait(&f->d, CONTROL_RX));
	f->has_room = false;
	len = q->used->ring[(q->avail_idx - 1) % DRIVER_QUEUE_SIZE].len;
	mem_read(f->d.mem, CONTROL_GPA, &m, sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, value);
	assert_int_equal(len, MESSAGE_SIZE + strlen(name));
	mem_read(f->d.mem, CONTROL_GPA + MESSAGE_SIZE, text, strlen(name));
	assert_string_equal(text, name);
}

/* Twice: what follows from the first is done when the second is heard. */
static void expect_silence(struct fixture *f)
{
	uint16_t used;

	give_room(f);
	used = driver_used(&f->d, CONTROL_RX);
	send_control(f, 99, 99, 0);
	send_control(f, 99, 99, 0);
	assert_int_equal(driver_used(&f->d, CONTROL_RX), used);
}

static void say_open(struct fixture *f, uint32_t port, bool open)
{
	send_control(f, port, VIRTIO_CONSOLE_PORT_OPEN, open);
}

/* The driver knows both ports. */
static void bring_up(struct fixture *f)
{
	driver_reset(&f->d);
	f->has_room = false;
	driver_start(&f->d, MULTIPORT);
	send_control(f, ~0u, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	expect(f, 2, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	send_control(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.test.one");
	send_control(f, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(f, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "two");
}

static void expect_open(struct fixture *f, uint32_t port, bool open)
{
	expect(f, port, VIRTIO_CONSOLE_PORT_OPEN, open, "");
}

static void put(struct fixture *f, unsigned int port, const char *text)
{
	struct driver_queue *q = &f->d.queues[TX(port)];
	uint64_t gpa = OUT_GPA + q->nr_desc * 4096ull;

	mem_write(f->d.mem, gpa, text, strlen(text));
	driver_desc(&f->d, TX(port), gpa, (uint32_t)strlen(text), 0);
	driver_offer(&f->d, TX(port), (uint16_t)(q->nr_desc - 1));
}

/* The guest reads @len bytes; waits for them. */
static void get(struct fixture *f, unsigned int port, const char *text)
{
	struct driver_queue *q = &f->d.queues[RX(port)];
	char got[64] = "";

	assert_true(driver_request(&f->d, RX(port), IN_GPA,
				   (uint32_t)strlen(text), WRITE));
	mem_read(f->d.mem, IN_GPA, got, strlen(text));
	assert_string_equal(got, text);
	assert_int_equal(
		q->used->ring[(q->avail_idx - 1) % DRIVER_QUEUE_SIZE].len,
		strlen(text));
}

static void client_gets(int fd, const char *text)
{
	char got[64] = "";

	assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL),
			 strlen(text));
	assert_string_equal(got, text);
}

static void client_gets_the_end(int fd)
{
	char c;
	ssize_t n = read(fd, &c, 1);

	/* The latter if the guest has not read all that it said. */
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

static void ports_are_announced_once(void **state)
{
	struct fixture *f = *state;
	uint32_t nr_ports = 0;

	virtio_mmio_bus_ops.read(f->d.transport,
				 VIRTIO_MMIO_CONFIG +
					 offsetof(struct virtio_console_config,
						  max_nr_ports),
				 &nr_ports, sizeof(nr_ports));
	assert_int_equal(nr_ports, 1 + NR_CHANNELS);
	bring_up(f);
	send_control(f, ~0u, VIRTIO_CONSOLE_DEVICE_READY, 1);
	send_control(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_silence(f);
	/* Another driver knows nothing. */
	bring_up(f);
}

static void what_a_client_says_waits_for_the_guest(void **state)
{
	struct fixture *f = *state;
	int fd = join(f, 1);

	assert_int_equal(write(fd, "early", 5), 5);
	bring_up(f);
	expect_open(f, 2, true);
	/* A buffer alone is not enough: nobody has the port open. */
	driver_desc(&f->d, RX(2), IN_GPA, 3, WRITE);
	driver_offer(&f->d, RX(2), 0);
	expect_silence(f);
	assert_int_equal(driver_used(&f->d, RX(2)), 0);
	say_open(f, 2, true);
	assert_true(driver_wait(&f->d, RX(2)));
	get(f, 2, "ly");
	put(f, 2, "answer");
	client_gets(fd, "answer");
	assert_true(vcon_channel_state(f->c, 1).guest);
	assert_true(vcon_channel_state(f->c, 1).client);
	assert_false(vcon_channel_state(f->c, 0).client);
	close(fd);
	expect_open(f, 2, false);
	expect_silence(f);
	assert_false(vcon_channel_state(f->c, 1).client);
}

static void clients_take_turns(void **state)
{
	struct fixture *f = *state;
	int first, second;

	bring_up(f);
	say_open(f, 2, true);
	first = join(f, 1);
	expect_open(f, 2, true);
	second = join(f, 1);
	assert_int_equal(write(second, "second", 6), 6);
	assert_int_equal(write(first, "first", 5), 5);
	get(f, 2, "first");
	expect_silence(f);
	/* It said something and left before the guest had room for that. */
	assert_int_equal(write(first, "bye", 3), 3);
	close(first);
	expect_silence(f);
	get(f, 2, "bye");
	expect_open(f, 2, false);
	expect_open(f, 2, true);
	get(f, 2, "second");
	put(f, 2, "hello");
	client_gets(second, "hello");
	close(second);
	expect_open(f, 2, false);
	/* One that comes and goes without a word, while the guest has closed. */
	say_open(f, 2, false);
	first = join(f, 1);
	expect_open(f, 2, true);
	close(first);
	expect_open(f, 2, false);
}

/* More than the socket holds: the guest has closed long before it is read. */
static void the_guests_last_words_are_heard(void **state)
{
	static char text[1 << 20], got[sizeof(text)];
	struct fixture *f = *state;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	bring_up(f);
	say_open(f, 1, true);
	fd = join(f, 0);
	expect_open(f, 1, true);
	mem_write(f->d.mem, DATA_GPA, text, sizeof(text));
	driver_desc(&f->d, TX(1), DATA_GPA, sizeof(text), 0);
	driver_desc(&f->d, TX(1), DATA_GPA, 3, 0);
	driver_offer(&f->d, TX(1), 0);
	driver_offer(&f->d, TX(1), 1);
	say_open(f, 1, false);
	/* Another program of the guest's. */
	say_open(f, 1, true);
	f->d.queues[TX(1)].nr_desc = 300 % DRIVER_QUEUE_SIZE;
	put(f, 1, "for the next");
	expect_silence(f);
	assert_true(driver_used(&f->d, TX(1)) < 2);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), sizeof(got));
	assert_memory_equal(got, text, sizeof(text));
	assert_int_equal(recv(fd, got, 3, MSG_WAITALL), 3);
	client_gets_the_end(fd);
	expect_open(f, 1, false);
	fd = join(f, 0);
	expect_open(f, 1, true);
	client_gets(fd, "for the next");
	close(fd);
}

static void what_a_client_left_unread_is_not_for_the_next(void **state)
{
	struct fixture *f = *state;
	int fd;

	bring_up(f);
	say_open(f, 1, true);
	fd = join(f, 0);
	expect_open(f, 1, true);
	driver_desc(&f->d, TX(1), DATA_GPA, 1 << 20, 0);
	driver_desc(&f->d, TX(1), DATA_GPA, 100, 0);
	driver_offer(&f->d, TX(1), 0);
	driver_offer(&f->d, TX(1), 1);
	expect_silence(f);
	assert_int_equal(driver_used(&f->d, TX(1)), 0);
	close(fd);
	expect_open(f, 1, false);
	assert_true(driver_wait(&f->d, TX(1)));
	/* It knows now; this waits for somebody. */
	put(f, 1, "next");
	expect_silence(f);
	fd = join(f, 0);
	expect_open(f, 1, true);
	client_gets(fd, "next");
	/* That it can hear no more does not mean that it says no more. */
	shutdown(fd, SHUT_RD);
	put(f, 1, "nobody hears this");
	assert_true(driver_wait(&f->d, TX(1)));
	assert_int_equal(write(fd, "x", 1), 1);
	get(f, 1, "x");
	close(fd);
	expect_open(f, 1, false);
}

static void a_client_that_says_no_more_still_hears(void **state)
{
	struct fixture *f = *state;
	int fd;

	bring_up(f);
	say_open(f, 1, true);
	fd = join(f, 0);
	assert_int_equal(write(fd, "ask", 3), 3);
	shutdown(fd, SHUT_WR);
	expect_open(f, 1, true);
	get(f, 1, "ask");
	driver_desc(&f->d, RX(1), IN_GPA, 8, WRITE);
	driver_offer(&f->d, RX(1), 1);
	expect_silence(f);
	put(f, 1, "answer");
	client_gets(fd, "answer");
	say_open(f, 1, false);
	client_gets_the_end(fd);
	expect_open(f, 1, false);
	assert_int_equal(driver_used(&f->d, RX(1)), 1);
}

static void a_reset_ends_what_the_guest_had_open(void **state)
{
	struct fixture *f = *state;
	int fd, waits, round;
	char text[4096], c;

	for (round = 0; round < 200; round++) {
		bring_up(f);
		waits = join(f, 1);
		expect_open(f, 2, true);
		say_open(f, 1, true);
		fd = join(f, 0);
		expect_open(f, 1, true);
		driver_desc(&f->d, TX(1), DATA_GPA, 1 << 20, 0);
		driver_offer(&f->d, TX(1), 0);
		if (round % 2)
			say_open(f, 1, false);
		driver_set(&f->d, VIRTIO_MMIO_STATUS, 0);
		while (recv(fd, &c, 1, MSG_PEEK) > 0)
			assert_true(read(fd, text, sizeof(text)) > 0);
		client_gets_the_end(fd);
		/* The guest never had this one: it goes on waiting. */
		assert_int_equal(recv(waits, &c, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		bring_up(f);
		expect_open(f, 2, true);
		close(waits);
		expect_open(f, 2, false);
	}
}

static void hostile_messages_do_no_harm(void **state)
{
	static const uint32_t ids[] = { 0, 3, 0x7fffffff, 0x80000000, ~0u };
	static const struct {
		unsigned int queue;
		uint64_t gpa;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{ CONTROL_TX, SAY_GPA, 7, 0 },
		{ CONTROL_TX, DRIVER_RAM_BYTES - 1, 8, 0 },
		{ CONTROL_TX, SAY_GPA, 8, WRITE },
		{ CONTROL_RX, CONTROL_GPA, 7, WRITE },
		{ CONTROL_RX, CONTROL_GPA, 64, 0 },
		{ CONTROL_RX, ~0ull - 3, 64, WRITE },
		{ RX(1), IN_GPA, 64, 0 },
		{ RX(1), DRIVER_RAM_BYTES, 64, WRITE },
		{ TX(1), ~0ull - 4, 16, 0 },
	};
	struct fixture *f = *state;
	unsigned int i, event;
	int fd;

	bring_up(f);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		for (event = 0; event < 9; event++)
			if (event != VIRTIO_CONSOLE_DEVICE_READY)
				send_control(f, ids[i], event, 1);
	expect_silence(f);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		bring_up(f);
		say_open(f, 1, true);
		fd = join(f, 0);
		if (bad[i].queue != CONTROL_RX)
			expect_open(f, 1, true);
		assert_int_equal(write(fd, "x", 1), 1);
		if (driver_request(&f->d, bad[i].queue, bad[i].gpa, bad[i].len,
				   bad[i].flags))
			fail_msg("accepted: %u", i);
		driver_set(&f->d, VIRTIO_MMIO_STATUS, 0);
		client_gets_the_end(fd);
	}
	bring_up(f);
}

/* Ports that open before they are there, and close twice; readiness taken back. */
static void a_guest_may_say_anything_in_any_order(void **state)
{
	struct fixture *f = *state;
	unsigned int seed = 1, i;
	int fd;

	driver_reset(&f->d);
	driver_start(&f->d, MULTIPORT);
	say_open(f, 1, true);
	assert_false(vcon_channel_state(f->c, 0).guest);
	bring_up(f);
	for (i = 0; i < 3000; i++) {
		unsigned int what = (unsigned int)rand_r(&seed);

		fd = what % 4 ? -1 : join(f, 0);
		/* The rings are reused: the driver has one request at a time. */
		f->d.queues[CONTROL_TX].nr_desc = 0;
		send_control(f, what / 8 % 3,
			     what & 4 ? VIRTIO_CONSOLE_PORT_OPEN :
					VIRTIO_CONSOLE_PORT_READY,
			     what / 64 % 2);
		if (driver_used(&f->d, CONTROL_RX) ==
		    f->d.queues[CONTROL_RX].avail_idx) {
			f->d.queues[CONTROL_RX].nr_desc = 0;
			f->has_room = false;
			give_room(f);
		}
		if (fd >= 0)
			close(fd);
	}
	bring_up(f);
}

static void without_the_feature_there_are_no_channels(void **state)
{
	struct fixture *f = *state;
	int fd = join(f, 0);

	driver_start(&f->d, 0);
	/* The console that there is not swallows what it is given. */
	assert_true(driver_request(&f->d, 1, DATA_GPA, 1 << 20, 0));
	driver_desc(&f->d, TX(1), DATA_GPA, 8, 0);
	driver_offer(&f->d, TX(1), 0);
	assert_true(driver_request(&f->d, 1, DATA_GPA, 10, 0));
	assert_int_equal(driver_used(&f->d, TX(1)), 0);
	close(fd);
}

static void the_console_is_the_first_port(void **state)
{
	struct fixture *f = *state;
	char text[10];

	assert_int_equal(vcon_stop(f->c, 30000), 0);
	vcon_destroy(f->c);
	create(f, true);
	assert_int_equal(write(f->console[1], "typed", 5), 5);
	driver_desc(&f->d, 0, IN_GPA, 5, WRITE);
	driver_offer(&f->d, 0, 0);
	driver_start(&f->d, MULTIPORT);
	send_control(f, ~0u, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect(f, 0, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	expect(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	expect(f, 2, VIRTIO_CONSOLE_PORT_ADD, 1, "");
	send_control(f, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect(f, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
	expect_open(f, 0, true);
	expect_silence(f);
	assert_int_equal(driver_used(&f->d, 0), 0);
	say_open(f, 0, true);
	assert_true(driver_wait(&f->d, 0));
	assert_true(driver_request(&f->d, 1, DATA_GPA, 10, 0));
	assert_int_equal(recv(f->console[1], text, 10, MSG_WAITALL), 10);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ports_are_announced_once),
		CASE(what_a_client_says_waits_for_the_guest),
		CASE(clients_take_turns),
		CASE(the_guests_last_words_are_heard),
		CASE(what_a_client_left_unread_is_not_for_the_next),
		CASE(a_client_that_says_no_more_still_hears),
		CASE(a_reset_ends_what_the_guest_had_open),
		CASE(hostile_messages_do_no_harm),
		CASE(a_guest_may_say_anything_in_any_order),
		CASE(without_the_feature_there_are_no_channels),
		CASE(the_console_is_the_first_port),
	};

	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
