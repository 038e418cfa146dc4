/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Swap file of one VM: an unlinked file of page-sized slots, and who has them.
 *
 * A frame gets the slot of its own number where that is free, as it always is
 * in a file as large as the guest's memory: neighbours are neighbours in the
 * file, whenever they were paged out.
 *
 * Transfers go past the host's page cache (O_DIRECT) where the file system lets
 * them, or page-out would not free memory: buffers are page aligned.
 */
#ifndef HYP_MEM_SWAP_H
#define HYP_MEM_SWAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct swap {
	int fd;
	bool direct; /* no page cache */
	uint32_t nr_slots;
	pthread_mutex_t lock; /* guards what follows */
	uint64_t *used;	      /* one bit a slot */
	uint32_t nr_used;
	uint32_t next; /* where the next search begins */
};

/**
 * swap_create() - make a swap file that no one else can see
 * @out:   caller owns, swap_destroy()
 * @dir:   directory; the file has no name in it, and goes with the process
 * @bytes: most bytes of it
 * @why:   on failure set to one static line that says what to do
 *
 * Return: 0 or a negative errno.
 */
int swap_create(struct swap **out, const char *dir, uint64_t bytes,
		const char **why);
void swap_destroy(struct swap *swap);

/**
 * swap_alloc() - take neighbouring slots
 * @swap: swap file
 * @at:   where they should begin, if they can; may be behind the end
 * @want: slots wanted, > 0
 * @slot: set to the first
 *
 * Return: how many there are, at most @want; 0 if the file is full.
 */
uint32_t swap_alloc(struct swap *swap, uint64_t at, uint32_t want,
		    uint32_t *slot);
void swap_free(struct swap *swap, uint32_t slot, uint32_t nr);
bool swap_is_full(struct swap *swap);

/**
 * swap_write(), swap_read() - all of @nr pages, while the caller sleeps
 *
 * Return: 0, -ENODATA if the file is shorter than what was written to it, or
 * another negative errno.
 */
int swap_write(struct swap *swap, uint32_t slot, const void *src, uint32_t nr);
int swap_read(struct swap *swap, uint32_t slot, void *dst, uint32_t nr);

#endif /* HYP_MEM_SWAP_H */
