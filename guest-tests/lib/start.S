/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry in Linux's 64-bit boot state, trap stubs, the way to CPL3 and back,
 * and the start of the other CPUs.
 */
#define __ASSEMBLY__ 1
#include "guest-tests/lib/x86.h"

	.section .text.start, "ax"
	.code64
	.globl _start
_start:
	cli
	cld
	lea	boot_stack + STACK_SIZE(%rip), %rsp
	mov	%rsi, %rdi
	xor	%ebp, %ebp
	call	guest_boot
1:	hlt
	jmp	1b

	.text
/* void load_segments(void): after lgdt. */
	.globl load_segments
load_segments:
	pop	%rax
	push	$KERNEL_CS
	push	%rax
	mov	$KERNEL_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	lretq

/* One stub per vector; each pushes what makes the frames alike. */
	.globl trap_stubs
	.balign 16
trap_stubs:
	.set	vector, 0
	.rept	NR_VECTORS
	.balign 16
	/* Those with an error code: 8, 10 to 14, 17, 21, 29, 30. */
	.if	(vector > 31) || !((0x60227d00 >> vector) & 1)
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

trap_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	call	trap_handle
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

/*
 * uint64_t user_call(fn, a, b, c, stack): fn(a, b, c) at CPL3, on CPU 0 only.
 * Nothing but VECTOR_USER and traps on their own stacks enter meanwhile.
 */
	.globl user_call
user_call:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, user_kernel_rsp(%rip)
	mov	%rdi, %r9
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	push	$USER_DS
	push	%r8
	push	$0x2
	push	$USER_CS
	lea	1f(%rip), %rax
	push	%rax
	iretq
1:	call	*%r9
	int	$VECTOR_USER

	.globl user_return
user_return:
	mov	%rdi, %rax
	mov	user_kernel_rsp(%rip), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* Copied to AP_START; position is real-mode segment AP_START >> 4. */
#define AP(x) (AP_START + (x) - ap_code)
	.globl ap_code, ap_code_end
	.code16
ap_code:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	ap_gdtr - ap_code
	mov	$0x11, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $AP(1f)
	.code32
1:	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$0x20, %eax
	mov	%eax, %cr4
	mov	$page_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000011, %eax
	mov	%eax, %cr0
	ljmpl	$0x18, $AP(2f)
	.code64
2:	mov	ap_stack, %rsp
	xor	%ebp, %ebp
	mov	$ap_boot, %rax
	call	*%rax
3:	hlt
	jmp	3b
	.balign 8
ap_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00af9b000000ffff
ap_gdtr:
	.word	. - ap_gdt - 1
	.long	AP(ap_gdt)
ap_code_end:

	.bss
	.balign 16
boot_stack:
	.skip	STACK_SIZE
user_kernel_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
