#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 600
# A change of a page state does not leave the guest, and through the slow path
# each is one exit: counted by the host around the kernel's own operations.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$KERNEL" "$INITRD"

tsv=$work/bench/guest.tsv
HYP=$HYP KERNEL=$KERNEL INITRD=$INITRD LABRUN=$LABRUN BENCH_DIR=$work/bench \
	"$top/tools/bench-guest" 2 >"$work/out" 2>"$work/err" </dev/null
expect "both transports were measured" [ $? = 0 ] || {
	diag_file "$work/err" 40
	finish
}

# sum COLUMN [AWK-CONDITION]
sum() {
	awk -F '\t' "NR > 1 && (${2:-1}) { sum += \$$1 } END { print sum + 0 }" "$tsv"
}

# What does not touch the table is no operation of the interface.
is_op='$1 != "store" && $1 != "cmpxchg"'
diag "$(sum 3 "$is_op") operations in place, $(sum 10 "$is_op") through the slow path"
expect "there is a line for each operation, hot and cold" \
	[ "$(awk 'END { print NR - 1 }' "$tsv")" = 28 ]
expect "each ran" [ "$(awk -F '\t' 'NR > 1 && !($3 > 0 && $10 > 0)' "$tsv" | wc -l)" = 0 ]
expect "in place no operation takes the slow path" [ "$(sum 7)" = 0 ]
expect "in place none is an access to a device" [ "$(sum 8)" = 0 ]
# A CPU's list of free pages that goes to the buddy allocator meanwhile is 63 exits more.
ops=$(sum 10 "$is_op") exits=$(sum 14 "$is_op")
diag "$exits exits for them"
expect "through the slow path each is one exit" \
	[ "$exits" -ge "$ops" -a $((exits * 20)) -le $((ops * 21)) ]
expect "memory of the guest's own takes none" [ "$(sum 14 "!($is_op)")" = 0 ]
finish
