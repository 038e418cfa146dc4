#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 600
# Linux with the patches while hyp discards every volatile page it sees: the
# files of the disk are verified for STORM_SECS guest seconds.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$KERNEL" "$INITRD" "$DISK"
secs=${STORM_SECS:-60}
# So that what races may be interrupted at any instruction, not by the tick only.
export LAB_CPUS="${LAB_CPUS:-2}"

copy_disk "$work/disk.img"
lab --timeout $((secs * 3 + 120)) "$HYP" run --kernel "$KERNEL" --initrd "$INITRD" \
	--disk "$work/disk.img" --mem 256M --cpus 2 --limit 128M --swap "$work" --storm \
	--cmdline "quiet test=workload secs=$secs anon=16" \
	--summary "$work/summary" --timeout $((secs * 3 + 90)) \
	>"$work/out" 2>"$work/err"
code=$?

expect "the guest ends well" [ "$code" = 0 ] || {
	diag "exit code $code"
	diag_file "$work/err"
	diag_file "$work/out" 40
}
bytes=$(totals "$work/out" bytes_verified)
ms=$(totals "$work/out" ms)
diag "$bytes bytes verified in $ms ms"
expect "files were verified" [ "$bytes" -gt 0 ]
expect "for $secs guest seconds" [ "$ms" -ge $((secs * 1000)) ]
expect "without a wrong byte" [ "$(totals "$work/out" mismatches)" = 0 ]
expect "nothing was called a mismatch" sh -c '! grep -q ^MISMATCH "$1"' - "$work/out"
if [ -s "$work/summary" ]; then
	diag "$(grep -E 'discard|swapped|fault' "$work/summary")"
	expect "volatile pages were discarded" \
		[ "$(value "$work/summary" mem_discarded_volatile)" -gt 1000 ]
	expect "discard faults were delivered" \
		[ "$(value "$work/summary" discard_faults_injected)" -gt 0 ]
else
	not_ok "hyp wrote a summary"
fi
expect "the guest noticed discards" \
	sh -c 'tr -d "\r" <"$1" | grep -E "^pgstate_discard" | grep -qv " 0$"' - "$work/out"
expect "the kernel did not complain" \
	sh -c '! grep -qE "BUG|WARNING|Oops|Call Trace|EXT4-fs (error|warning)" "$1"' - "$work/out"
finish
