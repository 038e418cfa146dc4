#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 240
# A kernel that knows nothing of page hinting under hyp: Debian's own.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$STOCK_KERNEL" "$INITRD"

lab --timeout 150 "$HYP" run --kernel "$STOCK_KERNEL" --initrd "$INITRD" \
	--mem 512M --cpus 2 --cmdline "quiet test=none" --timeout 120 \
	--summary "$work/summary" >"$work/out" 2>"$work/err"
code=$?

expect "it boots to init" grep -q '^INIT: ' "$work/out"
expect "and ends well" [ "$code" = 0 ] || {
	diag "exit code $code"
	diag_file "$work/err"
	diag_file "$work/out" 40
}
expect "nothing was discarded" \
	[ "$(value "$work/summary" mem_discarded_volatile)" = 0 ]
diag "$(grep '^INIT: ' "$work/out" | tr -d '\r')"
finish
