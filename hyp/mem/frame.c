// SPDX-License-Identifier: GPL-2.0-only
/* Private frame table: locks and waiting.  The rules are in frame.h. */
#include <errno.h>
#include <stdlib.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/sparse.h"
#include "hyp/mem/uffd.h"

_Static_assert(sizeof(struct frame) == 8, "eight bytes a frame, no more");
_Static_assert(FRAME_ZERO == 0 && FRAME_IDLE == 0, "nothing to write at first");

static struct stripe *stripe_of(struct mem *mem, uint64_t idx)
{
	return &mem->stripes[idx / FRAME_BLOCK % FRAME_STRIPES];
}

static size_t frames_bytes(const struct mem *mem)
{
	return mem->nr_frames * sizeof(*mem->frames);
}

int frames_init(struct mem *mem)
{
	unsigned int i;

	mem->frames = sparse_alloc(frames_bytes(mem));
	if (!mem->frames)
		return -ENOMEM;
	mem->stripes = aligned_alloc(_Alignof(struct stripe),
				     FRAME_STRIPES * sizeof(*mem->stripes));
	if (!mem->stripes) {
		sparse_free(mem->frames, frames_bytes(mem));
		mem->frames = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < FRAME_STRIPES; i++) {
		pthread_mutex_init(&mem->stripes[i].lock, NULL);
		pthread_cond_init(&mem->stripes[i].published, NULL);
		mem->stripes[i].sleepers = 0;
		mem->stripes[i].nr_waits = 0;
	}
	atomic_store(&mem->count.content[FRAME_ZERO], mem->nr_frames);
	return 0;
}

void frames_fini(struct mem *mem)
{
	unsigned int i;

	for (i = 0; mem->stripes && i < FRAME_STRIPES; i++) {
		pthread_cond_destroy(&mem->stripes[i].published);
		pthread_mutex_destroy(&mem->stripes[i].lock);
	}
	free(mem->stripes);
	sparse_free(mem->frames, frames_bytes(mem));
	mem->stripes = NULL;
	mem->frames = NULL;
}

void frame_lock(struct mem *mem, uint64_t idx)
{
	pthread_mutex_lock(&stripe_of(mem, idx)->lock);
}

void frame_unlock(struct mem *mem, uint64_t idx)
{
	pthread_mutex_unlock(&stripe_of(mem, idx)->lock);
}

int __frame_wait_idle(struct mem *mem, uint64_t idx)
{
	struct stripe *s = stripe_of(mem, idx);
	int slept = 0;

	while (mem->frames[idx].busy != FRAME_IDLE) {
		if (mem_is_stopping(mem))
			return -ECANCELED;
		s->sleepers++;
		pthread_cond_wait(&s->published, &s->lock);
		s->sleepers--;
		slept = 1;
	}
	return slept;
}

void __frame_note_wait(struct mem *mem, uint64_t idx, enum mem_wait kind,
		       uint64_t since_ns)
{
	struct stripe *s = stripe_of(mem, idx);

	mem->frames[idx].waited = 1;
	if (s->nr_waits < FRAME_WAITS)
		s->wait[s->nr_waits++] =
			(struct frame_wait){ idx, since_ns, kind };
}

/* They are woken in a moment, or have been by what filled the page. */
static void __end_waits(struct mem *mem, struct stripe *s, uint64_t idx)
{
	unsigned int i = 0;

	while (i < s->nr_waits) {
		if (s->wait[i].idx == idx) {
			latency_note(mem, s->wait[i].kind, s->wait[i].since_ns);
			s->wait[i] = s->wait[--s->nr_waits];
		} else {
			i++;
		}
	}
}

bool __frame_publish(struct mem *mem, uint64_t idx)
{
	struct stripe *s = stripe_of(mem, idx);
	struct frame *f = &mem->frames[idx];
	bool wake = f->waited;

	if (wake)
		__end_waits(mem, s, idx);
	f->busy = FRAME_IDLE;
	f->waited = 0;
	if (s->sleepers)
		pthread_cond_broadcast(&s->published);
	return wake;
}

void frame_publish_resident(struct mem *mem, uint64_t idx, bool referenced)
{
	bool wake;

	frame_lock(mem, idx);
	if (referenced)
		mem->frames[idx].referenced = 1;
	wake = __frame_publish(mem, idx);
	frame_unlock(mem, idx);
	if (wake)
		uffd_wake(mem->uffd, mem_hva(mem, idx), MEM_PAGE_SIZE);
}

void frames_stop(struct mem *mem)
{
	unsigned int i;

	/* Pairs with the test under the lock in __frame_wait_idle(). */
	for (i = 0; i < FRAME_STRIPES; i++) {
		pthread_mutex_lock(&mem->stripes[i].lock);
		pthread_cond_broadcast(&mem->stripes[i].published);
		pthread_mutex_unlock(&mem->stripes[i].lock);
	}
}
