#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The part of test_control.sh that runs where KVM is: one guest, all commands.  Its
# argument is that test's directory.  Waits ask again and again until it is so; the
# lab's time-out ends them.
. "$(dirname "$0")/vm.sh"
files=$1
XDG_RUNTIME_DIR=$(mktemp -d /dev/shm/hyp.XXXXXX)
export XDG_RUNTIME_DIR
trap 'rm -rf "$work" "$XDG_RUNTIME_DIR"' EXIT
socket=$XDG_RUNTIME_DIR/hyp/web.sock

# ask CODE COMMAND...: does hyp exit with it? To $work/said and $work/err.
ask() {
	ask_code=$1
	shift
	"$HYP" "$@" >"$work/said" 2>"$work/err" </dev/null
	[ $? = "$ask_code" ]
}

# number KEY: of the result that $work/said has
number() {
	sed -n "s/.*\"$1\":\([0-9][0-9]*\).*/\1/p" "$work/said"
}

# frames ROW: its resident, preserved and zero ones
frames() {
	sed -n "s/.*\"$1\":{\"r\":\([0-9]*\),\"p\":\([0-9]*\),\"z\":\([0-9]*\)}.*/\1 \2 \3/p" "$work/said"
}

stat_of() {
	ask 0 stat --json web && number "$1"
}

volatile() {
	ask 0 stat --json web && frames V | cut -d' ' -f1
}

# tells CONDITION COMMAND...: an event with such a sample, after the command; to
# $work/said
tells() {
	tells_what=$1
	shift
	perl "$top/selftests/watch.pl" "$socket" "$tells_what" "$HYP" "$@" \
		>"$work/said" 2>"$work/err" </dev/null || { diag_file "$work/err" && false; }
}

lines() {
	[ "$(wc -l <"$1")" = "$2" ]
}

expect 'without a VM there is an empty list' ask 0 list
expect 'of one line' lines "$work/said" 1
expect 'a VM that is not there is exit code 3' ask 3 stat web
expect 'and one line' lines "$work/err" 1
expect 'a command without its VM is exit code 2' ask 2 stat
expect 'options without a command are refused' ask 125 --kernel "$KERNEL"
expect 'with a line that says hyp run' grep -q 'hyp run --kernel' "$work/err"

cat >"$work/web.conf" <<-EOF
	# a virtual machine
	name web
	kernel = $KERNEL
	initrd = $INITRD
	disk $files/disk.img
	mem 256M
	cpus = 2
	swap $files
	balloon 0
	share min=32M,weight=200
	cmdline quiet test=workload secs=100000 anon=16
	limit 64M
EOF
"$HYP" run --config "$work/web.conf" --limit 200M --summary "$work/summary" \
	</dev/null >"$work/console" 2>"$work/console.err" &
hyp=$!
until [ -S "$socket" ]; do kill -0 "$hyp" || break; done
expect 'info knows it' ask 0 info --json web
expect 'by its name' grep -q '"name":"web"' "$work/said"
expect 'and by its process' [ "$(number pid)" = "$hyp" ]
expect 'options win over the file' [ "$(number limit_bytes)" = $((200 << 20)) ]
expect 'a share too' [ "$(number min_bytes)/$(number weight)" = $((32 << 20))/200 ]
expect 'the file has the rest' [ "$(number cpus)/$(number mem_bytes)" = "2/$((256 << 20))" ]
expect "the socket is its owner's" [ "$(stat -c %a "$socket")" = 600 ]
expect 'another of the same name is refused' ask 125 run --name web --kernel "$KERNEL"
expect 'with a line that says so' grep -q 'is running at' "$work/err"
expect 'list shows it' sh -c '"$1" list | grep -q "^web .*running"' - "$HYP"

# Until it has files in its cache that it can do without.
while pages=$(volatile) && [ "${pages:-0}" -lt 4000 ]; do
	kill -0 "$hyp" || break
done
expect 'stat answers' ask 0 stat --json web
first=$(number timestamp_ms) exits=$(number kvm_exits) total=0
for row in S U V P; do
	for n in $(frames "$row"); do total=$((total + n)); done
done
expect 'every frame is in one state' [ "$total" = "$(number mem_frames)" ]
while [ "$(stat_of kvm_exits)" = "$exits" ]; do kill -0 "$hyp" || break; done
expect 'a later stat has a later time' [ "$(number timestamp_ms)" -gt "$first" ]
expect 'people get a table' sh -c '"$1" stat web | grep -q "^volatile "' - "$HYP"

expect 'pause' ask 0 pause web
expect 'and it stands' grep -qx 'paused by user' "$work/said"
exits=$(stat_of kvm_exits)
expect 'pause again' ask 0 pause --json web
before=$(volatile)
expect 'discard what it can do without' ask 0 discard --json web 4M
gone=$(number frames)
expect 'as much as was asked for' [ "$gone" -ge 1024 ]
after=$(volatile)
diag "$before volatile pages, $gone discarded, $after left"
expect 'not of unused ones alone' [ "$after" -lt "$before" ]
expect 'the guest did nothing meanwhile' [ "$(stat_of kvm_exits)" = "$exits" ]
expect 'pauses are counted once' [ "$(number pauses)" = 1 ]
expect 'metrics' ask 0 metrics
expect 'say it is there' grep -qx 'hyp_up{vm="web"} 1' "$work/said"
expect 'and paused' grep -qx 'hyp_paused{vm="web"} 1' "$work/said"
resident=$(stat_of mem_resident)
expect 'metrics again' ask 0 metrics
expect 'have what is resident, in bytes' \
	grep -qx "hyp_resident_bytes{vm=\"web\"} $((resident * 4096))" "$work/said"
