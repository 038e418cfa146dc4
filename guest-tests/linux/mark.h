/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a guest program tells the counter (tools/count) where a measured region begins and ends:
 * a no-operation with a number in it, which is an instruction everywhere.
 */
#ifndef GUEST_TESTS_LINUX_MARK_H
#define GUEST_TESTS_LINUX_MARK_H

/* nopl MARK(%rax): three bytes and the number; bit 0: end */
#define COUNT_NOPL     0x801f0fu
#define COUNT_MARK     0x0e55a000u
#define COUNT_MARK_END 1u

#define count_mark(mark) asm volatile("nopl %c0(%%rax)" ::"i"(mark) : "memory")
#define count_begin()	 count_mark(COUNT_MARK)
#define count_end()	 count_mark(COUNT_MARK | COUNT_MARK_END)

#endif /* GUEST_TESTS_LINUX_MARK_H */
