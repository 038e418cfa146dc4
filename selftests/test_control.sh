#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 600
# What people type: hyp run, list, info, stat, limit, share, balloon, pause, resume, discard,
# stop; and what a memory manager hears.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$KERNEL" "$INITRD" "$DISK" "$GUESTS/hog.elf"

copy_disk "$work/disk.img"
export HYP GUESTS KERNEL INITRD DISK
lab --timeout 560 sh "$top/selftests/control-kvm.sh" "$work" >"$work/kvm.out" 2>"$work/kvm.err"
if ! retap control "$work/kvm.out"; then
	not_ok "the lab's part ended well"
	diag_file "$work/kvm.err"
fi
finish
