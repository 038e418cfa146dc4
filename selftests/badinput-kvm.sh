#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of test_badinput.sh that needs KVM, run where KVM is; its argument
# is that test's directory.
. "$(dirname "$0")/vm.sh"
. "$top/selftests/badinput.sh"
files=$1
hog=$GUESTS/hog.elf

head -c 100 "$hog" >"$files/short.elf"
head -c 9000 "$hog" >"$files/half.elf"
refuse 'kernel is empty' run --kernel "$files/empty"
refuse 'kernel is no kernel' run --kernel "$files/text"
refuse 'kernel cut in its header' run --kernel "$files/short.elf" --mem 64M
refuse 'kernel cut in its code' run --kernel "$files/half.elf" --mem 64M
if [ -e "$KERNEL" ]; then
	head -c 300000 "$KERNEL" >"$files/half.bz"
	refuse 'bzImage cut in half' run --kernel "$files/half.bz" --mem 64M
else
	skip 'bzImage cut in half' 'no bzImage'
fi
refuse 'initrd is empty' run --kernel "$hog" --mem 64M --initrd "$files/empty"
refuse 'disk is empty' run --kernel "$hog" --mem 64M --disk "$files/empty"
refuse 'disk of part of a sector' run --kernel "$hog" --mem 64M --disk "$files/odd.img"
if [ -e "$INITRD" ]; then
	head -c 100000 "$INITRD" >"$files/half.gz"
	refuse 'initrd cut in half' run --kernel "$hog" --mem 64M --initrd "$files/half.gz"
else
	skip 'initrd cut in half' 'no initrd'
fi
if [ -e "$DISK" ]; then
	head -c 1M "$DISK" >"$files/half.img"
	refuse 'disk smaller than its file system' run --kernel "$hog" --mem 64M --disk "$files/half.img"
else
	skip 'disk smaller than its file system' 'no disk'
fi

# More than the limit can hold: the guest ends, with one line.
refuse 'no swap' run --kernel "$hog" --mem 64M --limit 24M --swap none --timeout 40