expect 'top' ask 0 top --once --interval 0.1
expect 'shows it, paused, and what is resident' \
	grep -q "^web  *paused user  *$(((resident + 128) / 256))/200 .* 0\.0$" "$work/said"
expect 'live it needs a terminal' ask 2 top
expect 'and says what does not' grep -q -e --once "$work/err"
expect 'resume' ask 0 resume web
expect 'and it runs' grep -qx running "$work/said"
while [ "$(stat_of kvm_exits)" = "$exits" ]; do kill -0 "$hyp" || break; done
expect 'indeed' [ "$(number kvm_exits)" -gt "$exits" ]

for bad in 0 4M 100000001 1G rubbish; do
	case $bad in rubbish) code=2 ;; *) code=1 ;; esac
	expect "a limit of $bad is refused" ask "$code" limit web "$bad"
	expect 'with a line that names it' grep -q 'limit: ' "$work/err"
done
expect 'share' ask 0 share --json web max=200M,entitlement=64M
expect 'is what was asked for' \
	[ "$(number entitlement_bytes)/$(number max_bytes)" = $((64 << 20))/$((200 << 20)) ]
expect 'and the rest as it was' [ "$(number min_bytes)/$(number weight)" = $((32 << 20))/200 ]
expect 'a share of more than there is is refused' ask 1 share web max=1G
expect 'with a line that names it' grep -q 'max: ' "$work/err"
expect 'people read it' sh -c '"$1" share web | grep -q "^32.0 to 200.0 MiB, .* weight 200$"' - "$HYP"

expect 'the limit falls by much, and who watches is told when it is reached' \
	tells '($s->{limit_bytes} // 0) == 48 << 20 && $s->{charged_bytes} <= 48 << 20' \
	limit web 48M
expect 'and what it cost' [ "$(number discarded)" -gt "$gone" ]
while pages=$(stat_of mem_resident) && [ "${pages:-0}" -gt $((48 << 8)) ]; do
	kill -0 "$hyp" || break
done
expect 'and what is resident follows' [ "$(number mem_resident)" -le $((48 << 8)) ]
exits=$(number kvm_exits)
while [ "$(stat_of kvm_exits)" = "$exits" ]; do kill -0 "$hyp" || break; done
expect 'the guest goes on' kill -0 "$hyp"
expect 'the balloon is as large as it is to be, which is told' \
	tells '$s->{balloon}{actual_bytes} == 4 << 20' balloon web 4M
expect 'and shown' sh -c '"$1" balloon web | grep -qx "target 4.0 MiB, actual 4.0 MiB"' - "$HYP"
expect 'it is not larger than the guest' ask 1 balloon web 256M
expect 'no limit' ask 0 limit --json web none
expect 'is null' grep -q '"limit_bytes":null' "$work/said"

expect 'a guest without a power button cannot be asked to stop' ask 1 stop web
expect 'which is said' grep -q 'power button' "$work/err"
expect 'nor can a paused one' ask 0 pause web
expect 'while it is' ask 1 stop web
expect 'it is stopped by force' ask 0 stop --force web
expect 'its socket has gone' [ ! -e "$socket" ]
wait "$hyp"
expect 'hyp ended well' [ $? = 0 ] || diag_file "$work/console.err"
expect 'and counted two pauses' [ "$(value "$work/summary" pauses)" = 2 ]
expect 'it is not there any more' ask 3 info web
expect 'its console was that of a sane kernel' \
	sh -c '! grep -qE "BUG|WARNING|Oops|Call Trace|soft lockup" "$1"' - "$work/console"

"$HYP" run --name crash --kernel "$GUESTS/hog.elf" --mem 64M \
	--channel "chat=$XDG_RUNTIME_DIR/chat" </dev/null >"$work/out" 2>&1 &
hyp=$!
until ask 0 info --json crash; do kill -0 "$hyp" || break; done
expect 'a channel that nobody has open says so' grep -qF \
	"\"channels\":[{\"name\":\"chat\",\"path\":\"$XDG_RUNTIME_DIR/chat\",\"guest\":false,\"client\":false}]" \
	"$work/said"
expect 'without a balloon there is nothing to set' ask 1 balloon crash 4M
expect 'which is said' grep -q -e --balloon "$work/err"
kill -KILL "$hyp"
wait "$hyp" 2>/dev/null
while [ -e "$XDG_RUNTIME_DIR/hyp/crash.sock" ] || [ -e "$XDG_RUNTIME_DIR/chat" ]; do :; done
ok 'what crashes leaves no sockets'
finish
