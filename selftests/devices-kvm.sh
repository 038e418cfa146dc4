#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of test_devices.sh that runs where KVM is: devices-kvm.sh DIRECTORY HYP ARGS...
# Presses the guest's power button when the guest is ready for that and has reported free
# pages, which it does when it likes to.
set -u
dir=$1
shift
: >"$dir/console"
: >"$dir/stats"
mkfifo "$dir/fifo" || exit 125

# Until there is something in a column of the statistics; they grow by a line a second.
reported() {
	timeout 100 tail -n +1 -f "$dir/stats" | awk -F, -v name=balloon_reported '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
		$column > 0 { exit }'
}

"$@" --stats "$dir/stats" --stats-ms 1000 >"$dir/fifo" </dev/null &
pid=$!
while read -r line; do
	printf '%s\n' "$line" >>"$dir/console"
	case $line in *'ready for the button'*)
		reported
		kill -PWR "$pid"
		;;
	esac
done <"$dir/fifo"
wait "$pid"
