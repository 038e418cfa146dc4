#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# The simulator: shipped traces replay without a byte lost, and a host or a
# guest that is broken does not go unnoticed.  No KVM.
. "$(dirname "$0")/vm.sh"
SIM=${SIM:-$O/hyp/sim/hyp-sim}
need "$SIM" "$SIM-late" "$SIM-tag"
mkdir "$work/swap"

# sim ARGS...: 3 guests, figures in $work/tsv
sim() {
	rm -f "$work/tsv"
	"${sim_program:-$SIM}" --guests 3 --swap "$work/swap" --tsv "$work/tsv" "$@" \
		>"$work/out" 2>"$work/err"
}

# figure SIDE COUNTER: its total
figure() {
	awk -F '\t' -v side="$1" -v name="$2" '$2 == side && $3 == name { print $4 }' "$work/tsv"
}

# check NAME ARGS...
check() {
	check_name=$1
	shift
	if sim "$@"; then
		ok "$check_name: nothing is lost"
	else
		not_ok "$check_name: nothing is lost"
		diag_file "$work/err"
	fi
	expect "$check_name: hints discard" [ "$(figure hints discarded_unused)" -gt 0 ]
	expect "$check_name: no hints, no discards" [ "$(figure no-hints discarded_unused)" -eq 0 ]
	expect "$check_name: no hints, no refaults" [ "$(figure no-hints refaults)" -eq 0 ]
	expect "$check_name: every page touched without hints is counted the same" \
		[ "$(figure hints writes)" -eq "$(figure no-hints writes)" ]
}

for trace in "$top"/essa-emu/traces/*.trace; do
	check "${trace##*/}" --limit-percent 35 "$trace"
	expect "${trace##*/}: volatile pages are discarded" [ "$(figure hints discarded_volatile)" -gt 0 ]
	expect "${trace##*/}: and some of them read again" [ "$(figure hints refaults)" -gt 0 ]
	# 23 times while volatile pages went first, however often they came back; 2.2
	# while nobody knew which pages were in use
	expect "${trace##*/}: less than twice the host I/O of no hints" \
		[ "$(figure hints host_io_pages)" -lt $(($(figure no-hints host_io_pages) * 2)) ]
	expect "${trace##*/}: pages in use are rescued" [ "$(figure hints rescued)" -gt 0 ]
	expect "${trace##*/}: at most 300 KiB" [ "$(stat -c %s "$trace")" -le 307200 ]
done
check synthetic --synth 8M --rounds 4 --limit-percent 40
check 'synthetic, rebooting' --synth 8M --rounds 2 --limit-percent 40 --loops 3
expect 'nothing is left in the swap directory' [ -z "$(ls -A "$work/swap")" ]

check 'synthetic, in a storm' --synth 8M --rounds 50 --limit-percent 100 --storm

# A build of the host without the busy bit, and of a guest that forgets to
# write.  The first is a race (lost 3 times of 3): it gets ten chances.
for broken in late tag; do
	sim_program=$SIM-$broken
	code=0
	for try in 1 2 3 4 5 6 7 8 9 10; do
		sim --hints on --storm "$top/essa-emu/traces/scan.trace"
		code=$?
		[ "$code" -eq 0 ] || break
	done
	diag "$broken: run $try"
	expect "broken build ($broken) is found out" [ "$code" -eq 1 ]
	expect "broken build ($broken) says what is wrong" grep -q 'guest [0-9]*, gfn [0-9]*: ' "$work/err"
done
sim_program=$SIM

# refuse NAME ARGS...: exit code 2 and one line
refuse() {
	refuse_name=$1
	shift
	"$SIM" "$@" >"$work/out" 2>"$work/err"
	code=$?
	if [ "$code" -eq 2 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && [ ! -s "$work/out" ]; then
		ok "refused with one line: $refuse_name"
	else
		not_ok "refused with one line: $refuse_name"
		diag "exit code $code"
		diag_file "$work/err"
	fi
}
trace=$top/essa-emu/traces/scan.trace
head -c 1000 "$trace" >"$work/short"
echo text >"$work/text"
refuse 'nothing to replay'
refuse 'trace that is missing' "$work/none"
refuse 'trace that is cut' "$work/short"
refuse 'trace that is none' "$work/text"
refuse 'two traces' "$trace" "$trace"
refuse 'trace and --synth' --synth 8M "$trace"
refuse 'no guests' --guests 0 "$trace"
refuse 'limit too small' --limit 64K "$trace"
refuse 'limit larger than the guest' --limit 1G "$trace"
refuse 'swap directory that is missing' --swap "$work/none" "$trace"
refuse 'hints that are neither' --hints maybe "$trace"
refuse 'unknown option' --frobnicate "$trace"
refuse 'figures that cannot be written' --synth 4M --rounds 1 --guests 1 --tsv "$work/none/x"
"$SIM" --help >"$work/out"
expect 'help is help' grep -q '^usage: hyp-sim' "$work/out"
finish
