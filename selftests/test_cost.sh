#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 300
# The counter of make bench-kernel: it counts what is known beforehand, and twice the same
# for the same.
. "$(dirname "$0")/vm.sh"
plugin=$O/tools/count/count.so
need "$KERNEL" "$INITRD" "$plugin"
command -v "$QEMU" >/dev/null || need "$QEMU"

# No compiler needed: an empty disk.
truncate -s 48M "$work/disk.img"
mkdir -p "$work/root/out"
/sbin/mke2fs -q -t ext4 -b 4096 -d "$work/root" "$work/disk.img" >/dev/null 2>&1
mkdir "$work/kernel"
ln -s "$(readlink -f "$KERNEL")" "$work/kernel/bzImage-cost"
COST_SEED=1 COST_SIDES=off COST_BOOTS=2 COST_ROUNDS=1 COST_FILES=0 COST_DISK=$work/disk.img \
	KERNELS=$work/kernel BENCH_DIR=$work/cost "$top/tools/bench-kernel" \
	>"$work/out" 2>"$work/err" </dev/null
expect "guests ran between the marks" [ $? = 0 ] || {
	diag_file "$work/err" 40
	finish
}
diag_file "$work/out" 30
runs=$work/cost/runs.tsv

# each WORKLOAD CONDITION-ON-FIELDS: holds in both guests
each() {
	[ "$(awk -F '\t' "\$3 == \"$1\" && ($2) { n++ } END { print n + 0 }" "$runs")" = 2 ]
}

expect "20 million turns of a loop are 40 million instructions, and few others" \
	each calibrate '$5 >= 40000000 && $5 < 40400000'
expect "a string instruction is one, and its 64 Ki repetitions are counted apart" \
	each calibrate '$6 >= 65535 && $6 < 65535 + 20000'
expect "a page fault is some hundreds of instructions or more" \
	each page_fault '$5 / $4 > 200 && $5 / $4 < 20000'
expect "two CPUs have twice the page faults" \
	awk -F '\t' '{ n[$3] += $4 } END { exit n["parallel_page_fault"] != 2 * n["page_fault"] }' "$runs"
# The timer ticks in it, too.  Workloads are as repeatable as the kernel's own
# decisions: bench-kernel prints by how much.
awk -F '\t' '
$3 != "calibrate" { next }
!($3 in low) || $5 < low[$3] { low[$3] = $5 }
$5 > high[$3] { high[$3] = $5 }
END { for (w in low) if (high[w] > low[w] * 1.001) print w, low[w], high[w] }
' "$runs" >"$work/differ"
expect "what two guests count in the loop differs by less than 0.1 %" [ ! -s "$work/differ" ] ||
	diag_file "$work/differ"
finish
