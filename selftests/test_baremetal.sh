#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 1500
# The bare-metal guests of guest-tests/ under hyp.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$GUESTS/discard.elf"

# guest NAME HYP-OPTIONS...: run it and take over its results
guest() {
	name=$1
	shift
	lab --timeout 330 "$HYP" run --kernel "$GUESTS/$name.elf" --mem 64M \
		--timeout 300 "$@" >"$work/$name.out" 2>"$work/$name.err"
	code=$?
}

complete() {
	failed_before=$tap_failed
	retap "$1" "$work/$1.out" && complete=1 || complete=0
	want=0
	[ "$tap_failed" = "$failed_before" ] || want=1
	if [ "$complete" = 1 ] && [ "$code" = "$want" ]; then
		ok "$1: runs to its end"
	else
		not_ok "$1: runs to its end"
		diag "exit code $code"
		diag_file "$work/$1.err"
		diag_file "$work/$1.out" 5
	fi
}

guest discard --test-hooks
complete discard
guest states --test-hooks --swap "$work"
complete states
guest potential --test-hooks --swap "$work"
complete potential
guest hostile --test-hooks --swap "$work" --summary "$work/hostile.sum"
complete hostile
# Its 4 jumps to nowhere, 9 times each: KVM alone would have told the guest at once.
expect 'what KVM cannot emulate is tried again' grep -qx 'emulation_retries 36' "$work/hostile.sum"
# Two emulated processors: they switch at any instruction, not by the tick only.
LAB_CPUS=2 guest stress --storm --cpus 2
complete stress

guest discard --no-hints
expect "no interface with --no-hints" [ "$code" = 4 ]
expect "and the guest sees none" grep -q 'SKIP no page-hinting' "$work/discard.out"
guest states
expect "no test hooks without --test-hooks" [ "$code" = 4 ]
finish
