#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Does kernel-patches/RULES.md hold?  Each of the rules R1 to R16 has a line; each
# line has a break or a reason for none; breaks, tests, models and functions exist; the
# header of a break says the same as its line.  SERIES names another directory of patches.
set -eu
cd "$(dirname "$0")/.."
rules=kernel-patches/RULES.md breaks=kernel-patches/breaks
series=${SERIES:-kernel-patches/6.12}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
complain() {
	echo "check-rules: $rules: $*" >&2
	bad=1
}

cat "$series"/*.patch >"$tmp/series"

test_exists() {
	case $1 in
	selftests) [ -x "selftests/$2.sh" ] ;;
	kunit) grep -qE "^\+.*KUNIT_CASE\($2\)" "$tmp/series" ;;
	*) awk -v file="/page_states/$1.c" -v name="$2" '
		/^diff --git / { in_file = substr($NF, length($NF) - length(file) + 1) == file }
		in_file && index($0, "+TEST_F(") == 1 && $0 ~ "[ ,]" name "\\)$" { found = 1 }
		END { exit !found }' "$tmp/series" ;;
	esac
}

names() {
	printf '%s\n' "$1" | grep -oE '`[^`]+`' | tr -d '`' || :
}

check_tests() {
	names "$1" >"$tmp/tests"
	while read -r name; do
		case $name in
		*' BREAK_'*)
			grep -q "^ \* ${name#* } " "essa-emu/models/${name%% *}.pml" 2>/dev/null ||
				complain "no model $name" ;;
		*:*)
			test_exists "${name%%:*}" "${name#*:}" || complain "no test $name" ;;
		esac
	done <"$tmp/tests"
}

# check_break RULE TESTS NAME
check_break() {
	patch=$breaks/$3.patch
	[ -r "$patch" ] || { complain "no break $3"; return; }
	echo "$3" >>"$tmp/named"
	[ "$(sed -n 's/^Rule: //p' "$patch")" = "$1" ] || complain "$3 is not of $1"
	names "$2" | grep -qxF "$(sed -n 's/^Test: //p' "$patch")" ||
		complain "$3 names another test"
}

: >"$tmp/named"
sed -n '/^<!-- rules:begin/,/^<!-- rules:end/p' "$rules" | grep '^| R' >"$tmp/rows" || :
for nr in $(seq 16); do
	grep -q "^| R$nr |" "$tmp/rows" || complain "R$nr has no line"
done
while IFS='|' read -r _ rule what where tests breaks_of _; do
	rule=${rule# } rule=${rule% }
	check_tests "$tests"
	for function in $(names "$where"); do
		grep -qE "^[-+ @].*\b$function\(" "$tmp/series" ||
			complain "$rule: the series does not touch $function()"
	done
	case $breaks_of in
	*'`'*) ;;
	*' none: '*) continue ;;
	*) complain "$rule:$what: neither a break nor a reason" ;;
	esac
	for name in $(names "$breaks_of"); do
		check_break "$rule" "$tests" "$name"
	done
done <"$tmp/rows"
sed -n '/^## Contexts/,$p' "$rules" >"$tmp/contexts"
check_tests "$(cat "$tmp/contexts")"
for patch in "$breaks"/*.patch; do
	name=${patch##*/} name=${name%.patch}
	grep -qxF "$name" "$tmp/named" || complain "$name is in no line"
done
exit $bad
