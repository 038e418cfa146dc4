#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of test_big.sh that runs where KVM is: big-kvm.sh DIRECTORY HYP ARGS...
# Notes what hyp's process has when the guest has said all, and lets the guest end.
set -u
dir=$1
shift
mkfifo "$dir/in" "$dir/out" || exit 125
"$@" <"$dir/in" >"$dir/out" &
pid=$!
exec 3>"$dir/in"
start=$(date +%s)
while read -r line; do
	printf '%s\n' "$line" >>"$dir/console"
	case $line in *'GUEST up'*)
		cat "/proc/$pid/status" >"$dir/status"
		echo "$(($(date +%s) - start))" >"$dir/seconds"
		echo >&3
		;;
	esac
done <"$dir/out"
wait "$pid"
