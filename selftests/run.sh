#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs test programs that speak TAP and adds up what they say.  Prints TAP, one
# line a program, then exactly one line "N passed, N failed, N skipped".
#
# A program skips as a whole by exit code 4 or "1..0 # SKIP why"; it fails by
# "not ok", by another exit code, by fewer cases than planned or by its
# time-out.  REQUIRE_ALL=1 turns skips into failures.  A line "# TIMEOUT: 900"
# in a script gives it that many seconds instead of the default.
#
# What fails because the lab's machine has died is run once more, and says so: QEMU's
# nested SVM does that to a host kernel now and then, and what hyp does to it is the same
# each time.  The first run's output remains as .first.tap and .first.log.
set -u

usage='usage: run.sh [--logs DIR] [--timeout SEC] TEST...'
logs=build/logs limit=300
while [ $# -gt 0 ]; do
	case $1 in
	--logs) logs=$2; shift 2 ;;
	--timeout) limit=$2; shift 2 ;;
	-*) printf '%s\n' "$usage" >&2; exit 1 ;;
	*) break ;;
	esac
done

mkdir -p "$logs" || exit 1
rm -f "$logs"/*.log "$logs"/*.tap
skips=$logs/skipped
: >"$skips"
passed=0 failed=0 skipped=0 nr=0 total=$#

# cmocka speaks TAP if told so, but says "not ok" for a case that was skipped
export CMOCKA_MESSAGE_OUTPUT=TAP

# prints: passed failed skipped planned; names of skipped cases go to $skips
count() {
	awk -v name="$2" -v skips="$skips" '
	/^1\.\.0/ { if (match($0, /# *[Ss][Kk][Ii][Pp]/)) {
			sub(/^[^#]*# *[Ss][Kk][Ii][Pp][A-Za-z]*[: ]*/, "")
			print name ": " $0 >>skips; all = 1 } next }
	/^1\.\.[0-9]+/ { sub(/^1\.\./, ""); planned += $1 + 0; next }
	/^(not )?ok/ && /# *[Ss][Kk][Ii][Pp]/ { print name ": " $0 >>skips; s++; next }
	/^not ok/ { f++; next }
	/^ok/ { p++ }
	END { print p + 0, f + 0, s + all + 0, (all ? s + 1 : planned) + 0 }' "$1"
}

now() {
	date +%s.%N
}

run_one() {
	test=$1
	nr=$((nr + 1))
	name=${test#./}
	log=$logs/$(printf %s "$name" | tr -c 'A-Za-z0-9._\n-' _)
	own=$(sed -n 's/^# TIMEOUT: *\([0-9]*\)$/\1/p;20q' "$test" 2>/dev/null | tr -d '\0')
	start=$(now)
	printf '# %d/%d %s\n' "$nr" "$total" "$name"
	case $test in */*) ;; *) test=./$test ;; esac
	timeout -k 10 "${own:-$limit}" "$test" </dev/null >"$log.tap" 2>"$log.log"
	rc=$?
	if [ "$rc" -ne 0 ] && grep -qs 'the lab machine died' "$log.tap" "$log.log"; then
		printf '# %s: the lab machine died; once more\n' "$name"
		mv "$log.tap" "$log.first.tap" && mv "$log.log" "$log.first.log"
		timeout -k 10 "${own:-$limit}" "$test" </dev/null >"$log.tap" 2>"$log.log"
		rc=$?
	fi
	# shellcheck disable=SC2046 # four numbers
	set -- $(count "$log.tap" "$name")
	p=$1 f=$2 s=$3 why=
	case $rc in
	0) [ $(($1 + $2 + $3)) -eq "$4" ] && [ "$4" -gt 0 ] || why="$4 cases planned, $(($1 + $2 + $3)) seen" ;;
	4)
		[ "$f" -gt 0 ] || [ "$s" -gt 0 ] || {
			s=1
			printf '%s: exit code 4: %s\n' "$name" "$(tail -n1 "$log.tap")" >>"$skips"
		}
		;;
	124 | 137) why="time-out after ${own:-$limit} s or killed" ;;
	*) [ "$f" -gt 0 ] || why="exit code $rc" ;;
	esac
	[ -z "$why" ] || f=$((f + 1))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	took=$(awk -v a="$start" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
	if [ "$f" -eq 0 ]; then
		printf 'ok %d - %s # %d passed, %d skipped, %s s\n' "$nr" "$name" "$p" "$s" "$took"
	else
		printf 'not ok %d - %s # %d passed, %d failed, %s s%s\n' "$nr" "$name" "$p" "$f" "$took" \
			"${why:+: $why}"
		sed 's/^/#   /' "$log.tap" "$log.log" | tail -n 200
	fi
}

printf 'TAP version 13\n'
trap 'exit 130' INT
trap 'exit 143' TERM
for t; do
	run_one "$t"
done
printf '1..%d\n' "$nr"
[ ! -s "$skips" ] || sed 's/^/# skipped: /' "$skips"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 1
[ "${REQUIRE_ALL:-0}" != 1 ] || [ "$skipped" -eq 0 ]
