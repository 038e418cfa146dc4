#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 7200
# The kernel that plays its own hypervisor (page_states=sim) under plain QEMU:
# its KUnit tests, and the workload while pages are discarded under it.
. "$(dirname "$0")/vm.sh"
KERNEL=${SIM_KERNEL:-$O/kernel/bzImage-sim}
TEARDOWN_INITRD=${TEARDOWN_INITRD:-$O/teardown.cpio.gz}
need "$KERNEL" "$INITRD" "$DISK" "$TEARDOWN_INITRD"
command -v "$QEMU" >/dev/null || need "$QEMU"
limit=${SIM_TIMEOUT:-500}

# counter NAME: of the guest, at the end of the workload
counter() {
	tr -d '\r' <"$work/out" | awk -v key="$1" '$1 == key { v = $2 } END { print v + 0 }'
}

# boot NAME WORDS: what every run of the workload has to show
boot() {
	copy_disk "$work/disk.img"
	plain_qemu "$limit" "$KERNEL" \
		"printk.time=0 page_states=sim sim=20,25 test=workload passes=1 $2"
	code=$?
	expect "$1: the guest ends well" [ "$code" = 1 ] || {
		diag "exit code of QEMU: $code"
		diag_file "$work/err"
		diag_file "$work/out" 60
	}
	expect "$1: files were verified" [ "$(totals "$work/out" bytes_verified)" -gt 0 ]
	expect "$1: without a wrong byte" [ "$(totals "$work/out" mismatches)" = 0 ]
	expect "$1: folios were discarded" [ "$(counter pgstate_discard)" -gt 0 ]
	expect "$1: free pages were" [ "$(counter pgstate_zero)" -gt 0 ]
	expect "$1: users of the content met discarded folios" \
		[ "$(counter pgstate_stable_fail)" -gt 0 ]
	expect "$1: the kernel did not complain" sh -c '! grep -qE "$1" "$2"' - \
		'BUG|WARNING|Oops|Call Trace|EXT4-fs.*error' "$work/out" || {
		grep -nE -A40 'BUG|WARNING|Oops' "$work/out" | head -n 80 >"$work/complaint"
		diag_file "$work/complaint" 80
	}
	diag "$1: $(totals "$work/out" bytes_verified) bytes verified," \
		"discarded $(counter pgstate_discard)," \
		"met $(counter pgstate_stable_fail), volatile $(counter pgstate_volatile)," \
		"zeros $(counter pgstate_zero), waited $(counter pgstate_wait)"
}

# kunit: leaves the results of the guest that ran last.  KUnit runs at boot, before init.
kunit() {
	tr -d '\r' <"$work/out" >"$work/console"
	sed -n '/# Subtest: page_states/,/^[a-z ]*ok [0-9]* page_states/p' "$work/console" |
		sed -n 's/^ *\(1\.\..*\)/\1/p; s/^    \(ok\|not ok\) \([0-9]*\) /\1 \2 - /p
			s/^    *\(# .*\)/\1/p' >"$work/kunit"
}

boot "simulation" ""
kunit
expect "KUnit: no case fails" sh -c '! grep -q "^not ok" "$1" && grep -q ^ok "$1"' - "$work/kunit" ||
	diag_file "$work/kunit" 60
expect "KUnit: skipped is only what needs more words" sh -c '! grep "# SKIP" "$1" |
	grep -vE "needs (page_states_test.fatal=1|debug_pagealloc=on)$"' - "$work/kunit"

# All cases, those too whose threads end in an oops.
: >"$work/disk.img"
plain_qemu "$limit" "$KERNEL" \
	"printk.time=0 page_states=sim debug_pagealloc=on page_states_test.fatal=1 test=none"
code=$?
kunit
expect "KUnit: all cases ran" retap "KUnit" "$work/kunit"
expect "KUnit: none was skipped" sh -c '! grep -q SKIP "$1" && grep -q ^ok "$1"' - "$work/kunit"
frame=$(sed -n 's/.*# access_to_what_is_not_mapped_is_fatal: discarded: //p' "$work/console")
for words in "Oops: Access to discarded page" "page frame ${frame:-none} is discarded" \
	"WARNING: .* __folio_assert_stable" "copy of discarded page frame"; do
	expect "the kernel complains: $words" grep -q "$words" "$work/console"
done
expect "it goes on" [ "$code" = 1 ] || diag_file "$work/console" 60

# What is not in the table, and what goes and comes back.
teardown_disk "$KERNEL" "$TEARDOWN_INITRD"
initrd=$INITRD INITRD=$TEARDOWN_INITRD
plain_qemu "$limit" "$KERNEL" \
	"loglevel=5 page_states=sim memmap=128M%256M sim=20,25 test=teardown step=hotplug" 512M
INITRD=$initrd
cases
expect "hotplug: all steps were done" grep -q '^INIT: all steps done' "$work/console"
diag "$(grep -E '^(WALK|HOTPLUG):' "$work/console")"

boot "lost when used, wide windows" "fail=5 delay=50"
# Slow, with small pages in the direct map that come and go.
boot "discarded pages not mapped" "debug_pagealloc=on fail=1"
finish
