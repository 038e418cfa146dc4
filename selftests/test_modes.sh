#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 900
# What the kernel command line asks of page hinting is what the kernel says it does, and
# what it does: the counters of what it must not do stay 0.  Each line is one boot.
# MODES_VMM=qemu: not hyp, but plain QEMU and a kernel that plays its own hypervisor.
. "$(dirname "$0")/vm.sh"
vmm=${MODES_VMM:-hyp}
INITRD=${KSELFTEST_INITRD:-$O/kselftest.cpio.gz}
need "$KERNEL" "$INITRD"
case $vmm in
hyp) need "$HYP" ;;
qemu) command -v "$QEMU" >/dev/null || need "$QEMU" ;;
*)
	echo "test_modes.sh: MODES_VMM is hyp or qemu, not \"$vmm\"" >&2
	exit 1
	;;
esac
PATH=$PATH:/sbin:/usr/sbin

# boot WORDS OPTIONS-OF-HYP: to $work/console; true if it ended well
boot() {
	boot_words="loglevel=7 test=kselftest progs=mode $1"
	rm -f "$work/disk.img"
	truncate -s 64M "$work/disk.img"
	mkfs.ext4 -q -b 4096 "$work/disk.img" >"$work/mkfs" 2>&1 || return 1
	boot_good=1
	if [ "$vmm" = hyp ]; then
		boot_good=0
		# shellcheck disable=SC2086 # words
		lab --timeout 300 "$HYP" run --kernel "$KERNEL" --initrd "$INITRD" \
			--disk "$work/disk.img" --mem 256M --cpus 2 --cmdline "$boot_words" \
			--timeout 240 $2 >"$work/out" 2>"$work/err"
	else
		plain_qemu 240 "$KERNEL" "$boot_words"
	fi
	boot_code=$?
	tr -d '\r' <"$work/out" >"$work/console"
	[ "$boot_code" = "$boot_good" ]
}

# as WORDS MODE WHY [MESSAGE [OPTIONS-OF-HYP]]: WHY are those of command_line, page_poison,
# hypervisor and hibernation that inhibit shall say yes to
as() {
	as_name=${1:-nothing}${5:+, hyp $5}
	expect "$as_name: the guest ends well" boot "$1" "${5:-}" || {
		diag_file "$work/err"
		diag_file "$work/console" 30
	}
	expect "$as_name: the mode is $2" grep -qx "page_states.mode $2 *" "$work/console"
	for as_why in command_line page_poison hypervisor hibernation; do
		case " $3 " in
		*" $as_why "*) as_yes=yes ;;
		*) as_yes=no ;;
		esac
		expect "$as_name: $as_why inhibits: $as_yes" \
			grep -q "^page_states.inhibit .*\<$as_why $as_yes\>" "$work/console"
	done
	[ -z "${4:-}" ] || expect "$as_name: the log has \"$4\"" grep -qF "page_states: $4" "$work/console"
	sed -n '/^=== kselftest mode$/,/^=== end of mode: /p' "$work/console" |
		grep -vE '^# +(RUN|OK|SKIP) |^# Starting' >"$work/one"
	expect "$as_name: the counters were looked at" retap "$as_name" "$work/one"
}

# All of them have to be looked at.
# shellcheck disable=SC2034 # for retap
may_skip=
if [ "$vmm" = qemu ]; then
	sim='page_states=sim sim=10,100'
	as '' off hypervisor
	as page_states=off off command_line
	as page_states=unused off 'command_line hypervisor'
	as page_states=file off 'command_line hypervisor'
	as page_states=nonsense off hypervisor 'unknown mode "nonsense"'
	as "$sim" sim hibernation 'no hypervisor, simulate one'
	as "$sim page_poison=1" off page_poison 'off, because of page_poison=1'
else
	as '' full hibernation 'enabled, mode full' --storm
	as page_states=off off command_line '' --storm
	as page_states=unused unused 'command_line hibernation' 'enabled, mode unused' --storm
	as page_states=file file 'command_line hibernation' 'enabled, mode file' --storm
	as page_states=nonsense full hibernation 'unknown mode "nonsense"' --storm
	as page_states_transport=hypercall full hibernation 'enabled, mode full' --storm
	as '' off hypervisor '' --no-hints
	# there is memory enough: nothing is looked for
	as idle=1 full hibernation
fi
finish
