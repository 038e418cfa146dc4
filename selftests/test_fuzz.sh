#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 900
# Every fuzz target of hyp/fuzz with a fixed number of inputs, from its seeds and a fixed
# beginning: some ten seconds of processor time.  make fuzz goes on for longer.
. "$(dirname "$0")/vm.sh"
fuzz=$O-fuzzer-no-link+address+undefined/hyp/fuzz
need "$fuzz/queue"

# feed TARGET INPUTS
feed() {
	mkdir "$work/$1"
	if "$fuzz/$1" -runs="$2" -seed=1 -timeout=120 -verbosity=1 -artifact_prefix="$work/$1-" \
		"$work/$1" "$top/hyp/fuzz/corpus/$1" >"$work/log" 2>&1 &&
		done=$(sed -n 's/^#\([0-9]*\)\tDONE .*/\1/p' "$work/log") && [ "${done:-0}" -ge "$2" ]; then
		ok "$1: $2 inputs"
		return
	fi
	not_ok "$1: $2 inputs"
	diag_file "$work/log" 60
	for input in "$work/$1"-*; do
		[ -e "$input" ] || continue
		mkdir -p "$O/fuzz"
		cp "$input" "$O/fuzz/"
		diag "again: $fuzz/$1 $O/fuzz/${input##*/}"
	done
}

feed boot 8000
feed config 8000
feed ctl 5000
feed ports 40000
feed queue 60000
feed slowpath 800
feed virtio 15000
finish