# within SECONDS COMMAND...: it comes true
within() {
	tries=$(($1 * 10))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

# From here on an ordinary user may run guests, if this one is root.
as=
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	as='setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all'
	sysctl=/proc/sys/vm/unprivileged_userfaultfd
	modes=$(stat -c '%a %n' /dev/kvm /dev/userfaultfd) uffd=$(cat $sysctl)
	trap '[ ! -e /dev/kvm.away ] || mv /dev/kvm.away /dev/kvm
		echo "$modes" | xargs -n 2 chmod; echo "$uffd" >$sysctl; rm -rf "$work"' EXIT
	chmod 666 /dev/kvm
	chmod 604 /dev/userfaultfd
	echo 0 >$sysctl
fi
cp "$hog" "$work/hog.elf"
chmod 644 "$work/hog.elf"
echo secret >"$work/secret"
exec 9<"$work/secret"

# More than limit and swap file can hold: the guest waits for a higher limit.  Without
# locked memory, of which io_uring would like some.
# shellcheck disable=SC2086 # a command
$as prlimit --memlock=0:0 "$work/bin/$hyp_name" run --kernel "$work/hog.elf" --mem 64M --limit 24M --swap-size 4M \
	--swap "$work/left" --timeout 100 </dev/null >"$work/out" 2>"$work/err" &
pid=$!
exec 9<&-
expect 'full swap file: a line says what to do' \
	within 60 grep -q 'hyp: swap file is full: raise the limit' "$work/err"
# all KEY VALUE: does every thread's status say so?
all() {
	cat "/proc/$pid/task/"*/status | awk -v key="$1:" -v value="$2" \
		'$1 == key { n++; if ($2 != value) bad++ } END { exit !(n > 4 && !bad) }'
}
diag "its threads: $(cat "/proc/$pid/task/"*/comm | tr '\n' ' ')"
expect 'every thread has its filter' all Seccomp 2
expect 'and one only' all Seccomp_filters 1
expect 'none can gain privileges' all NoNewPrivs 1
ls -l "/proc/$pid/fd" >"$work/fds"
expect 'what it was not given is not open' sh -c '! grep -q /secret "$1"' - "$work/fds"
swap=$(awk '/[(]deleted[)]$/ && / -> .*\/left\// { print $9 }' "$work/fds")
expect "the swap file has no name and is its owner's" \
	[ "$(stat -L -c '%h %a' "/proc/$pid/fd/${swap:-none}")" = '0 600' ]
if [ -n "$as" ]; then
	expect 'an ordinary user runs the guest' all Uid 65534
	expect 'with no privilege' all CapEff 0000000000000000
	expect 'another process of that user does not see its files' \
		sh -c "! $as cat /proc/$pid/fd/$swap >\"$work/peek\" 2>&1"
	expect 'for want of permission' grep -q 'Permission denied' "$work/peek"
	expect 'nor its memory' \
		sh -c "! $as head -c 1 /proc/$pid/mem >\"$work/peek\" 2>&1"
	expect 'for want of permission, too' grep -q 'Permission denied' "$work/peek"
else
	skip 'an ordinary user runs the guest' 'needs root and setpriv'
fi
kill -TERM "$pid"
wait "$pid"
code=$?
expect 'the guest waits, and can be ended' [ "$code" = 143 ] || diag "exit code $code"
expect 'nothing of the swap file is left' [ -z "$(ls -A "$work/left")" ]

# No space for the swap file: the guest waits for that, and then goes on.
if [ "$(id -u)" = 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=4m small "$work/small"; then
	"$HYP" run --kernel "$hog" --mem 32M --limit 16M --swap "$work/small" --timeout 150 \
		</dev/null >"$work/out" 2>"$work/err" &
	pid=$!
	expect 'full file system: a line says what to do' \
		within 60 grep -q 'hyp: no space left for the swap file: free some' "$work/err"
	expect 'the guest has not ended of it' kill -0 "$pid"
	mount -o remount,size=128m "$work/small"
	wait "$pid"
	code=$?
	expect 'with space it goes on to its end' [ "$code" = 0 ] || diag_file "$work/err"
	expect 'and finds all as it was' grep -q 'all of [0-9]* pages right' "$work/out"
	expect 'it is told that it goes on' grep -q 'the guest goes on' "$work/err"
	umount "$work/small"
else
	skip 'full file system' 'cannot mount one'
fi

# Room for the header, none for the last line.
BADINPUT_AS='prlimit --fsize=350'
refuse 'statistics that cannot be finished' run --kernel "$GUESTS/states.elf" --mem 64M \
	--swap none --stats "$work/stats" --stats-ms 3600000
expect 'and the line names the file' grep -q "$work/stats" "$work/err"
BADINPUT_AS=

# The guest dies of this; hyp says how, leaves nothing and is not killed.
run_bad run --kernel "$GUESTS/scribble.elf" --mem 64M --storm --timeout 20
case $code in
0 | 1 | 4 | 123 | 124) ok "scribbling guest: hyp lives, exit code $code" ;;
*) not_ok 'scribbling guest: hyp lives'; diag "exit code $code"; diag_file "$work/err" ;;
esac
expect 'scribbling guest: one line at most' [ "$(wc -l <"$work/err")" -le 1 ]
expect 'scribbling guest: nothing left behind' [ -z "$(ls -A "$work/left")" ]
expect 'scribbling guest: no process left' sh -c "! grep -qsx $hyp_name /proc/[0-9]*/comm"

if [ -z "$as" ]; then
	skip 'no permission for /dev/kvm' 'needs root and setpriv'
	skip 'no userfaultfd' 'needs root and setpriv'
	finish
fi
BADINPUT_AS=$as
chmod 600 /dev/kvm /dev/userfaultfd
refuse 'no permission for /dev/kvm' run --kernel "$work/hog.elf" --mem 64M
expect 'and the line names it' grep -q /dev/kvm "$work/err"
chmod 666 /dev/kvm
refuse 'no userfaultfd' run --kernel "$work/hog.elf" --mem 64M
expect 'and the line names what to give access to' grep -q /dev/userfaultfd "$work/err"
expect 'or what to set' grep -q vm.unprivileged_userfaultfd=1 "$work/err"
BADINPUT_AS=
mv /dev/kvm /dev/kvm.away
refuse 'no /dev/kvm' run --kernel "$hog" --mem 64M
mv /dev/kvm.away /dev/kvm
finish
