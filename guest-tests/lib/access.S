/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One access each.  name_at labels the instruction that makes it, so that a
 * test knows which RIP a fault has to save.  They run at CPL0 and CPL3.
 */
	.text
	.macro	FUNC name
	.globl	\name
\name:
	.endm

/* uint64_t access_read(p) */
FUNC access_read
FUNC access_read_at
	mov	(%rdi), %rax
	ret

/* uint64_t access_write(p, v) */
FUNC access_write
FUNC access_write_at
	mov	%rsi, (%rdi)
	ret

/* uint64_t access_fetch(p): the fault's RIP is p itself. */
FUNC access_fetch
	jmp	*%rdi

/* uint64_t access_push(p, v): v goes to the word below p. */
FUNC access_push
	mov	%rsp, %rax
	mov	%rdi, %rsp
FUNC access_push_at
	push	%rsi
	mov	%rax, %rsp
	ret

/* uint64_t access_copy(dst, src, n): what rcx is at the end */
FUNC access_copy
	mov	%rdx, %rcx
FUNC access_copy_at
	rep movsb
	mov	%rcx, %rax
	ret

	.section .note.GNU-stack, "", @progbits
