#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 2400
# A guest whose volatile pages are all discarded reads its memory through /proc/kcore
# and /dev/mem, is refused hibernation, loses and gets a CPU, starts another kernel by
# kexec, panics in that one, and reads the memory of the dead kernel in a third.
# In another such guest memory goes and comes back.
. "$(dirname "$0")/vm.sh"
KERNEL=${WIDE_KERNEL:-$O/kernel/bzImage-wide}
INITRD=${TEARDOWN_INITRD:-$O/teardown.cpio.gz}
secs=${KEXEC_SECS:-900}
need "$HYP" "$KERNEL" "$INITRD"
export LAB_CPUS="${LAB_CPUS:-1}"

teardown_disk "$KERNEL" "$INITRD"

# guest MEMORY WORDS: one whose volatile pages are all discarded
guest() {
	lab --timeout $((secs + 120)) "$HYP" run --kernel "$KERNEL" --initrd "$INITRD" \
		--disk "$work/disk.img" --mem "$1" --cpus 2 --storm \
		--cmdline "loglevel=5 earlyprintk=serial,ttyS0 test=teardown $2" \
		--summary "$work/summary" --timeout "$secs" >"$work/out" 2>"$work/err"
	code=$?
	cat "$work/out" >>"$O/kexec.console"
	expect "the guest ends well" [ "$code" = 0 ] || {
		diag "exit code $code"
		diag_file "$work/err"
		diag_file "$work/out" 40
	}
	cases
	expect "all steps were done" grep -q '^INIT: all steps done' "$work/console"
	expect "volatile pages were discarded" \
		[ "$(value "$work/summary" mem_discarded_volatile)" -gt 1000 ]
	diag "$(grep -E '^(WALK|HOTPLUG):' "$work/console")"
}

: >"$O/kexec.console"
guest 320M "crashkernel=128M step=first"
for step in first second crash; do
	expect "step $step was reached" grep -q "^INIT: step $step, " "$work/console"
done
guest 512M "memmap=128M%256M scan=50 step=hotplug"
finish
