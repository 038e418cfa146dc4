/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the pager reads from the swap file: several reads in flight, each of a
 * contiguous run in the file, with the neighbours that readahead wants
 * (ahead.h).  The pager thread's own.
 */
#ifndef HYP_MEM_PAGEIN_H
#define HYP_MEM_PAGEIN_H

#include <stdbool.h>
#include <stdint.h>

#include "hyp/mem/ahead.h"
#include "hyp/mem/fill.h"

struct mem;

/* Reads in flight. */
#define PAGER_FILLS 16u

/* A read, and where it goes to. */
struct pagein_read {
	struct fill fill;
	uint32_t units;
	struct ahead_window *window; /* whose probe is in it, or NULL */
};

struct pagein {
	struct swap_queue queue;
	struct pagein_read read[PAGER_FILLS];
	/* One bit each; who has none is in flight. */
	uint32_t idle, stalled;
	uint32_t units; /* of @buf, not in use */
	uint8_t *buf;	/* NULL: no swap */
	int retry_fd;	/* eventfd: start again what is stalled */
	struct ahead ahead;
};

/** pagein_init() - there is a swap file now. Return: 0 or a negative errno */
int pagein_init(struct mem *mem, const char **why);
void pagein_fini(struct mem *mem);

/** pagein_may_start() - is there room for one more? */
bool pagein_may_start(const struct pagein *p);
bool pagein_any_in_flight(const struct pagein *p);

/**
 * pagein_frame() - read a preserved frame, and what goes with it
 * @mem:      memory; pagein_may_start(), no stripe held
 * @idx:      frame; one is charged
 * @since_ns: when the access was read
 *
 * Return: false if the frame is not, or no longer, idle and preserved: look at it
 * again, with the charge.
 */
bool pagein_frame(struct mem *mem, uint64_t idx, uint64_t since_ns);

/** pagein_reap() - publish what has been read. @wait: sleep for one, if any is in flight */
void pagein_reap(struct mem *mem, bool wait);

/** pagein_retry() - @retry_fd is readable, perhaps: start again what has stalled */
void pagein_retry(struct mem *mem);

#endif /* HYP_MEM_PAGEIN_H */
