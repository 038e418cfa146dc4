#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 600
# hypd and two guests that want more memory than there is.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$HYPD" "$KERNEL" "$INITRD" "$DISK"

copy_disk "$work/a.img"
copy_disk "$work/b.img"
export HYP HYPD KERNEL INITRD
lab --timeout 560 sh "$top/selftests/hypd-kvm.sh" "$work" >"$work/kvm.out" 2>"$work/kvm.err"
if ! retap hypd "$work/kvm.out"; then
	not_ok "the lab's part ended well"
	diag_file "$work/kvm.err"
fi
finish
