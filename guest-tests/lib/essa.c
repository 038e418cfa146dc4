// SPDX-License-Identifier: GPL-2.0-only
/* The guest's side of the interface, and its discard fault. */
#include "guest-tests/lib/guest.h"

struct essa essa;
struct discard discards[MAX_CPUS];
void (*discard_refill)(uint64_t gpa);
void (*discard_found)(uint64_t gpa);

static bool discover(void)
{
	struct cpuid c = cpuid(ESSA_CPUID_BASE);

	if (c.ebx != ESSA_SIG_EBX || c.ecx != ESSA_SIG_ECX ||
	    c.edx != ESSA_SIG_EDX || c.eax < ESSA_CPUID_INFO)
		return false;
	c = cpuid(ESSA_CPUID_ID);
	essa.version = c.eax;
	essa.features = c.ebx;
	essa.port = c.ecx;
	essa.vector = c.edx;
	c = cpuid(ESSA_CPUID_INFO);
	essa.info = (void *)(uintptr_t)((uint64_t)c.ebx << 32 | c.eax);
	essa.info_stride = c.ecx;
	essa.nr_info = c.edx;
	c = cpuid(ESSA_CPUID_TABLE);
	essa.nr_frames = (uint64_t)c.edx << 32 | c.ecx;
	essa.table = (void *)(uintptr_t)((uint64_t)c.ebx << 32 | c.eax);
	return true;
}

void essa_need(bool test_hooks)
{
	if (!discover())
		skip_all("no page-hinting interface");
	if (test_hooks && !(essa.features & ESSA_FEAT_TEST))
		skip_all("no test hooks: hyp run --test-hooks");
}

int32_t essa_cmd(uint64_t cmd, uint64_t gfn, uint64_t nr)
{
	int32_t ret;

	asm volatile("inl %w1, %0"
		     : "=a"(ret)
		     : "d"(essa.port), "D"(cmd), "S"(gfn), "c"(nr)
		     : "memory");
	return ret;
}

int32_t essa_enable(void)
{
	return essa_cmd(ESSA_CMD_ENABLE, ESSA_VERSION,
			ESSA_FEAT_UNUSED | ESSA_FEAT_VOLATILE |
				(essa.features & ESSA_FEAT_POTENTIAL));
}

uint8_t essa_state(uint64_t gfn)
{
	return __atomic_load_n(&essa.table[gfn], __ATOMIC_SEQ_CST);
}

uint8_t essa_op(uint64_t gfn, unsigned int op)
{
	uint8_t old = essa_state(gfn);
	int next;

	for (;;) {
		next = essa_next(old, op);
		if (next == ESSA_WAIT) {
			/*
			 * Invariant 3, late release: the host would release
			 * what is written after this frame became Stable.
			 */
			if (essa_cmd(ESSA_CMD_WAIT, gfn, 1))
				bail_out("ESSA_CMD_WAIT failed");
			old = essa_state(gfn);
			continue;
		}
		if (__atomic_compare_exchange_n(
			    &essa.table[gfn], &old, (uint8_t)next, false,
			    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return old;
	}
}

/* One by one: a frame of them has to wait. */
static uint64_t essa_op_each(uint64_t gfn, unsigned int op)
{
	uint64_t old = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		old |= (uint64_t)essa_op(gfn + i, op) << 8 * i;
	return old;
}

uint64_t essa_op_word(uint64_t gfn, unsigned int op)
{
	__u64 *p = (__u64 *)(uintptr_t)&essa.table[gfn];
	__u64 old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
	__u64 next;

	do {
		/* Late release, as in essa_op(). */
		if (essa_next_word(old, op, &next))
			return essa_op_each(gfn, op);
	} while (!__atomic_compare_exchange_n(
		p, &old, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return old;
}

uint8_t essa_op_slow(uint64_t gfn, unsigned int op)
{
	int32_t ret = essa_cmd(ESSA_CMD_OP + op, gfn, 1);

	if (ret >> 8 != 1)
		bail_out("operation %u by exit says %d", op, ret);
	return (uint8_t)ret;
}

volatile struct essa_vcpu_info *essa_info(void)
{
	return (void *)((uintptr_t)essa.info +
			(uintptr_t)cpu_index() * essa.info_stride);
}

void refill_nothing(uint64_t gpa)
{
	(void)gpa;
}

void essa_handle_fault(struct trap *t)
{
	volatile struct essa_vcpu_info *info = essa_info();
	struct discard *d = &discards[cpu_index()];
	uint64_t gpa = info->gpa;
	uint64_t gfn = gpa / PAGE_SIZE;

	d->count++;
	d->regs = *t;
	d->gpa = gpa;
	d->access = info->access;
	/* The other fields may change as soon as the latch is open. */
	d->latch = __atomic_exchange_n(&info->latch, 0, __ATOMIC_SEQ_CST);
	if (d->latch != ESSA_LATCH_DISCARD)
		return;
	if (gfn >= essa.nr_frames)
		bail_out("discard fault at gpa %lx, behind the table", gpa);
	d->state = essa_state(gfn);
	if (discard_found) {
		discard_found(gpa & ~(uint64_t)(PAGE_SIZE - 1));
		return;
	}
	if (!discard_refill)
		bail_out("discard fault at gpa %lx, rip %lx, state %x", gpa,
			 t->rip, d->state);
	if (!essa_is_discarded(d->state))
		return;
	page_stable_empty((void *)(uintptr_t)(gfn * PAGE_SIZE));
	discard_refill(gpa & ~(uint64_t)(PAGE_SIZE - 1));
}
