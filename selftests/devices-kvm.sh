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

# Says all that it has, then listens until the guest has closed.
client() {
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$ARGV[0]: $!\n";
		undef $/;
		print $s <STDIN>;
		$s->flush;
		$s->shutdown(1);
		print <$s>;' "$dir/channel"
}

# The second waits until the first has been served.
clients() {
	echo ask | client >"$dir/answer"
	{ echo more; cat "$dir/blob"; } | client >"$dir/blob.back"
}

"$@" --stats "$dir/stats" --stats-ms 1000 --virtio-console \
	--channel "org.hyp.test=$dir/channel" >"$dir/fifo" <"$dir/input" &
pid=$!
while read -r line; do
	printf '%s\n' "$line" >>"$dir/console"
	case $line in *'GUEST cpus'*) clients & ;; esac
	case $line in *'ready for the button'*)
		reported
		kill -PWR "$pid"
		;;
	esac
done <"$dir/fifo"
wait "$pid"
