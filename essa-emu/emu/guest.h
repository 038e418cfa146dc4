/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of a guest kernel as changes page states: allocator, page cache,
 * reference counts, folio lock, and the rules that the kernel patches follow.
 * EMU_NO is what the kernel function says with false.
 */
#ifndef ESSA_EMU_GUEST_H
#define ESSA_EMU_GUEST_H

#include "essa-emu/emu/emu.h"

/** guest_op() - arch_page_state_op(); leaves the byte before in cpu.old */
enum emu_ret guest_op(struct emu *e, unsigned int f, unsigned int op);

/** guest_alloc() - take a frame from the allocator, if it has it */
enum emu_ret guest_alloc(struct emu *e, unsigned int f);
/** guest_put() - drop a reference; the last one frees the frame */
enum emu_ret guest_put(struct emu *e, unsigned int f);
/** guest_insert() - an allocated frame that was written becomes page cache */
enum emu_ret guest_insert(struct emu *e, unsigned int f);
/** guest_get() - look up page cache and take a reference */
enum emu_ret guest_get(struct emu *e, unsigned int f);

/** guest_make_stable() - folio_make_stable(). EMU_NO: discarded */
enum emu_ret guest_make_stable(struct emu *e, unsigned int f, bool shortcut);
/** guest_use_done() - the content is not needed any more; ghost only */
void guest_use_done(struct emu *e, unsigned int f);
/** guest_discard() - folio_discard(): drop what is found discarded */
enum emu_ret guest_discard(struct emu *e, unsigned int f);

/** guest_lock() - folio_lock(); guest_unlock() belongs to the step before */
enum emu_ret guest_lock(struct emu *e, unsigned int f);
bool guest_trylock(struct emu *e, unsigned int f);
void guest_unlock(struct emu *e, unsigned int f);

/** guest_make_volatile() - make_unmapped_volatile(); caller: reference, lock */
enum emu_ret guest_make_volatile(struct emu *e, unsigned int f,
				 unsigned int op);
/** guest_make_mapped_volatile() - the same for a frame that is mapped */
enum emu_ret guest_make_mapped_volatile(struct emu *e, unsigned int f);

/** guest_make_potential() - arm, check, commit; mapped writable or not */
enum emu_ret guest_make_potential(struct emu *e, unsigned int f);

/** guest_zap() - remove the mapping and its reference */
enum emu_ret guest_zap(struct emu *e, unsigned int f);

/** guest_run_restart() - one kernel ends, the next begins; see restart.c */
enum emu_ret guest_run_restart(struct emu *e);

#endif /* ESSA_EMU_GUEST_H */
