#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The aggregator must not call anything a pass that is none.
set -u
cd "$(dirname "$0")/.." || exit 1
. selftests/lib.sh
plan 15

# program NAME: a test program from stdin
program() {
	{ echo '#!/bin/sh'; cat; } >"$tmp/$1"
	chmod +x "$tmp/$1"
}

# summary TEST...: last line and exit code
summary() {
	out=$(selftests/run.sh --logs "$tmp/logs" --timeout 2 "$@" 2>&1)
	code=$?
	printf '%s=%d' "$(printf '%s\n' "$out" | tail -n1)" "$code"
}

program good <<'E'
printf '1..2\nok 1 - a\nok 2 - b\n'
E
program bad <<'E'
printf '1..2\nok 1 - a\nnot ok 2 - b\n'
exit 1
E
program crash <<'E'
printf '1..1\nok 1 - a\n'
kill -SEGV $$
E
program short <<'E'
printf '1..3\nok 1 - a\n'
E
program silent <<'E'
exit 0
E
program slow <<'E'
printf '1..1\n'
sleep 100
E
program skip4 <<'E'
echo '# no such device'
exit 4
E
program skip0 <<'E'
echo '1..0 # SKIP no such device'
E
program part <<'E'
printf '1..2\nok 1 - a\nnot ok 2 # SKIP b\n'
E

is "$(summary "$tmp/good")" '2 passed, 0 failed, 0 skipped=0' good_program_passes
is "$(summary "$tmp/good" "$tmp/bad")" '3 passed, 1 failed, 0 skipped=1' not_ok_fails
is "$(summary "$tmp/crash")" '1 passed, 1 failed, 0 skipped=1' crash_after_the_last_case_fails
is "$(summary "$tmp/short")" '1 passed, 1 failed, 0 skipped=1' fewer_cases_than_planned_fail
is "$(summary "$tmp/good" "$tmp/silent")" '2 passed, 1 failed, 0 skipped=1' silent_success_fails
is "$(summary "$tmp/slow")" '0 passed, 1 failed, 0 skipped=1' time_out_fails
is "$(summary "$tmp/good" "$tmp/skip4" "$tmp/skip0" "$tmp/part")" \
	'3 passed, 0 failed, 3 skipped=0' skips_are_counted_apart
is "$(REQUIRE_ALL=1 summary "$tmp/good" "$tmp/skip4")" '2 passed, 0 failed, 1 skipped=1' \
	required_skip_fails
is "$(summary "$tmp/skip0")" '0 passed, 0 failed, 1 skipped=1' nothing_but_skips_fails
is "$(summary)" '0 passed, 0 failed, 0 skipped=1' nothing_at_all_fails
summary "$tmp/good" "$tmp/skip4" >/dev/null
is "$(selftests/run.sh --logs "$tmp/logs" "$tmp/good" "$tmp/skip4" | grep -c '^# skipped: .*no such device')" 1 \
	skip_is_named_with_its_reason

# Each waits for the other: one after the other they would take their time-outs.
for me in 1 2; do
	program "meet$me" <<-E
		: >"$tmp/here$me"
		until [ -e "$tmp/here$((3 - me))" ]; do sleep 0.1; done
		printf '1..1\\nok 1 - a\\n'
	E
done
is "$(summary --jobs 2 "$tmp/meet1" "$tmp/meet2")" '2 passed, 0 failed, 0 skipped=0' jobs_run_at_the_same_time
is "$(summary --jobs 3 "$tmp/good" "$tmp/bad" "$tmp/slow" "$tmp/part" "$tmp/crash")" \
	'5 passed, 3 failed, 1 skipped=1' jobs_are_added_up
is "$(selftests/run.sh --logs "$tmp/logs" --jobs 3 "$tmp/good" "$tmp/bad" "$tmp/skip0" "$tmp/crash" |
	sed -n 's/^\(not \)*ok \([0-9]*\) .*/\2/p' | tr '\n' ' ')" '1 2 3 4 ' jobs_are_numbered_as_they_end
mkfifo "$tmp/pid"
program waits <<E
echo \$\$ >"$tmp/pid"
exec sleep 1000
E
selftests/run.sh --logs "$tmp/logs" --jobs 2 "$tmp/waits" "$tmp/good" >/dev/null &
read -r pid <"$tmp/pid"
kill -TERM $!
wait $!
is "$? $(kill -0 "$pid" 2>&1 | grep -c 'No such')" '143 1' a_signal_ends_them_all
finish
