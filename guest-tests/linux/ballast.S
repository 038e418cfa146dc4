/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BALLAST_PAGES pages of text, no two alike and different for each SEED: a
 * ret, then words that are never executed.
 */
#define __ASSEMBLY__ 1
#include "guest-tests/linux/ballast.h"

	.text
	.balign 4096
	.globl ballast
ballast:
	.set	page, 0
	.rept	BALLAST_PAGES
	ret
	.balign 8
	.set	value, (page + 1) * 0x9e3779b97f4a7c15 + SEED
	.rept	511
	.quad	value
	.set	value, value * 5 + 0x1234567
	.endr
	.set	page, page + 1
	.endr

	.section .note.GNU-stack, "", @progbits
