/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log lines about one VM's budget: few, and never without the last.  What is not
 * said at once is said, summed up, when the time has come.
 */
#ifndef HYP_HYPD_NOTICE_H
#define HYP_HYPD_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

/* From one line to the next. */
#define NOTICE_EVERY_MS 10000

/** struct notice - zeroed: nothing said */
struct notice {
	bool said, due;
	uint64_t said_ms;
	uint64_t from, to; /* bytes; of the changes that are due */
	unsigned int changes;
	/* The last change of all, for who asks. */
	const char *reason; /* NULL: there was none */
	uint64_t last_from, last_to;
	uint64_t last_realtime_ms;
};

/**
 * notice_change() - a limit is being changed
 * @reason: constant
 */
void notice_change(struct notice *n, const char *name, uint64_t from,
		   uint64_t to, const char *reason, uint64_t now_ms);

/** notice_due_ms() - when to call notice_flush(); UINT64_MAX: never */
uint64_t notice_due_ms(const struct notice *n);
void notice_flush(struct notice *n, const char *name, uint64_t now_ms);

#endif /* HYP_HYPD_NOTICE_H */
