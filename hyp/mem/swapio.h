/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transfers to and from a swap file, several in flight: through an io_uring
 * where there is one, else one after the other while they are started.
 */
#ifndef HYP_MEM_SWAPIO_H
#define HYP_MEM_SWAPIO_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct swap;

/**
 * struct swap_io - one transfer; whoever starts it keeps it until it is over
 * @buf:  page aligned
 * @slot: first slot
 * @nr:	  slots, > 0
 * @out:  to the file
 * @err:  set when it is over: 0, -ENODATA if the file is shorter than what was
 *	  written to it, or another negative errno
 */
struct swap_io {
	void *buf;
	uint32_t slot, nr;
	bool out;
	int err;
	size_t done; /* bytes; the queue's, as is what follows */
	struct swap_io *next;
};

/* Used by one thread at a time. */
struct swap_queue {
	struct swap *swap;
	struct io_uring ring;
	bool has_ring;
	bool fixed;   /* the buffers are registered */
	bool pending; /* started, and not submitted */
	unsigned int in_flight;
	struct swap_io *over; /* without a ring */
};

/**
 * swap_queue_init() - cannot fail: does without what the kernel refuses
 * @q:	   queue
 * @swap:  outlives it
 * @depth: transfers that may be in flight
 * @buf:   where all transfers go to and come from, or NULL: anywhere.  Must
 *	   stay in place, as its pages are pinned.
 * @bytes: of @buf
 *
 * Before the process is confined.
 */
void swap_queue_init(struct swap_queue *q, struct swap *swap,
		     unsigned int depth, void *buf, size_t bytes);

/** swap_queue_fini() - nothing is in flight; accepts a queue of zeros */
void swap_queue_fini(struct swap_queue *q);

/** swap_start() - begin a transfer; swap_next() brings it back */
void swap_start(struct swap_queue *q, struct swap_io *io);

/** swap_submit() - have the kernel work on what was started */
void swap_submit(struct swap_queue *q);

/**
 * swap_next() - a transfer that is over
 * @wait: sleep for it
 *
 * Submits first.
 * Return: NULL if there is none, with @wait: if nothing is in flight.
 */
struct swap_io *swap_next(struct swap_queue *q, bool wait);

/** swap_queue_fd() - to poll: readable when swap_next() has one; or -1 */
int swap_queue_fd(const struct swap_queue *q);

#endif /* HYP_MEM_SWAPIO_H */
