// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <essa/abi.h>

#include "essa-emu/trace/trace.h"
#include "hyp/thread.h"

/* Two halves: one fills while the other is written.  256 KiB each. */
#define HALF_EVENTS 8192u
/* Worth waking the thread for. */
#define WAKE_EVENTS (HALF_EVENTS / 2)

struct record {
	int fd;
	uint64_t nr_frames;
	uint64_t start_ms;
	struct trace_writer *writer; /* the thread's own */
	void (*fail)(void *ctx, int err);
	void *ctx;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* guards what follows; a leaf */
	pthread_cond_t work;  /* for the thread */
	pthread_cond_t room;  /* for those who record */
	unsigned int half;    /* that fills */
	unsigned int nr;      /* events in it */
	uint64_t nr_ops;
	bool stop;
	int err;
	/* [half] under the lock, the other is the thread's */
	struct trace_event event[2][HALF_EVENTS];
};

static void append(struct record *rec, struct trace_event ev)
{
	pthread_mutex_lock(&rec->lock);
	while (rec->nr == HALF_EVENTS && !rec->err)
		pthread_cond_wait(&rec->room, &rec->lock);
	if (!rec->err) {
		/* Under the lock: time does not run back in the trace. */
		ev.time_ms = now_ms() - rec->start_ms;
		rec->event[rec->half][rec->nr++] = ev;
		rec->nr_ops += ev.kind < TRACE_NR_OPS;
		if (rec->nr == WAKE_EVENTS || rec->nr == HALF_EVENTS)
			pthread_cond_signal(&rec->work);
	}
	pthread_mutex_unlock(&rec->lock);
}

static void *record_thread(void *arg)
{
	struct record *rec = arg;
	struct trace_event *ev;
	unsigned int nr;
	int err = 0;

	pthread_mutex_lock(&rec->lock);
	while (!err) {
		while (rec->nr < WAKE_EVENTS && !rec->stop)
			pthread_cond_wait(&rec->work, &rec->lock);
		if (!rec->nr)
			break;
		ev = rec->event[rec->half];
		nr = rec->nr;
		rec->half = !rec->half;
		rec->nr = 0;
		pthread_cond_broadcast(&rec->room);
		pthread_mutex_unlock(&rec->lock);
		err = trace_write(rec->writer, ev, nr);
		pthread_mutex_lock(&rec->lock);
	}
	rec->err = err;
	pthread_cond_broadcast(&rec->room);
	pthread_mutex_unlock(&rec->lock);
	if (err)
		rec->fail(rec->ctx, err);
	return NULL;
}

void record_call(struct record *rec, uint64_t cmd, uint64_t gfn, uint64_t nr,
		 int32_t ret)
{
	struct trace_event ev = { .gfn = gfn, .nr = 1 };

	if (!rec)
		return;
	if (cmd == ESSA_CMD_ENABLE || cmd == ESSA_CMD_DISABLE) {
		ev.kind = TRACE_MARK;
		ev.gfn = cmd == ESSA_CMD_ENABLE ? TRACE_PHASE_ENABLE :
						  TRACE_PHASE_DISABLE;
		if (!ret)
			append(rec, ev);
		return;
	}
	if (cmd <= ESSA_CMD_OP || cmd >= ESSA_CMD_OP + TRACE_NR_OPS)
		return;
	ev.kind = (unsigned int)(cmd - ESSA_CMD_OP);
	if (ret >= 0)
		nr = (uint64_t)ret >> 8;
	else if (ret != -ENOSYS || ev.kind <= ESSA_OP_SET_STABLE_IF_KEPT)
		return;
	ev.nr = nr;
	if (nr && gfn < rec->nr_frames && nr <= rec->nr_frames - gfn)
		append(rec, ev);
}

void record_disk_write(struct record *rec, unsigned int disk, uint64_t sector,
		       uint64_t nr)
{
	const struct trace_event ev = {
		.kind = TRACE_DISK,
		.gfn = (uint64_t)disk << TRACE_DISK_SHIFT | sector,
		.nr = nr,
	};

	if (rec && nr)
		append(rec, ev);
}

int record_create(struct record **out, const char *path, uint64_t nr_frames,
		  struct why *why)
{
	struct record *rec = calloc(1, sizeof(*rec));
	int err;

	if (!rec)
		return why_set(why, -ENOMEM, "--record");
	pthread_mutex_init(&rec->lock, NULL);
	pthread_cond_init(&rec->work, NULL);
	pthread_cond_init(&rec->room, NULL);
	rec->nr_frames = nr_frames;
	rec->start_ms = now_ms();
	rec->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	err = rec->fd < 0 ? -errno : 0;
	if (!err)
		err = trace_writer_create(&rec->writer, rec->fd, nr_frames);
	if (err) {
		record_destroy(rec);
		return why_set(why, err, "cannot write to %s", path);
	}
	*out = rec;
	return 0;
}

int record_start(struct record *rec, void (*fail)(void *ctx, int err),
		 void *ctx)
{
	int err;

	rec->fail = fail;
	rec->ctx = ctx;
	err = thread_start(&rec->thread, "record", record_thread, rec);
	rec->started = !err;
	return err;
}

int record_finish(struct record *rec, uint64_t *nr)
{
	int err;

	if (rec->started) {
		pthread_mutex_lock(&rec->lock);
		rec->stop = true;
		pthread_cond_signal(&rec->work);
		pthread_mutex_unlock(&rec->lock);
		pthread_join(rec->thread, NULL);
		rec->started = false;
	}
	err = trace_writer_finish(rec->writer);
	rec->writer = NULL;
	*nr = rec->nr_ops;
	return err;
}

void record_destroy(struct record *rec)
{
	uint64_t nr;

	if (!rec)
		return;
	if (rec->writer)
		record_finish(rec, &nr);
	if (rec->fd >= 0)
		close(rec->fd);
	pthread_cond_destroy(&rec->room);
	pthread_cond_destroy(&rec->work);
	pthread_mutex_destroy(&rec->lock);
	free(rec);
}
