// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/notice.h"

#include <time.h>

#include "hyp/util.h"

/* Smaller changes are not worth a line: a share of what it was. */
#define WORTH_SHARE 8

static double mib(uint64_t bytes)
{
	return (double)bytes / (double)MIB;
}

static bool is_worth_it(const struct notice *n)
{
	uint64_t by = n->to > n->from ? n->to - n->from : n->from - n->to;

	return by && by >= n->from / WORTH_SHARE;
}

static void say(struct notice *n, const char *name, uint64_t now_ms)
{
	if (n->changes > 1)
		log_line(
			"%s: limit %.1f -> %.1f MiB in %u changes, the last: %s",
			name, mib(n->from), mib(n->to), n->changes, n->reason);
	else
		log_line("%s: limit %.1f -> %.1f MiB: %s", name, mib(n->from),
			 mib(n->to), n->reason);
	n->said = true;
	n->said_ms = now_ms;
	n->changes = 0;
	n->due = false;
}

void notice_change(struct notice *n, const char *name, uint64_t from,
		   uint64_t to, const char *reason, uint64_t now_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	n->reason = reason;
	n->last_from = from;
	n->last_to = to;
	n->last_realtime_ms =
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (!n->changes)
		n->from = from;
	n->to = to;
	n->changes++;
	/* Small ones add up until they are worth a line together. */
	n->due = is_worth_it(n);
	if (n->due && (!n->said || now_ms - n->said_ms >= NOTICE_EVERY_MS))
		say(n, name, now_ms);
}

uint64_t notice_due_ms(const struct notice *n)
{
	return n->due ? n->said_ms + NOTICE_EVERY_MS : UINT64_MAX;
}

void notice_flush(struct notice *n, const char *name, uint64_t now_ms)
{
	if (n->due)
		say(n, name, now_ms);
}
