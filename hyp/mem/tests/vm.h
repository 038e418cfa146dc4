/* SPDX-License-Identifier: GPL-2.0-only */
/* One guest memory with a region of RAM at gpa 0, and what a test does to it. */
#ifndef HYP_MEM_TESTS_VM_H
#define HYP_MEM_TESTS_VM_H

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "hyp/mem/priv.h"
#include "hyp/mem/tests/guest.h"

struct vm {
	struct mem *mem;
	uint8_t *table;
	uint8_t *ram;
	uint64_t nr_frames;
	_Atomic int fatal_calls;
	_Atomic int fatal_err;
	const char *_Atomic fatal_what;
	_Atomic int trouble_calls, over_calls;
	_Atomic int trouble_err; /* 0: none just now */
	const char *_Atomic trouble_what;
};

static inline void on_fatal(void *ctx, int err, const char *what)
{
	struct vm *vm = ctx;

	atomic_store(&vm->fatal_err, err);
	atomic_store(&vm->fatal_what, what);
	atomic_fetch_add(&vm->fatal_calls, 1);
}

static inline void on_trouble(void *ctx, int err, const char *what)
{
	struct vm *vm = ctx;

	if (err)
		atomic_store(&vm->trouble_what, what);
	atomic_fetch_add(err ? &vm->trouble_calls : &vm->over_calls, 1);
	atomic_store(&vm->trouble_err, err);
}

/* What a test does not say: 8 MiB, and a swap file that holds all of it. */
#define CFG(...) ((struct mem_config){ __VA_ARGS__ })
#define NO_SWAP	 .swap_bytes = 1

static inline void vm_start(struct vm *vm, struct mem_config cfg)
{
	const struct mem_region *r;
	const char *why = "?";
	size_t len;
	int err;

	/* Each time: cmocka installs handlers of its own around a test. */
	guest_init();
	memset(vm, 0, sizeof(*vm));
	if (!cfg.size_bytes)
		cfg.size_bytes = 8 * MIB;
	if (!cfg.swap_bytes) {
		cfg.swap_bytes = 32 * MIB;
		cfg.swap_dir = swap_dir();
	}
	cfg.fatal = on_fatal;
	cfg.ctx = vm;
	err = mem_create(&vm->mem, &cfg, &why);
	if (err)
		fail_msg("mem_create: %s (%s)", why, strerror(-err));
	assert_int_equal(mem_start(vm->mem), 0);
	vm->table = mem_table(vm->mem, &len, &vm->nr_frames);
	mem_regions(vm->mem, &r);
	vm->ram = r[0].hva;
	if (cfg.hinting)
		assert_int_equal(mem_hypercall(vm->mem, ESSA_CMD_ENABLE,
					       ESSA_VERSION,
					       mem_features(vm->mem), false),
				 0);
}

static inline void vm_end(struct vm *vm)
{
	mem_stop(vm->mem);
	mem_destroy(vm->mem);
}

static inline volatile uint64_t *word(struct vm *vm, uint64_t gfn)
{
	return (volatile uint64_t *)(vm->ram + gfn * MEM_PAGE_SIZE);
}

/* A fill wakes the guest before it is published: wait for that as well. */
static inline void settle(struct vm *vm, uint64_t gfn)
{
	frame_lock(vm->mem, gfn);
	assert_true(__frame_wait_idle(vm->mem, gfn) >= 0);
	frame_unlock(vm->mem, gfn);
}

static inline void put(struct vm *vm, uint64_t gfn, uint64_t val)
{
	assert_int_equal(guest_access(vm->mem, word(vm, gfn), &val, 1),
			 GUEST_OK);
	settle(vm, gfn);
}

static inline uint64_t get(struct vm *vm, uint64_t gfn)
{
	uint64_t val;

	assert_int_equal(guest_access(vm->mem, word(vm, gfn), &val, 0),
			 GUEST_OK);
	settle(vm, gfn);
	return val;
}

static inline enum guest_access try_get(struct vm *vm, uint64_t gfn)
{
	uint64_t val;

	return guest_access(vm->mem, word(vm, gfn), &val, 0);
}

static inline uint8_t state(struct vm *vm, uint64_t gfn)
{
	return __atomic_load_n(&vm->table[gfn], __ATOMIC_SEQ_CST);
}

static inline int32_t test_cmd(struct vm *vm, uint64_t cmd, uint64_t gfn)
{
	return mem_hypercall(vm->mem, cmd, gfn, 1, true);
}

static inline struct mem_stats stats(struct vm *vm)
{
	struct mem_stats s;

	mem_get_stats(vm->mem, &s);
	return s;
}

/* A fill gives its slots back when the guest runs on already. */
static inline uint32_t slots_used(struct vm *vm)
{
	struct swap *swap = vm->mem->swap;
	uint32_t used;

	pthread_mutex_lock(&swap->lock);
	used = swap->nr_used;
	pthread_mutex_unlock(&swap->lock);
	return used;
}

/* A descriptor in place of the swap file's, which is returned. */
static inline int replace(struct vm *vm, int fd)
{
	int file = dup(vm->mem->swap->fd);

	assert_true(file >= 0 && fd >= 0);
	assert_true(dup2(fd, vm->mem->swap->fd) >= 0);
	return file;
}

static inline int replace_by(struct vm *vm, const char *path, int flags)
{
	int fd = open(path, flags);
	int file = replace(vm, fd);

	close(fd);
	return file;
}

static inline void restore(struct vm *vm, int file)
{
	assert_true(dup2(file, vm->mem->swap->fd) >= 0);
	close(file);
}

/* Nothing is mapped where slots of low numbers lie in there. */
#define FAILS_TO_READ "/proc/self/mem"

static inline void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* For what another thread brings about; a deadline, not a delay. */
#define WAIT_UNTIL(cond)                                                       \
	do {                                                                   \
		uint64_t deadline_ = now_ns() + 10000000000u;                  \
		while (!(cond)) {                                              \
			if (now_ns() > deadline_)                              \
				fail_msg("never came true: %s", #cond);        \
			sleep_ms(1);                                           \
		}                                                              \
	} while (0)

#endif /* HYP_MEM_TESTS_VM_H */
