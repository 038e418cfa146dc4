#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# The patched kernel where the interface is not: plain QEMU, without KVM.
. "$(dirname "$0")/vm.sh"
need "$KERNEL" "$INITRD" "$DISK"
command -v "$QEMU" >/dev/null || need "$QEMU"

copy_disk "$work/disk.img"
plain_qemu "${NOIFACE_TIMEOUT:-240}" "$KERNEL" "quiet test=workload passes=1"
code=$?

expect "the guest ends well" [ "$code" = 1 ] || {
	diag "exit code of QEMU: $code"
	diag_file "$work/err"
	diag_file "$work/out" 40
}
expect "and says so" grep -q '^RESULT: 0' "$work/out"
bytes=$(totals "$work/out" bytes_verified)
diag "$bytes bytes verified in $(totals "$work/out" ms) ms"
expect "files were verified" [ "$bytes" -gt 0 ]
expect "without a wrong byte" [ "$(totals "$work/out" mismatches)" = 0 ]
# Counters exist in a patched kernel and stay 0.
expect "the kernel has the counters" \
	[ "$(tr -d '\r' <"$work/out" | grep -c '^pgstate_')" -ge 5 ]
for name in pgstate_unused pgstate_volatile pgstate_discard; do
	expect "$name is one of them" grep -q "^$name " "$work/out"
done
expect "no page was ever anything but stable" \
	sh -c '! tr -d "\r" <"$1" | grep "^pgstate_" | grep -qv " 0$"' - "$work/out"
expect "the kernel did not complain" \
	sh -c '! grep -qE "BUG|WARNING|Oops|Call Trace" "$1"' - "$work/out"
finish
