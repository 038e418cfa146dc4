/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bare-metal guest: what tests find here.  One address space, identity map
 * of the low 4 GiB, usable at CPL3 as well; interrupts stay off.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <essa/random.h>
#include <essa/step.h>

#include "guest-tests/lib/x86.h"

#define PAGE_SIZE     4096u
#define PAGE_WORDS    (PAGE_SIZE / 8)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* boot.c: set up before main */
struct guest {
	uint64_t ram_end; /* of the range that begins below 16 MiB */
	uint64_t scratch; /* from here to ram_end is the tests' */
};
extern struct guest guest;

/* Pages the tests may do anything to; @i counts from 0. */
static inline uint64_t *scratch_page(uint64_t i)
{
	return (uint64_t *)(uintptr_t)(guest.scratch + i * PAGE_SIZE);
}

static inline uint64_t gfn_of(const void *p)
{
	return (uintptr_t)p / PAGE_SIZE;
}

/**
 * guest_option() - a number "name=value" of the command line (hyp --cmdline)
 * Return: decimal value, or @otherwise if it is not there
 */
uint64_t guest_option(const char *name, uint64_t otherwise);

/** guest_exit() - end the VM; hyp exits with this code */
_Noreturn void guest_exit(uint8_t code);

/* print.c */
/** print() - %s %c %d %u %x %lu %lx %lld %llx %p with width and 0, to serial */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* trap.c */
struct trap {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx,
		rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* If set, called for an invalid instruction (#UD), to change registers. */
extern void (*trap_invalid)(struct trap *t);

/** trap_init() - GDT, IDT and TSS of this CPU */
void trap_init(unsigned int cpu);

/**
 * user_call() - run @fn(@a, @b, @c) at CPL3, on CPU 0
 * @fn: an access_*() function or something of that kind
 * Return: what it returned
 */
uint64_t user_call(const void *fn, uint64_t a, uint64_t b, uint64_t c,
		   void *stack);

/* essa.c */
struct essa {
	uint32_t version, features, port, vector;
	volatile uint8_t *table;
	uint64_t nr_frames;
	struct essa_vcpu_info *info;
	uint32_t info_stride, nr_info;
};
extern struct essa essa;

/** essa_need() - fill in @essa; skip_all() if there is no such interface */
void essa_need(bool test_hooks);
/** essa_cmd() - slow path. Return: EAX */
int32_t essa_cmd(uint64_t cmd, uint64_t gfn, uint64_t nr);
/** essa_enable() - use all usages offered. Return: 0 or a negative errno */
int32_t essa_enable(void);
uint8_t essa_state(uint64_t gfn);
/**
 * essa_op() - an operation in place, waiting where it has to
 * Return: the state before
 */
uint8_t essa_op(uint64_t gfn, unsigned int op);
/**
 * essa_op_word() - Set Stable or Set Unused for eight neighbours
 * @gfn: first of them, a multiple of 8
 *
 * One locked instruction, unless one of them has to wait.
 * Return: the eight states before
 */
uint64_t essa_op_word(uint64_t gfn, unsigned int op);
/** essa_op_slow() - operation 0 to 6 by an exit. Return: the state before */
uint8_t essa_op_slow(uint64_t gfn, unsigned int op);
/** essa_info() - information area of this CPU */
volatile struct essa_vcpu_info *essa_info(void);

/** struct discard - what a discard fault came with */
struct discard {
	unsigned int count; /* since the test cleared it */
	uint32_t latch, access;
	uint64_t gpa;
	uint8_t state; /* of the frame, when the handler began */
	struct trap regs;
};
extern struct discard discards[MAX_CPUS];

/*
 * Called with the discarded frame stable again and empty, on the fault's own
 * stack: puts the content back.  NULL: any discard fault fails the program.
 */
extern void (*discard_refill)(uint64_t gpa);

/*
 * If set, called instead for every discard fault, with the page's address and
 * the frame as it is, which another CPU may have changed already.  The access
 * is retried.
 */
extern void (*discard_found)(uint64_t gpa);

/** refill_nothing() - for discard_refill: the page stays empty */
void refill_nothing(uint64_t gpa);

/** essa_handle_fault() - vector 20: record, make Stable, refill, retry */
void essa_handle_fault(struct trap *t);

/* pages.c */
/** page_fill() - a content that belongs to this page and salt alone */
void page_fill(uint64_t *page, uint64_t salt);
/** page_word() - what page_fill() writes into word @i */
uint64_t page_word(const uint64_t *page, uint64_t salt, unsigned int i);
/** page_check() - Return: index of the first wrong word, or -1 */
int page_check(const uint64_t *page, uint64_t salt);
/** page_is_zero() - Return: whether all of it reads as zeros */
bool page_is_zero(const uint64_t *page);
/** page_is_code() - recognise page_fill_code()'s content */
bool page_is_code(const uint64_t *page);
/** page_fill_code() - a function that returns CODE_RESULT at every 16th byte */
void page_fill_code(uint64_t *page);
#define CODE_RESULT 0x5eadbeefu
/** page_volatile() - make the page Volatile. Return: did it become so? */
bool page_volatile(const void *page);
/** page_discard() - have the host discard it. Return: 0 or negative errno */
int32_t page_discard(const void *page);
/** page_lose() - make it Volatile and have it discarded, or the test fails */
void page_lose(const void *page);
/** page_stable_empty() - from any state to Stable, without content */
void page_stable_empty(const void *page);

/* smp.c */
/** smp_start() - run @fn on CPU @cpu. Return: false if it does not come up */
bool smp_start(unsigned int cpu, void (*fn)(void));

/* access.S */
uint64_t access_read(const void *p);
uint64_t access_write(void *p, uint64_t v);
uint64_t access_fetch(const void *p);
uint64_t access_push(void *p, uint64_t v);
uint64_t access_copy(void *dst, const void *src, uint64_t n);
extern const char access_read_at[], access_write_at[], access_push_at[],
	access_copy_at[];

/* test.c */
struct test {
	const char *name;
	void (*fn)(unsigned long arg);
	unsigned long arg;
};

/** test_fail() - the running test fails; what went wrong */
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** test_skip() - the running test cannot run here */
void test_skip(const char *why);
/** test_run() - run and report all (TAP 13), end the VM with 0 or 1 */
_Noreturn void test_run(const struct test *tests, unsigned int nr);
/** bail_out() - the program cannot go on: ends the VM with 1 */
_Noreturn void bail_out(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/** skip_all() - nothing here can run: ends the VM with 4 */
_Noreturn void skip_all(const char *why);

#define expect(cond, fmt, ...)                                                 \
	do {                                                                   \
		if (!(cond))                                                   \
			test_fail(__FILE__, __LINE__, "%s: " fmt, #cond,       \
				  ##__VA_ARGS__);                              \
	} while (0)
#define expect_eq(a, b)                                                        \
	do {                                                                   \
		uint64_t expect_a = (uint64_t)(a);                             \
		uint64_t expect_b = (uint64_t)(b);                             \
		if (expect_a != expect_b)                                      \
			test_fail(__FILE__, __LINE__,                          \
				  "%s is %lx, not %s (%lx)", #a, expect_a, #b, \
				  expect_b);                                   \
	} while (0)

/** guest_main() - the program */
_Noreturn void guest_main(void);

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);

#endif /* GUEST_H */
