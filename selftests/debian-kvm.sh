#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of debian.sh that runs where KVM is: debian-kvm.sh DIRECTORY HYP ARGS...
# Stops the guest when it asks who would log in and its logind hears the button.
set -u
dir=$1 hyp=$2
shift
XDG_RUNTIME_DIR=$(mktemp -d /dev/shm/hyp.XXXXXX)
export XDG_RUNTIME_DIR
trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
mkfifo "$dir/fifo" || exit 125
start=$(date +%s)

# Of all that has come so far: a prompt does not end a line.
wait_for_login() {
	perl -e '
		$| = 1;
		while (sysread STDIN, $text, 4096, length $text) {
			print "login\n" if $text =~ /login: / &&
				$text =~ /Watching system buttons/ && !$told++;
		}'
}

"$@" --name debian >"$dir/fifo" </dev/null &
pid=$!
tee "$dir/console" <"$dir/fifo" | wait_for_login | while read -r _; do
	echo "login: after $(($(date +%s) - start)) s" >>"$dir/times"
	"$hyp" stop debian >"$dir/stop.out" 2>&1
done
wait "$pid"
code=$?
echo "end after $(($(date +%s) - start)) s" >>"$dir/times"
exit $code
