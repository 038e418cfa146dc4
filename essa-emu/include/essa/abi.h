/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Page-hinting interface between a guest and its host: numbers and layouts.
 *
 * The operations and states are those of the z/Architecture instruction
 * EXTRACT AND SET STORAGE ATTRIBUTES (Principles of Operation, SA22-7832) and
 * of the CMM2 papers; transport and discovery are ours, for x86.  A guest
 * kernel carries a verbatim copy of this file.
 *
 * One byte per guest frame, indexed by gfn, in a table that the host provides.
 * Guest and host change it with locked read-modify-write instructions only:
 * each side owns some of the bits and must preserve the other's.
 */
#ifndef _ESSA_ABI_H
#define _ESSA_ABI_H

/* Usage state, bits 1:0, owned by the guest. */
#define ESSA_USAGE_MASK		0x03
#define ESSA_STABLE		0x00	/* content must be kept */
#define ESSA_UNUSED		0x01	/* no content */
#define ESSA_VOLATILE		0x02	/* content may be discarded at any time */
#define ESSA_POTENTIAL		0x03	/* as volatile, while not written */

/*
 * Bit 2, owned by the guest: a check that may end in Volatile is under way.
 * The host treats a pending frame as stable.
 */
#define ESSA_PENDING		0x04

/* Content state, bits 4:3, owned by the host. */
#define ESSA_CONTENT_SHIFT	3
#define ESSA_CONTENT_MASK	0x18
#define ESSA_RESIDENT		0x00	/* backed by host memory */
#define ESSA_PRESERVED		0x08	/* paged out, content kept */
#define ESSA_ZERO		0x10	/* no backing; reads as zeros */

/*
 * Bit 5, owned by the host: the old backing of the frame is being released.
 * Set in the same step that commits a discard, clear when the release is over.
 * A frame with this bit set must not become Stable: ESSA_CMD_WAIT first.
 */
#define ESSA_BUSY		0x20

/*
 * Operations.  0 to 6 are the operation request codes of ESSA; the others are
 * ours (s390 uses 7 for something else) and done in the table only.
 */
#define ESSA_OP_GET			0
#define ESSA_OP_SET_STABLE		1
#define ESSA_OP_SET_UNUSED		2
#define ESSA_OP_SET_VOLATILE		3
#define ESSA_OP_SET_POTENTIAL		4
#define ESSA_OP_SET_STABLE_RESIDENT	5
#define ESSA_OP_SET_STABLE_IF_KEPT	6	/* unless discarded */
#define ESSA_OP_SET_PENDING		7	/* Stable only */
#define ESSA_OP_COMMIT_VOLATILE		8	/* Stable and pending only */
#define ESSA_OP_COMMIT_POTENTIAL	9	/* Stable and pending only */
#define ESSA_NR_OPS			10

/*
 * Discovery: CPUID leaves.  BASE: EAX = last leaf, EBX ECX EDX = signature.
 * ID: EAX = version, EBX = features, ECX = slow-path port, EDX = vector of the
 * discard fault.  TABLE: EBX:EAX = gpa of the state table, EDX:ECX = number of
 * its entries.  INFO: EBX:EAX = gpa of the information areas, ECX = bytes from
 * one to the next, EDX = their number; a vCPU's index is its initial APIC ID.
 */
#define ESSA_CPUID_BASE		0x40000100
#define ESSA_CPUID_ID		0x40000101
#define ESSA_CPUID_TABLE	0x40000102
#define ESSA_CPUID_INFO		0x40000103
#define ESSA_SIG_EBX		0x61737345	/* "Essa" */
#define ESSA_SIG_ECX		0x65676150	/* "Page" */
#define ESSA_SIG_EDX		0x746e6948	/* "Hint" */
#define ESSA_VERSION		1

#define ESSA_FEAT_UNUSED	0x00000001u	/* Unused and Stable */
#define ESSA_FEAT_VOLATILE	0x00000002u	/* Volatile and discard faults */
#define ESSA_FEAT_POTENTIAL	0x00000004u	/* Potentially Volatile, ARM */
#define ESSA_FEAT_PRESSURE	0x00000008u	/* pressure in the areas */
#define ESSA_FEAT_TEST		0x80000000u	/* ESSA_CMD_TEST_*: tests only */

/*
 * Slow path, always an exit:
 *
 *	in  eax, dx	DX = port, RDI = command, RSI = first gfn,
 *			RCX = number of gfns
 *
 * EAX returns a negative errno or, for the operations, the number of frames
 * processed in bits 30:8 and the old state byte of the last one in bits 7:0.
 * Processing stops behind a frame whose operation was refused.  The commands
 * return 0.  At most ESSA_CMD_MAX_FRAMES frames a call.
 */
#define ESSA_PORT		0x0e5a
#define ESSA_CMD_OP		0x00	/* + operation 0 to 6 */
#define ESSA_CMD_ENABLE		0x10	/* RSI = version, RCX = features used */
#define ESSA_CMD_DISABLE	0x11	/* all frames Stable, no more discards */
/*
 * Each frame of the range has been seen with no release in flight since the
 * call, one after the other.  Any of them may be busy again by then.
 */
#define ESSA_CMD_WAIT		0x12
#define ESSA_CMD_ARM		0x13	/* record writes to the range from now */
#define ESSA_CMD_TEST_DISCARD	0x80	/* act as if reclaim chose this frame */
#define ESSA_CMD_TEST_PAGE_OUT	0x81
#define ESSA_CMD_MAX_FRAMES	0x00040000u

/* Vector of the discard fault: #VE, as for the hardware's EPT violations. */
#define ESSA_VECTOR		20

#define ESSA_LATCH_DISCARD	1

#define ESSA_PRESSURE_NONE	0	/* the host would discard nothing */
#define ESSA_PRESSURE_SOME	1	/* it may, at any time */

#ifndef __ASSEMBLY__
#include <linux/types.h>

/**
 * struct essa_vcpu_info - what a discard fault tells its vCPU
 * @latch:  ESSA_LATCH_DISCARD while the other fields are valid.  The guest
 *	    reads them, then exchanges the latch with 0; if that returns 0, a
 *	    nested fault took the information and the access must be retried.
 *	    The host overwrites an area whose latch is still set.
 * @access: 0: not known; else 1 read, 2 write, 3 fetch
 * @gpa:    guest physical address, at least page-exact
 * @pressure: ESSA_PRESSURE_*, with ESSA_FEAT_PRESSURE; a hint, the same in all
 *	    areas, and valid at all times
 */
struct essa_vcpu_info {
	__u32 latch;
	__u32 access;
	__u64 gpa;
	__u32 pressure;
	__u32 reserved0;
	__u64 reserved[5];
};
#endif /* __ASSEMBLY__ */

#endif /* _ESSA_ABI_H */
