/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private frame table: the truth about every frame of RAM.  The guest cannot
 * write it; the shared byte of a frame only mirrors it.
 *
 * A frame that is busy belongs to the thread that marked it.  Only that thread
 * changes its page-table entry, its slot and its content; everybody else waits
 * for frame_publish() and then decides anew.
 *
 * Wake rule.  A vCPU that meets an empty page-table entry sleeps in the kernel
 * until someone issues UFFDIO_WAKE (or a waking UFFDIO_COPY/POISON/MOVE) for
 * its page.  userfaultfd_must_wait() takes a poison marker for an empty entry:
 * a fault that was queued just behind the marker's own wake-up would sleep for
 * ever.  Therefore no message of the userfaultfd is ever dropped: the pager
 *	- sets @waited in a frame that is busy, and whoever publishes the frame
 *	  wakes its page afterwards;
 *	- wakes the page itself if the frame is resident or poisoned, or if it
 *	  has made it writable.
 * Both decisions are taken under the stripe, so a message is read either
 * before the publication (first case) or after it (second case).
 */
#ifndef HYP_MEM_FRAME_H
#define HYP_MEM_FRAME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hyp/mem/mem.h"

/* What a frame begins with is 0: sparse.h.  In the state byte: state_content(). */
enum frame_content {
	FRAME_ZERO,
	FRAME_PRESERVED,
	FRAME_RESIDENT,
	FRAME_NR_CONTENTS
};

enum frame_busy {
	FRAME_IDLE,
	FRAME_FILL,    /* is being made resident */
	FRAME_DISCARD, /* old backing is being released */
	FRAME_PAGE_OUT,
	FRAME_UNPROTECT, /* is being made writable */
	FRAME_PARK,	 /* goes into probation */
};

#define FRAME_MAX_PINS UINT16_MAX

struct frame {
	uint32_t slot;	      /* while preserved; parked: probation.c */
	uint16_t pins;	      /* devices at work; resident while > 0 */
	uint8_t content : 2;  /* enum frame_content */
	uint8_t parked : 1;   /* resident, but out of reach; probation.h */
	uint8_t busy : 3;     /* enum frame_busy */
	uint8_t poisoned : 1; /* zero, with a poison marker in place */
	/*
	 * What others write while the frame is busy, in a byte of its own: the
	 * owner reads what is before without the stripe.
	 */
	uint8_t : 0;
	uint8_t ahead : 1;  /* preserved, and the pager has a copy; ahead.h */
	uint8_t waited : 1; /* whoever publishes must UFFDIO_WAKE */
	uint8_t referenced : 1; /* second chance */
	uint8_t armed : 1;	/* idle, resident, unwritten; track.h */
};

/* Frames of one block share a stripe, so that a run needs one lock only. */
#define FRAME_BLOCK   64
#define FRAME_STRIPES 64

/*
 * An access whose message has been read, that sleeps until a frame is published.
 * More than fit here are not measured.
 */
#define FRAME_WAITS 8u

struct frame_wait {
	uint64_t idx, since_ns;
	enum mem_wait kind;
};

struct stripe {
	pthread_mutex_t lock;
	pthread_cond_t published;
	unsigned int sleepers;
	unsigned int nr_waits;
	struct frame_wait wait[FRAME_WAITS];
} __attribute__((aligned(64)));

/** frames_init() - all frames zero, idle, without markers. Return: 0 or -ENOMEM */
int frames_init(struct mem *mem);
void frames_fini(struct mem *mem);

void frame_lock(struct mem *mem, uint64_t idx);
void frame_unlock(struct mem *mem, uint64_t idx);

/**
 * __frame_wait_idle() - sleep while a frame is busy; caller holds its stripe
 *
 * The stripe is dropped while asleep: look at everything again.
 * Return: 0, 1 after a sleep, or -ECANCELED when the VM is stopping.
 */
int __frame_wait_idle(struct mem *mem, uint64_t idx);

/**
 * __frame_note_wait() - a message is answered by whoever publishes a frame
 * @mem:      memory
 * @idx:      busy frame; caller holds its stripe
 * @kind:     of the access
 * @since_ns: when it was read
 */
void __frame_note_wait(struct mem *mem, uint64_t idx, enum mem_wait kind,
		       uint64_t since_ns);

/**
 * __frame_publish() - a busy frame has reached its new state
 *
 * Caller holds the stripe.
 * Return: true if the caller has to uffd_wake() the page after unlocking.
 */
bool __frame_publish(struct mem *mem, uint64_t idx);

/**
 * frame_publish_resident() - a busy frame has its page again, and always had
 * @referenced: and it was wanted
 *
 * Context: no stripe held.
 */
void frame_publish_resident(struct mem *mem, uint64_t idx, bool referenced);

/** frames_stop() - end all waits of __frame_wait_idle() */
void frames_stop(struct mem *mem);

#endif /* HYP_MEM_FRAME_H */
