#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of test_hypd.sh that runs where KVM is; its argument is that test's
# directory.  A guest that is paused is idle, the other one is busy.  Guests verify
# all they read and end at the first wrong byte.  Waits ask again and again until it
# is so; the lab's time-out ends them.
. "$(dirname "$0")/vm.sh"
files=$1
XDG_RUNTIME_DIR=$(mktemp -d /dev/shm/hyp.XXXXXX)
export XDG_RUNTIME_DIR
trap 'rm -rf "$work" "$XDG_RUNTIME_DIR"' EXIT
much=$((46 << 20)) few=$((34 << 20)) all=$((80 << 20))

start_hypd() {
	"$HYPD" --limit 80M 2>>"$work/hypd.log" &
	hypd=$!
	until "$HYP" host >/dev/null 2>&1; do kill -0 "$hyp_a" || break; done
}

# start NAME
start() {
	"$HYP" run --name "$1" --kernel "$KERNEL" --initrd "$INITRD" --disk "$files/$1.img" \
		--mem 64M --swap "$files" --share entitlement=48M \
		--cmdline "quiet test=workload secs=100000 anon=24" --summary "$work/$1.summary" \
		</dev/null >"$work/$1.out" 2>"$work/$1.err" &
}

# host: prints what is counted, and limits and budgets of a and b; 0: there is none
host() {
	"$HYP" host --json 2>/dev/null | awk '
	function of(vm, key,    rest) {
		rest = $0
		if (vm) {
			if (!index(rest, "\"name\":\"" vm "\"")) return 0
			rest = substr(rest, index(rest, "\"name\":\"" vm "\""))
		}
		key = "\"" key "\":"
		return index(rest, key) ? substr(rest, index(rest, key) + length(key)) + 0 : 0
	}
	{ printf "%.0f %.0f %.0f %.0f %.0f\n", of("", "counted_bytes"), of("a", "limit_bytes"),
		of("b", "limit_bytes"), of("a", "budget_bytes"), of("b", "budget_bytes"); said = 1 }
	END { if (!said) print 0, 0, 0, 0, 0 }' >"$work/figures"
	read -r counted limit_a limit_b budget_a budget_b <"$work/figures"
}

alive() {
	kill -0 "$hyp_a" && kill -0 "$hyp_b" && kill -0 "$hypd"
}

# follows BUSY: limits do, sooner or later
follows() {
	until
		host
		case $1 in a) busy=$limit_a idle=$limit_b ;; b) busy=$limit_b idle=$limit_a ;; esac
		[ "$busy" -ge $much ] && [ "$idle" -le $few ] && [ "$idle" -gt 0 ]
	do
		alive || return
	done
	diag "a $limit_a, b $limit_b, counted $counted"
	[ "$counted" -le $all ]
}

exits() {
	"$HYP" stat --json "$1" | sed 's/.*"kvm_exits":\([0-9]*\).*/\1/'
}

# goes_on NAME PID
goes_on() {
	goes_from=$(exits "$1")
	while [ "$(exits "$1")" = "$goes_from" ]; do kill -0 "$2" || return; done
}

start a
hyp_a=$!
start b
hyp_b=$!
start_hypd
until host && [ "$budget_a" -gt 0 ] && [ "$budget_b" -gt 0 ]; do alive || break; done
expect 'hypd finds both guests' [ "$budget_a/$budget_b" != 0/0 ]
expect 'it is not taken for a guest' [ "$("$HYP" list | wc -l)" = 3 ]
expect 'it pauses nobody, we do' "$HYP" pause b
expect 'the busy guest gets what the idle one does not need' follows a
"$HYP" resume b
"$HYP" pause a
expect 'and back' follows b
"$HYP" host >"$work/host"
expect 'hyp host says why' grep -qE '^b .*(pressure|needs it)' "$work/host"
diag_file "$work/host"

kill -KILL "$hypd"
wait "$hypd" 2>/dev/null
limits=$("$HYP" info --json b | sed 's/.*"limit_bytes":\([0-9]*\).*/\1/')
"$HYP" resume a
expect 'without hypd the guests go on' goes_on a "$hyp_a"
expect 'both' goes_on b "$hyp_b"
expect 'with the limits that they had' \
	[ "$("$HYP" info --json b | sed 's/.*"limit_bytes":\([0-9]*\).*/\1/')" = "$limits" ]
expect 'hyp host says that there is none' sh -c '! "$1" host 2>"$2"' - "$HYP" "$work/none"
expect 'in a line' grep -q 'no hypd is running' "$work/none"
"$HYP" pause b
start_hypd
expect 'a new hypd goes on with them' follows a

all=$((64 << 20))
expect 'the limit falls' "$HYP" host limit 64M
until host && [ "$counted" -le $all ]; do alive || break; done
expect 'and with it what the guests have' [ "$counted" -le $all ]
"$HYP" resume b
expect 'both go on' goes_on b "$hyp_b"
expect 'and run to this end' goes_on a "$hyp_a"
for vm in a b; do
	expect "$vm is stopped" "$HYP" stop --force $vm
	expect "$vm found no wrong byte" sh -c '! grep -q MISMATCH "$1"' - "$work/$vm.out"
	expect "its kernel did not complain" \
		sh -c '! grep -qE "BUG|WARNING|Oops|Call Trace|soft lockup" "$1"' - "$work/$vm.out"
done
while "$HYP" host --json | grep -q '"name":'; do :; done
expect 'hypd sees them end' grep -q '^hypd: b: has ended' "$work/hypd.log"
expect 'its lines name guest and reason' grep -qE '^hypd: [ab]: limit .* -> .*(pressure|idle|host)' "$work/hypd.log"
diag_file "$work/hypd.log"
kill "$hypd"
wait "$hypd"
expect 'hypd ends well' [ $? = 0 ]
expect 'and its socket goes' [ ! -e "$XDG_RUNTIME_DIR/hyp/hypd.sock" ]
wait
finish
