#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 7200
# The kernel's own tests of page hinting (mm/page_states of its selftests) in a
# guest, while hyp discards every volatile page it sees.  From the environment:
# KSELFTESTS=all or NAME,NAME...; FS=ext4|xfs; KERNEL; KSELFTEST_MEM, _CMDLINE,
# _MKFS (options of mkfs), _HYP (options of hyp run), _SECS, _SKIPS (patterns of more cases
# that may be skipped than those in selftests/skips); KSELFTEST_VMM=qemu: not hyp, but plain
# QEMU and a kernel that plays its own hypervisor.
. "$(dirname "$0")/vm.sh"
tests=${KSELFTESTS:-read,lock} fs=${FS:-ext4} mem=${KSELFTEST_MEM:-512M}
secs=${KSELFTEST_SECS:-3000}
INITRD=${KSELFTEST_INITRD:-$O/kselftest.cpio.gz}
vmm=${KSELFTEST_VMM:-hyp}
need "$KERNEL" "$INITRD"
case $vmm in
hyp) need "$HYP" ;;
qemu) command -v "$QEMU" >/dev/null || need "$QEMU" ;;
*)
	echo "test_kselftest.sh: KSELFTEST_VMM is hyp or qemu, not \"$vmm\"" >&2
	exit 1
	;;
esac
export LAB_CPUS="${LAB_CPUS:-2}"
[ "$tests" != all ] || tests=

PATH=$PATH:/sbin:/usr/sbin
mkfs=mkfs.$fs
if ! command -v "$mkfs" >/dev/null; then
	skip "the kernel's tests on $fs" "$mkfs is missing"
	finish
fi
# mkfs.ext4 would give so small a disk blocks of 1 KiB
blocks=
[ "$fs" != ext4 ] || blocks='-b 4096'
truncate -s 400M "$work/disk.img"
# shellcheck disable=SC2086 # words
"$mkfs" -q ${KSELFTEST_MKFS:-$blocks} "$work/disk.img" >"$work/mkfs" 2>&1 || {
	not_ok "$mkfs makes a disk"
	diag_file "$work/mkfs"
	finish
}

# a second node, to move pages to
words="loglevel=5 numa=fake=2 test=kselftest fs=$fs progs=$tests ${KSELFTEST_CMDLINE:-}"
if [ "$vmm" = hyp ]; then
	# shellcheck disable=SC2086 # words
	lab --timeout $((secs + 120)) "$HYP" run --kernel "$KERNEL" --initrd "$INITRD" \
		--disk "$work/disk.img" --mem "$mem" --cpus 2 --storm --cmdline "$words" \
		--summary "$work/summary" --timeout "$secs" ${KSELFTEST_HYP:-} >"$work/out" 2>"$work/err"
	code=$? good=0
else
	# each pass takes all volatile pages, and the next is 10 ms later
	plain_qemu "$secs" "$KERNEL" "page_states=sim sim=10,100 $words" "$mem"
	code=$? good=1
	tr -d '\r' <"$work/out" | sed -n 's/^pgstate_discard /mem_discarded_volatile /p' \
		>"$work/summary"
fi
cp "$work/out" "${KSELFTEST_CONSOLE:-$O/kselftest.console}" 2>/dev/null || :

expect "the guest ends well" [ "$code" = "$good" ] || {
	diag "exit code $code"
	diag_file "$work/err"
	diag_file "$work/out" 40
}
tr -d '\r' <"$work/out" >"$work/console"
# shellcheck disable=SC2034,SC2254 # for retap; patterns
may_skip=$(
	while read -r skip_fs skip_vmm skip_case; do
		case $skip_fs in '#'*) continue ;; esac
		case $fs in $skip_fs) case $vmm in $skip_vmm) echo "$skip_case" ;; esac ;; esac
	done <"$top/selftests/skips"
	printf '%s\n' "${KSELFTEST_SKIPS:-}" | tr ' ' '\n'
)
sed -n 's/^=== kselftest //p' "$work/console" >"$work/progs"
while read -r prog; do
	sed -n "/^=== kselftest $prog\$/,/^=== end of $prog: /p" "$work/console" |
		grep -vE '^# +(RUN|OK|SKIP) |^# Starting' >"$work/one"
	if ! retap "$prog" "$work/one"; then
		not_ok "$prog: prints as many results as it planned"
		diag_file "$work/one"
	fi
done <"$work/progs"
expect "programs were run" [ -s "$work/progs" ]
for prog in $(echo "$tests" | tr , ' '); do
	expect "$prog was run" grep -qx "$prog" "$work/progs"
done
case ${KSELFTEST_CMDLINE:-} in
*data=journal*) ;;
*) expect "volatile pages were discarded" \
	[ "$(value "$work/summary" mem_discarded_volatile)" -gt 1000 ] ;;
esac
reports='BUG:|WARNING:|KASAN|KCSAN|possible deadlock|INFO: |Oops|Call Trace|[A-Z0-9]+-fs.*(error|warning)|XFS.*(ERROR|orruption)'
if ! expect "the kernel did not complain" sh -c '! grep -qE "$1" "$2"' - "$reports" "$work/console"; then
	grep -E -A30 "$reports" "$work/console" | head -n 120 >"$work/reports"
	diag_file "$work/reports" 120
fi
finish
