# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Common part of the tests that run guests: TAP 13 on standard output, exit code 0 or 1,
# 4 if nothing could run (REQUIRE_ALL=1 turns that into a failure).  Paths
# come from the environment, or are where make puts things below O=.

top=$(cd "$(dirname "$0")/.." && pwd)
O=${O:-$top/build}
case $O in
/*) ;;
*) O=$top/$O ;;
esac
HYP=${HYP:-$O/hyp/hyp}
HYPD=${HYPD:-$O/hyp/hypd/hypd}
KERNEL=${KERNEL:-$O/kernel/bzImage}
STOCK_KERNEL=${STOCK_KERNEL:-$O/lab/vmlinuz}
INITRD=${INITRD:-$O/initrd.cpio.gz}
DISK=${DISK:-$O/disk.img}
GUESTS=${GUESTS:-$O/guest-tests}
LABRUN=${LABRUN:-$top/tools/lab/run}
QEMU=${QEMU:-qemu-system-x86_64}
unset XDG_RUNTIME_DIR # is not in the lab, and hyp would say so

work=$(mktemp -d "${TMPDIR:-/tmp}/selftest.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tap_nr=0 tap_failed=0
: >"$work/tap"

# Lines of "# text" on standard output.
diag() {
	printf '%s\n' "$*" | sed 's/^/# /' >>"$work/tap"
}

diag_file() {
	tail -n "${2:-20}" "$1" | tr -d '\r' | sed 's/^/#   /' >>"$work/tap"
}

ok() {
	tap_nr=$((tap_nr + 1))
	printf 'ok %d - %s\n' "$tap_nr" "$1" >>"$work/tap"
}

not_ok() {
	tap_nr=$((tap_nr + 1))
	tap_failed=$((tap_failed + 1))
	printf 'not ok %d - %s\n' "$tap_nr" "$1" >>"$work/tap"
}

skip() {
	if [ "${REQUIRE_ALL:-0}" = 1 ]; then
		not_ok "$1"
		diag "skipped although REQUIRE_ALL=1: $2"
	else
		ok "$1 # SKIP $2"
	fi
}

# expect DESCRIPTION COMMAND...: the command's success is the result.
expect() {
	expect_name=$1
	shift
	if "$@"; then
		ok "$expect_name"
	else
		not_ok "$expect_name"
		diag "failed: $*"
		return 1
	fi
}

# may_skip NAME: does PROGRAM:CASE match one of $may_skip, patterns in lines?  All do if
# there is no such variable.
may_skip() {
	[ -n "${may_skip+set}" ] || return 0
	while read -r may_skip_pattern; do
		# shellcheck disable=SC2254 # a pattern
		case ${1%%:*}:${1##*[.: ]} in $may_skip_pattern) return 0 ;; esac
	done <<-EOF
		$may_skip
	EOF
	return 1
}

# retap_skip NAME REASON
retap_skip() {
	if may_skip "$1"; then
		skip "$1" "$2"
	else
		not_ok "$1"
		diag "$1 may not be skipped: $2"
	fi
}

# Adds the TAP of a program (file $2) under prefix $1; false if it is not
# complete: no plan, or fewer results than planned.
retap() {
	tr -d '\r' <"$2" >"$work/retap"
	grep -E '^(ok|not ok|#|Bail out!)' "$work/retap" >"$work/retap.lines" || :
	while IFS= read -r retap_line; do
		retap_name=${retap_line#* - }
		case $retap_line in
		'ok '*'# SKIP'*)
			retap_skip "$1: ${retap_name%% # SKIP*}" "${retap_name##*# SKIP }" ;;
		'ok '*) ok "$1: $retap_name" ;;
		'not ok '*) not_ok "$1: $retap_name" ;;
		'#'*) diag "$1:${retap_line#\#}" ;;
		*) diag "$1: $retap_line" ;;
		esac
	done <"$work/retap.lines"
	retap_plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$work/retap" | head -n 1)
	[ "$(grep -cE '^(ok|not ok) ' "$work/retap.lines")" = "${retap_plan:-none}" ]
}

need() {
	for need_file; do
		[ -e "$need_file" ] && continue
		if [ "${REQUIRE_ALL:-0}" = 1 ]; then
			printf 'TAP version 13\n1..1\nnot ok 1 - %s is missing\n' "$need_file"
			exit 1
		fi
		printf 'TAP version 13\n1..0 # SKIP %s is missing\n' "$need_file"
		exit 4
	done
}

# Runs a command where KVM is.
lab() {
	# shellcheck disable=SC2086 # LABRUN may have arguments
	$LABRUN "$@" </dev/null
}

# plain_qemu SECONDS KERNEL WORDS [MEMORY]: boots it without KVM, with $work/disk.img,
# to $work/out and $work/err.  isa-debug-exit makes 1 of the guest's 0.
plain_qemu() {
	timeout -k 5 "$1" "$QEMU" \
		-M microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=on \
		-accel tcg,thread=multi -cpu max -smp 2 -m "${4:-256M}" -nodefaults -no-user-config \
		-nographic -no-reboot -serial stdio -nic none \
		-device isa-debug-exit,iobase=0xf4,iosize=1 \
		-kernel "$2" -initrd "$INITRD" \
		-append "console=ttyS0 panic=-1 $3" \
		-drive "if=none,id=disk,format=raw,file=$work/disk.img" \
		-device virtio-blk-device,drive=disk \
		</dev/null >"$work/out" 2>"$work/err"
}

# value FILE KEY: of a "key value" file such as hyp's --summary
value() {
	awk -v key="$2" '$1 == key { v = $2 } END { print v + 0 }' "$1"
}

# totals FILE KEY: from the workload's line of totals
totals() {
	tr -d '\r' <"$1" | awk -v key="$2" '/^TOTALS:/ {
		for (i = 2; i < NF; i += 2) if ($i == key) v = $(i + 1)
	} END { print v + 0 }'
}

# A copy of the disk image that the guest may write to.
copy_disk() {
	cp --sparse=always --reflink=auto "$DISK" "$1"
}

# teardown_disk KERNEL INITRD: $work/disk.img with both, and files with checksums
teardown_disk() {
	PATH=$PATH:/sbin:/usr/sbin
	mkdir "$work/files"
	cp "$1" "$work/files/kernel"
	cp "$2" "$work/files/initrd"
	for file in 1 2 3 4 5 6 7 8; do
		head -c 1000000 /dev/urandom >"$work/files/$file"
	done
	(cd "$work/files" && md5sum -- * >"$work/sums") && mv "$work/sums" "$work/files/sums"
	truncate -s 100M "$work/disk.img"
	mkfs.ext4 -q -b 4096 -d "$work/files" "$work/disk.img" >"$work/mkfs" 2>&1 || {
		not_ok "mkfs.ext4 makes a disk"
		diag_file "$work/mkfs"
		finish
	}
}

# Adds what guest-tests/linux/teardown claims in $work/out; leaves $work/console.
cases() {
	tr -d '\r' <"$work/out" >"$work/console"
	sed -n 's/^.*CASE \(ok\|failed\) /\1 /p' "$work/console" >"$work/cases"
	while read -r case_result case_name; do
		expect "$case_name" [ "$case_result" = ok ]
	done <"$work/cases"
	expect "claims were made" [ -s "$work/cases" ]
	! grep -q ^failed "$work/cases" || diag_file "$work/console" 80
}

finish() {
	printf 'TAP version 13\n1..%d\n' "$tap_nr"
	cat "$work/tap"
	[ "$tap_failed" = 0 ] && exit 0
	exit 1
}
