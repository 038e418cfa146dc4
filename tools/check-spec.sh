#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The transition table in SPEC.md is what PROGRAM prints.  --write puts it
# there; otherwise says whether it is there, and whether each rule of the text
# has a line in the table of proofs that names only what exists.
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
	exit
fi
diff -u --label "$spec" --label 'what the code gives' "$spec" "$tmp/spec" >&2 || {
	echo 'check-spec: make spec mends it' >&2
	exit 1
}

bad=0
complain() {
	echo "check-spec: $spec: $*" >&2
	bad=1
}

# rules of the text and of the table, in order
sed -nE 's/^\*\*(R-[A-Z]+-[0-9]+)\.\*\*.*/\1/p' "$spec" >"$tmp/rules"
sed -n '/^<!-- rules:begin/,/^<!-- rules:end/p' "$spec" | grep '^| R-' >"$tmp/rows" || :
cut -d' ' -f2 "$tmp/rows" >"$tmp/proofs"
[ -s "$tmp/rules" ] || complain 'no rules'
diff "$tmp/rules" "$tmp/proofs" >"$tmp/diff" ||
	complain "rules (<) and their table (>) differ:
$(grep '^[<>]' "$tmp/diff")"
grep -oE '\bR-[A-Z]+-[0-9]+\b' "$spec" | sort -u >"$tmp/named"
sort -u "$tmp/rules" | comm -13 - "$tmp/named" >"$tmp/unknown"
[ ! -s "$tmp/unknown" ] || complain "no such rule: $(paste -sd' ' "$tmp/unknown")"

# a test named FILE:NAME
test_exists() {
	for file in "essa-emu/tests/$1.c" "hyp/tests/$1.c" "hyp/mem/tests/$1.c" \
		"guest-tests/$1.c" "selftests/$1.sh"; do
		[ ! -e "$file" ] || { grep -qw -- "$2" "$file"; return; }
	done
	return 1
}

while IFS='|' read -r _ rule _ proof _; do
	rule=${rule# } rule=${rule% }
	case $proof in
	*'`'* | *'not proven: '*) ;;
	*) complain "$rule: neither a proof nor a reason" ;;
	esac
	printf '%s\n' "$proof" | grep -oE '`[^`]+`' | tr -d '`' >"$tmp/names" || :
	while read -r name; do
		case $name in
		*' BREAK_'*)
			grep -q "^ \* ${name#* } " "essa-emu/models/${name%% *}.pml" 2>/dev/null ||
				complain "$rule: no model $name" ;;
		*:*)
			test_exists "${name%%:*}" "${name#*:}" || complain "$rule: no test $name" ;;
		esac
	done <"$tmp/names"
done <"$tmp/rows"
exit $bad
