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
# With --jobs several run at the same time, those with the longest time-outs first: a
# lab's machine has one processor.  "auto" is one for each processor and 4 GiB of
# memory that is free.
#
# What fails because the lab's machine has died is run once more, and says so: QEMU's
# nested SVM does that to a host kernel now and then, and what hyp does to it is the same
# each time.  The first run's output remains as .first.tap and .first.log.
set -u

usage='usage: run.sh [--logs DIR] [--timeout SEC] [--jobs N|auto] TEST...'
logs=build/logs limit=300 jobs=1
while [ $# -gt 0 ]; do
	case $1 in
	--logs) logs=$2; shift 2 ;;
	--timeout) limit=$2; shift 2 ;;
	--jobs) jobs=$2; shift 2 ;;
	-*) printf '%s\n' "$usage" >&2; exit 1 ;;
	*) break ;;
	esac
done

[ "$jobs" != auto ] || jobs=$(awk -v cpus="$(nproc)" '/^MemAvailable:/ {
	n = int($2 / (4 * 1024 * 1024)); print n < 1 ? 1 : n < cpus ? n : cpus }' /proc/meminfo)
case $jobs in
*[!0-9]* | '' | 0) printf 'run.sh: --jobs wants a number, not "%s"\n' "$jobs" >&2; exit 1 ;;
esac
mkdir -p "$logs" || exit 1
rm -f "$logs"/*.log "$logs"/*.tap
work=$(mktemp -d) && mkfifo "$work/done" || exit 1
passed=0 failed=0 skipped=0 nr=0 total=$# pids=

# cmocka speaks TAP if told so, but says "not ok" for a case that was skipped
export CMOCKA_MESSAGE_OUTPUT=TAP

# count TAP NAME SKIPS: prints passed failed skipped planned; names of skipped cases go to SKIPS
count() {
	awk -v name="$2" -v skips="$3" '
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

timeout_of() {
	own=$(sed -n 's/^# TIMEOUT: *\([0-9]*\)$/\1/p;20q' "$1" 2>/dev/null | tr -d '\0')
	printf %s "${own:-$limit}"
}

# attempt SECONDS TEST LOG: so that a signal ends it, too
attempt() {
	timeout -k 10 "$1" "$2" </dev/null >"$3.tap" 2>"$3.log" &
	trap 'kill $!; exit 143' TERM
	wait $!
}

# run_one NUMBER TEST: leaves NUMBER.text to be printed behind "ok N ", NUMBER.sum
# and NUMBER.skips in $work
run_one() {
	start=$(now)
	test=$2
	name=${test#./}
	log=$logs/$(printf %s "$name" | tr -c 'A-Za-z0-9._\n-' _)
	own=$(timeout_of "$test")
	case $test in */*) ;; *) test=./$test ;; esac
	: >"$work/$1.skips"
	attempt "$own" "$test" "$log"
	rc=$?
	if [ "$rc" -ne 0 ] && grep -qs 'the lab machine died' "$log.tap" "$log.log"; then
		printf '# %s: the lab machine died; once more\n' "$name"
		mv "$log.tap" "$log.first.tap" && mv "$log.log" "$log.first.log"
		attempt "$own" "$test" "$log"
		rc=$?
	fi
	# shellcheck disable=SC2046 # four numbers
	set -- "$1" $(count "$log.tap" "$name" "$work/$1.skips")
	p=$2 f=$3 s=$4 why=
	case $rc in
	0) [ $((p + f + s)) -eq "$5" ] && [ "$5" -gt 0 ] || why="$5 cases planned, $((p + f + s)) seen" ;;
	4)
		[ "$f" -gt 0 ] || [ "$s" -gt 0 ] || {
			s=1
			printf '%s: exit code 4: %s\n' "$name" "$(tail -n1 "$log.tap")" >>"$work/$1.skips"
		}
		;;
	124 | 137) why="time-out after $own s or killed" ;;
	*) [ "$f" -gt 0 ] || why="exit code $rc" ;;
	esac
	[ -z "$why" ] || f=$((f + 1))
	took=$(awk -v a="$start" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
	if [ "$f" -eq 0 ]; then
		printf '%s # %d passed, %d skipped, %s s\n' "$name" "$p" "$s" "$took"
	else
		printf '%s # %d passed, %d failed, %s s%s\n' "$name" "$p" "$f" "$took" "${why:+: $why}"
		sed 's/^/#   /' "$log.tap" "$log.log" | tail -n 200
	fi >"$work/$1.text"
	printf '%d %d %d\n' "$p" "$f" "$s" >"$work/$1.sum"
}

begin() {
	nr=$((nr + 1))
	printf '# %d/%d %s\n' "$nr" "$total" "${1#./}"
	# whatever becomes of it, somebody waits to be told
	(trap 'echo "$nr" >&3' EXIT; run_one "$nr" "$1") &
	pids="$pids $!"
	running=$((running + 1))
}

# Wait for any of them and take over what it has left.
end() {
	read -r job <&3
	running=$((running - 1)) ended=$((ended + 1)) p=0 f=1 s=0
	[ ! -e "$work/$job.sum" ] || read -r p f s <"$work/$job.sum"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	[ "$f" -eq 0 ] || printf 'not '
	printf 'ok %d - ' "$ended"
	cat "$work/$job.text" 2>/dev/null || echo 'run.sh itself failed'
}

stop() {
	trap '' INT TERM
	# shellcheck disable=SC2086 # numbers
	kill $pids 2>/dev/null
	wait
	exit "$1"
}

printf 'TAP version 13\n'
trap 'rm -rf "$work"' EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
# both ends: who writes never waits for a reader, and reading never ends
exec 3<>"$work/done"
running=0 ended=0
if [ "$jobs" -gt 1 ]; then
	# shellcheck disable=SC2046 # names of tests are words
	set -- $(for t; do printf '%d %s\n' "$(timeout_of "$t")" "$t"; done | sort -s -rn -k1,1 | cut -d' ' -f2-)
fi
for t; do
	[ "$running" -lt "$jobs" ] || end
	begin "$t"
done
while [ "$running" -gt 0 ]; do
	end
done
printf '1..%d\n' "$nr"
i=0
while [ "$i" -lt "$nr" ]; do
	i=$((i + 1))
	sed 's/^/# skipped: /' "$work/$i.skips"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 1
[ "${REQUIRE_ALL:-0}" != 1 ] || [ "$skipped" -eq 0 ]
