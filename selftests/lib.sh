# SPDX-License-Identifier: GPL-2.0-only
# For test scripts: cases that print TAP.  Source it, then plan N, then cases.
nr_cases=0 nr_bad=0 tmp=

plan() {
	printf 'TAP version 13\n1..%d\n' "$1"
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
}

# result CONDITION-STATUS CLAIM
result() {
	nr_cases=$((nr_cases + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' "$nr_cases" "$2"
	else
		nr_bad=$((nr_bad + 1))
		printf 'not ok %d - %s\n' "$nr_cases" "$2"
	fi
}

# is ACTUAL EXPECTED CLAIM
is() {
	if [ "$1" = "$2" ]; then
		result 0 "$3"
	else
		result 1 "$3"
		printf '# got:      %s\n# expected: %s\n' "$1" "$2"
	fi
}

finish() {
	[ "$nr_bad" -eq 0 ]
	exit
}
