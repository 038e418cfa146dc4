#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The transition table in SPEC.md is what PROGRAM prints.  --write puts it
# there; otherwise says whether it is there.
set -eu
usage='usage: check-spec.sh [--write] PROGRAM'
write=0
[ "${1:-}" != --write ] || { write=1; shift; }
[ $# -eq 1 ] || { echo "$usage" >&2; exit 1; }
program=$(readlink -f "$1")
cd "$(dirname "$0")/.."
spec=essa-emu/SPEC.md
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$program" >"$tmp/table"
[ -s "$tmp/table" ] || { echo "check-spec: $1 printed nothing" >&2; exit 1; }
awk -v table="$tmp/table" '
	/^<!-- table:begin/ { print; print ""; while ((getline line <table) > 0) print line; skip = 1; begun++ }
	/^<!-- table:end/ { skip = 0; ended++ }
	!skip
	END { exit begun != 1 || ended != 1 || skip }' "$spec" >"$tmp/spec" || {
	echo "check-spec: $spec has no region table:begin ... table:end" >&2
	exit 1
}
if [ "$write" -eq 1 ]; then
	cmp -s "$tmp/spec" "$spec" || cat "$tmp/spec" >"$spec"
else
	diff -u --label "$spec" --label 'what the code gives' "$spec" "$tmp/spec" >&2 || {
		echo 'check-spec: make spec mends it' >&2
		exit 1
	}
fi
