/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMs that are none: processes that speak the control protocol over real sockets,
 * and behave as the test says, which shares memory with them.  They move when they
 * are poked or asked, never by themselves.
 */
#ifndef HYP_HYPD_TESTS_FAKE_H
#define HYP_HYPD_TESTS_FAKE_H

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "hyp/ctl/path.h"
#include "hyp/util.h"

#define FAKE_MAX 310

/* In memory shared with the test; set before it is poked, or before it starts. */
struct fake {
	char path[CTL_PATH_MAX];
	uint64_t mem, limit, charged, lowest; /* limit 0: none */
	uint64_t min, entitlement, max, weight;
	uint64_t faults; /* fault_preserved */
	bool has_balloon;
	uint64_t balloon;
	bool hangs; /* takes and says nothing */
	bool never_shrinks;
	bool refuses; /* limits */
	bool stuck;
	bool closes;	  /* instead of every answer */
	const char *says; /* instead of every answer */
	size_t says_len;
	uid_t uid;	     /* whose; 0: the test's */
	unsigned int floods; /* samples when poked */
	/* For the test to read. */
	unsigned int calls, watches, limits, balloons;
	uint64_t over; /* most that the sum of all was, when a limit was raised */
};

struct fakes {
	struct fake vms[FAKE_MAX];
	unsigned int nr;
};

struct fake_conn {
	int listen_fd, fd;
	char buf[4096];
	size_t len;
};

static struct fakes *fakes; /* shared */

static inline void fakes_create(void)
{
	fakes = mmap(NULL, sizeof(*fakes), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fakes == MAP_FAILED)
		abort();
}

static inline struct fake *fake_add(const char *dir, const char *name,
				    uint64_t mem, uint64_t limit,
				    uint64_t charged)
{
	struct fake *f = &fakes->vms[fakes->nr++];

	*f = (struct fake){ .mem = mem,
			    .limit = limit,
			    .charged = charged,
			    .lowest = 16 * MIB,
			    .min = 16 * MIB,
			    .entitlement = 32 * MIB,
			    .max = mem,
			    .weight = 100 };
	snprintf(f->path, sizeof(f->path), "%s/%s.sock", dir, name);
	return f;
}

static inline uint64_t fake_counts(const struct fake *f)
{
	uint64_t limit = f->limit ? f->limit : f->mem;

	return f->charged > limit ? f->charged : limit;
}

static inline void fake_close(struct fake_conn *c)
{
	close(c->fd);
	c->fd = -1;
}

static inline void fake_write(struct fake_conn *c, const char *text, size_t len)
{
	if (c->fd >= 0 &&
	    send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno != EAGAIN)
		fake_close(c);
}

static inline int fake_sample(char *buf, size_t size, const struct fake *f)
{
	char limit[24] = "null", balloon[80] = "null";

	if (f->limit)
		snprintf(limit, sizeof(limit), "%" PRIu64, f->limit);
	if (f->has_balloon)
		snprintf(balloon, sizeof(balloon),
			 "{\"target_bytes\":%" PRIu64
			 ",\"actual_bytes\":%" PRIu64 "}",
			 f->balloon, f->balloon);
	return snprintf(
		buf, size,
		"{\"timestamp_ms\":1,\"uptime_ms\":1,\"name\":\"x\",\"pid\":1,"
		"\"state\":\"running\",\"paused_by\":[%s],\"mem_bytes\":%" PRIu64
		",\"limit_bytes\":%s,\"resident_bytes\":%" PRIu64
		",\"preserved_bytes\":0,\"charged_bytes\":%" PRIu64
		",\"lowest_limit_bytes\":%" PRIu64
		",\"hints\":true,\"share\":{\"min_bytes\":%" PRIu64
		",\"entitlement_bytes\":%" PRIu64 ",\"max_bytes\":%" PRIu64
		",\"weight\":%" PRIu64 "},\"balloon\":%s,\"counters\":{"
		"\"fault_preserved\":%" PRIu64
		",\"fault_discard\":0,\"fault_zero\":0,\"swapped_out\":0,"
		"\"swapped_in\":0,\"discarded\":0}}",
		f->stuck ? "\"swap\"" : "", f->mem, limit, f->charged,
		f->charged, f->lowest, f->min, f->entitlement, f->max,
		f->weight, balloon, f->faults);
}

static inline void fake_event(struct fake_conn *c, const struct fake *f)
{
	char sample[1500], line[1600];

	fake_sample(sample, sizeof(sample), f);
	fake_write(
		c, line,
		(size_t)snprintf(
			line, sizeof(line),
			"{\"version\":1,\"event\":\"sample\",\"sample\":%s}\n",
			sample));
}

static inline void fake_set_limit(struct fake *f, uint64_t limit)
{
	uint64_t sum = 0;
	unsigned int i;
	bool raised = limit > (f->limit ? f->limit : f->mem);

	f->limit = limit;
	if (f->charged > limit && !f->never_shrinks)
		f->charged = limit;
	for (i = 0; i < fakes->nr; i++)
		sum += fake_counts(&fakes->vms[i]);
	if (raised && sum > f->over)
		f->over = sum;
	f->limits++;
}

