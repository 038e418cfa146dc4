/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest memory for the targets that need some, and nothing else of a VM. */
#ifndef HYP_FUZZ_GUEST_H
#define HYP_FUZZ_GUEST_H

#include "hyp/fuzz/input.h"
#include "hyp/mem/mem.h"

/* Nothing that a guest does may end hyp; @what says what did. */
static inline void guest_on_fatal(void *ctx, int err, const char *what)
{
	(void)ctx;
	fprintf(stderr, "fatal: %s: %s\n", what, strerror(-err));
	abort();
}

static inline struct mem *guest_create(struct mem_config cfg)
{
	const char *why = "";
	struct mem *mem;

	cfg.fatal = guest_on_fatal;
	if (mem_create(&mem, &cfg, &why)) {
		fprintf(stderr, "mem_create: %s\n", why);
		exit(2);
	}
	must(!mem_start(mem));
	return mem;
}

static inline void guest_destroy(struct mem *mem)
{
	mem_stop(mem);
	mem_destroy(mem);
}

/* When nobody but reclaim is at work. */
static inline void guest_check(struct mem *mem)
{
	struct mem_stats s;

	mem_get_stats(mem, &s);
	must(s.resident <= s.frames && s.preserved <= s.frames &&
	     s.zero <= s.frames);
}

#endif /* HYP_FUZZ_GUEST_H */
