#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# The patched kernel where the interface is not: plain QEMU, without KVM.
. "$(dirname "$0")/vm.sh"
need "$KERNEL" "$INITRD" "$DISK"
QEMU=${QEMU:-qemu-system-x86_64}
command -v "$QEMU" >/dev/null || need "$QEMU"

copy_disk "$work/disk.img"
timeout -k 5 "${NOIFACE_TIMEOUT:-240}" "$QEMU" \
	-M microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=on \
	-accel tcg,thread=multi -cpu max -smp 2 -m 256 -nodefaults -no-user-config \
	-nographic -no-reboot -serial stdio -nic none \
	-device isa-debug-exit,iobase=0xf4,iosize=1 \
	-kernel "$KERNEL" -initrd "$INITRD" \
	-append "console=ttyS0 quiet panic=-1 test=workload passes=1" \
	-drive "if=none,id=disk,format=raw,file=$work/disk.img" \
	-device virtio-blk-device,drive=disk \
	</dev/null >"$work/out" 2>"$work/err"
code=$?

# isa-debug-exit makes 2 * 0 + 1 of the guest's 0.
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
expect "no page was ever volatile" \
	sh -c '! tr -d "\r" <"$1" | grep -E "^(pgstate_|nr_volatile)" | grep -qv " 0$"' - "$work/out"
expect "the kernel did not complain" \
	sh -c '! grep -qE "BUG|WARNING|Oops|Call Trace" "$1"' - "$work/out"
finish