static inline void fake_answer(struct fake_conn *c, struct fake *f,
			       const char *line, size_t len)
{
	cJSON *json = cJSON_ParseWithLength(line, len);
	const char *command = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(json, "command"));
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
	const cJSON *limit = cJSON_GetObjectItemCaseSensitive(json, "limit");
	const cJSON *target = cJSON_GetObjectItemCaseSensitive(json, "target");
	char sample[1500] = "{}", out[1600];
	bool ok = true;

	if (!strcmp(command, "watch")) {
		f->watches++;
		fake_sample(sample, sizeof(sample), f);
	} else if (limit) {
		ok = !f->refuses;
		f->limits += f->refuses;
		if (ok)
			fake_set_limit(f, (uint64_t)limit->valuedouble);
	} else if (target) {
		f->balloon = (uint64_t)target->valuedouble;
		f->balloons++;
	}
	fake_write(
		c, out,
		(size_t)snprintf(
			out, sizeof(out),
			ok ? "{\"version\":1,\"id\":%.0f,\"ok\":true,\"result\":%s}\n" :
			     "{\"version\":1,\"id\":%.0f,\"ok\":false,\"error\":{\"field\":\"\",\"message\":\"no\"}}\n",
			id->valuedouble, sample));
	if (strcmp(command, "watch") != 0)
		fake_event(c, f);
	cJSON_Delete(json);
}

static inline void fake_listen(struct fake_conn *c, const struct fake *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	c->fd = -1;
	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, f->path);
	/* Whose it is for others is who listens. */
	if (bind(c->listen_fd, (void *)&addr, sizeof(addr)) ||
	    (f->uid && setuid(f->uid)) || listen(c->listen_fd, 4))
		_exit(1);
}

static inline void fake_hear(struct fake_conn *c, struct fake *f)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - c->len, 0);
	char *end;

	if (n <= 0) {
		fake_close(c);
		c->len = 0;
		return;
	}
	c->len += (size_t)n;
	while (c->fd >= 0 && (end = memchr(c->buf, '\n', c->len))) {
		if (f->closes)
			fake_close(c);
		else if (f->says)
			fake_write(c, f->says, f->says_len);
		else
			fake_answer(c, f, c->buf, (size_t)(end - c->buf));
		c->len -= (size_t)(end + 1 - c->buf);
		memmove(c->buf, end + 1, c->len);
	}
}

static inline void fake_poked(struct fake_conn *c, struct fake *f)
{
	unsigned int i;

	if (f->hangs || c->fd < 0)
		return;
	for (i = 0; i < f->floods; i++)
		fake_event(c, f);
	fake_event(c, f);
}

/* The VMs from @first on, @nr of them; ends when the test does. */
static inline void fake_run(unsigned int first, unsigned int nr, int poke_fd)
{
	struct fake_conn *conns = calloc(nr, sizeof(*conns));
	struct pollfd *fds = calloc(2 * nr + 1, sizeof(*fds));
	unsigned int i;
	char byte;

	for (i = 0; i < nr; i++)
		fake_listen(&conns[i], &fakes->vms[first + i]);
	/* They are there now. */
	if (write(poke_fd, "", 1) != 1)
		_exit(1);
	for (;;) {
		fds[2 * nr] = (struct pollfd){ poke_fd, POLLIN, 0 };
		for (i = 0; i < nr; i++) {
			bool hangs = fakes->vms[first + i].hangs;

			fds[2 * i] = (struct pollfd){
				hangs ? -1 : conns[i].listen_fd, POLLIN, 0
			};
			fds[2 * i + 1] =
				(struct pollfd){ hangs ? -1 : conns[i].fd,
						 POLLIN, 0 };
		}
		poll(fds, 2 * nr + 1, -1);
		for (i = 0; i < nr; i++) {
			struct fake_conn *c = &conns[i];

			if (fds[2 * i + 1].revents)
				fake_hear(c, &fakes->vms[first + i]);
			if (fds[2 * i].revents) {
				int fd = accept(c->listen_fd, NULL, NULL);

				fakes->vms[first + i].calls++;
				if (c->fd >= 0)
					close(c->fd);
				c->fd = fd;
				c->len = 0;
			}
		}
		if (!fds[2 * nr].revents)
			continue;
		if (read(poke_fd, &byte, 1) != 1)
			_exit(0);
		for (i = 0; i < nr; i++)
			fake_poked(&conns[i], &fakes->vms[first + i]);
		/* Seen. */
		if (write(poke_fd, &byte, 1) != 1)
			_exit(0);
	}
}

/* Return: a descriptor for fake_poke(); @pid is set. */
static inline int fake_start(unsigned int first, unsigned int nr, pid_t *pid)
{
	int fds[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		abort();
	*pid = fork();
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		fake_run(first, nr, fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		abort();
	return fds[0];
}

/* Makes them look at what the test has set, and say it. */
static inline void fake_poke(int fd)
{
	char byte = 0;

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
		abort();
}

#endif /* HYP_HYPD_TESTS_FAKE_H */
