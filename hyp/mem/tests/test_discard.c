// SPDX-License-Identifier: GPL-2.0-only
/* A batch of discards, while guests touch its frames. */
#include <sys/mman.h>

#include "hyp/mem/discard.h"
#include "hyp/mem/tests/vm.h"

/* Several of one block, out of order, and one of the next. */
static const uint64_t frames[] = { 40, 3, 70, 4 };

#define NR_FRAMES (sizeof(frames) / sizeof(frames[0]))

struct toucher {
	struct vm *vm;
	uint64_t gfn, val;
	enum guest_access result;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;

	t->result = guest_access(t->vm->mem, word(t->vm, t->gfn), &t->val, 0);
	return NULL;
}

static bool is_waited(struct vm *vm, uint64_t idx)
{
	bool waited;

	frame_lock(vm->mem, idx);
	waited = vm->mem->frames[idx].waited;
	frame_unlock(vm->mem, idx);
	return waited;
}

/*
 * Unused frames get no marker whose placement would wake them: that is left to
 * the publication.  The guest sleeps on each before the batch is flushed.
 */
static void all_sleepers_on_a_batch_are_woken(void **s)
{
	struct discard_batch b = { .nr = 0 };
	struct toucher t[NR_FRAMES];
	pthread_t thread[NR_FRAMES];
	struct timespec until;
	struct vm vm;
	unsigned int i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	for (i = 0; i < NR_FRAMES; i++) {
		put(&vm, frames[i], 7);
		guest_op(vm.mem, vm.table, frames[i], ESSA_OP_SET_UNUSED);
		frame_lock(vm.mem, frames[i]);
		assert_int_equal(__discard_commit(vm.mem, &b, frames[i]), 0);
		frame_unlock(vm.mem, frames[i]);
		/* As the release will; it finds nothing left. */
		assert_int_equal(madvise(mem_hva(vm.mem, frames[i]),
					 MEM_PAGE_SIZE, MADV_DONTNEED),
				 0);
		t[i] = (struct toucher){ &vm, frames[i], 1, GUEST_GAVE_UP };
		assert_int_equal(pthread_create(&thread[i], NULL, touch, &t[i]),
				 0);
	}
	for (i = 0; i < NR_FRAMES; i++)
		WAIT_UNTIL(is_waited(&vm, frames[i]));
	discard_flush(vm.mem, &b);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	for (i = 0; i < NR_FRAMES; i++) {
		if (pthread_timedjoin_np(thread[i], NULL, &until))
			fail_msg("frame %llu: its guest sleeps on",
				 (unsigned long long)frames[i]);
		assert_int_equal(t[i].result, GUEST_OK);
		assert_int_equal(t[i].val, 0);
	}
	assert_int_equal(stats(&vm).discarded_unused, NR_FRAMES);
	vm_end(&vm);
}

static unsigned int slots_in_use(const struct swap *swap)
{
	unsigned int i, nr = 0;

	for (i = 0; i < swap->nr_slots / 64; i++)
		nr += (unsigned int)__builtin_popcountll(swap->used[i]);
	return nr;
}

/* Slots of a batch are those of its own preserved frames, all of them. */
static void discarded_preserved_frames_give_their_slots_back(void **s)
{
	struct discard_batch b = { .nr = 0 };
	struct vm vm;
	uint64_t i;

	(void)s;
	vm_start(&vm, CFG(.hinting = true));
	for (i = 0; i < 200; i++) {
		put(&vm, i, i + 1);
		/* Every third stays resident. */
		if (i % 3)
			assert_int_equal(
				test_cmd(&vm, ESSA_CMD_TEST_PAGE_OUT, i), 0);
	}
	assert_int_equal(stats(&vm).preserved, 133);
	/* Of 128 and more, two blocks, some stay. */
	for (i = 0; i < 150; i++)
		guest_op(vm.mem, vm.table, i,
			 i % 2 ? ESSA_OP_SET_VOLATILE : ESSA_OP_SET_UNUSED);
	for (i = 0; i < 192; i += FRAME_BLOCK)
		discard_commit_block(vm.mem, &b, i, ~0ull);
	discard_flush(vm.mem, &b);
	assert_int_equal(stats(&vm).discarded_volatile, 75);
	assert_int_equal(stats(&vm).discarded_unused, 75);
	assert_int_equal(stats(&vm).preserved, 33);
	assert_int_equal(vm.mem->swap->nr_used, 33);
	assert_int_equal(slots_in_use(vm.mem->swap), 33);
	for (i = 0; i < 150; i++) {
		assert_int_equal(try_get(&vm, i),
				 i % 2 ? GUEST_DISCARDED : GUEST_OK);
		settle(&vm, i);
	}
	/* What the others had is still theirs. */
	for (i = 150; i < 200; i++)
		assert_int_equal(get(&vm, i), i + 1);
	vm_end(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sleepers_on_a_batch_are_woken),
		cmocka_unit_test(
			discarded_preserved_frames_give_their_slots_back),
	};

	alarm(300);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
