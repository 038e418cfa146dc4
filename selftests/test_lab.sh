#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A program cannot tell from what comes in and goes out that it is in the lab.
# TIMEOUT: 900
set -u
cd "$(dirname "$0")/.." || exit 1
. selftests/lib.sh
run=tools/lab/run
plan 35

# words and streams
$run sh -c 'exit 42'
is $? 42 exit_code_passes
is "$($run printf '<%s>' 'a b' '' "c'd" '*')" "<a b><><c'd><*>" arguments_keep_spaces_and_quotes
is "$(LAB_TEST_VAR='x y' $run sh -c 'echo "$LAB_TEST_VAR:$(pwd)"')" "x y:$PWD" \
	environment_and_directory_pass
head -c 3000000 /dev/urandom >"$tmp/in"
$run cat <"$tmp/in" >"$tmp/out"
cmp "$tmp/in" "$tmp/out"
result $? three_megabytes_pass_through_unchanged
$run sh -c 'echo to-out; echo to-err >&2' >"$tmp/out" 2>"$tmp/err"
is "$(cat "$tmp/out")/$(cat "$tmp/err")" to-out/to-err stdout_and_stderr_stay_apart
$run sh -c 'echo result >"$1"' sh "$tmp/file"
is "$(cat "$tmp/file")" result result_file_is_there_afterwards
is "$($run sh -c 'yes | head -n 100000' | head -n 1)" y reader_that_leaves_early_does_not_hang

# a missing program, settings that cannot be, a machine that cannot start
$run /nonexistent/program 2>"$tmp/err"
is "$?:$(grep -c . "$tmp/err")" 127:1 missing_program_is_127_and_one_line
refused() {
	said=$(LAB=qemu env "$1" $run true 2>&1)
	is "$?:$(printf '%s\n' "$said" | grep -c .):$said" "125:1:lab: $2" "$3"
}
for cpus in 0 256 -1 2x ' 1'; do
	refused LAB_CPUS="$cpus" "LAB_CPUS is 1 to 255, not \"$cpus\"" "cpus_cannot_be_<$cpus>"
done
for mem in 3 0G 127M 513G 3GB 18014398509481987G; do
	refused LAB_MEM="$mem" "LAB_MEM is a size from 128M to 512G such as 3G, not \"$mem\"" \
		"memory_cannot_be_<$mem>"
done
LAB=qemu LAB_QEMU_ARGS=-nonsense $run true >/dev/null 2>"$tmp/err"
is "$?:$(tail -n1 "$tmp/err" | cut -c1-4)" 125:lab: dead_machine_is_125_and_says_so

# signals: the program says when it is ready; the trap's code must come back
signalled() {
	mkfifo "$tmp/$1"
	# a shell's background jobs ignore SIGINT, which the program would inherit
	env --default-signal=INT,QUIT $run sh -c \
		"trap 'exit 33' $1; echo ready; while :; do sleep 1 & wait; done" >"$tmp/$1" &
	pid=$!
	read -r _ <"$tmp/$1"
	kill -s "$1" $pid
	wait $pid
}
signalled INT
is $? 33 ctrl_c_reaches_the_program
signalled TERM
is $? 33 sigterm_reaches_the_program
signalled USR1
is $? 33 sigusr1_reaches_the_program
$run sh -c 'kill -SEGV $$'
is $? 139 death_by_signal_is_seen_outside

# ends
$run --timeout 2 sleep 100 2>"$tmp/err"
is $? 124 timeout_is_124
# a lab that runs until it is killed; $lab is its outside half
start_lab() {
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready"
	LAB=qemu env "$@" $run sh -c 'nproc; sleep 1000' >"$tmp/ready" &
	lab=$!
	read -r cpus <"$tmp/ready"
	children=$(cat /proc/$lab/task/$lab/children)
}
kill_lab() {
	kill -KILL $lab
	wait $lab 2>/dev/null
}
start_lab
kill_lab
left=$(for c in $children; do timeout 10 tail --pid="$c" -f /dev/null || echo "$c"; done)
is "${children:+some}:$left" some: nothing_survives_a_killed_lab

# how many processors it has and which ones QEMU may use
placed() {
	start_lab "$@"
	printf '%s:' "$cpus"
	for c in $children; do
		grep -q qemu /proc/$c/comm && sed -n 's/^Cpus_allowed_list:\t//p' /proc/$c/status
	done
	kill_lab
}
all=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
is "$(placed LAB_CPUS=)" "1:$all" one_cpu_unless_told_and_it_may_run_anywhere
is "$(placed LAB_CPUS=2 | sed 's/:[0-9]*$/:one/')" 2:one two_cpus_share_one_processor
is "$(placed LAB_CPUS=2 LAB_PARALLEL=1)" "2:$all" two_cpus_run_in_parallel_if_told

# make lab-shell on a terminal: type into descriptor 3, read the screen from 4
cat >"$tmp/program" <<'END'
trap 'echo interrupted; exit 33' INT
trap 'stty size' WINCH
echo ready
while :; do read -r _; done
END
mkfifo "$tmp/keys" "$tmp/screen"
SHELL=/bin/sh timeout 200 env -u MAKEFLAGS -u MAKELEVEL --default-signal=INT,QUIT script -qec "
	tty >'$tmp/tty'
	stty rows 33 cols 101
	stty -g >'$tmp/before'
	make lab-shell
	stty -g >'$tmp/after'" /dev/null <"$tmp/keys" >"$tmp/screen" &
exec 3>"$tmp/keys" 4<"$tmp/screen"
trap '' PIPE # a shell that has ended early is a failed case, not the end of all
cr=$(printf '\r')
next_line() {
	read -r line <&4 || return 1
	line=${line%"$cr"}
}
# a prompt may precede
skip_to() {
	while next_line; do
		case $line in *"$1") return 0 ;; esac
	done
	return 1
}
# ask COMMAND: what it prints inside; its echo has a $ where the answer begins
ask() {
	printf 'echo "<$(%s)>"\n' "$1" >&3
	while next_line; do
		case $line in
		*'<$'*) ;;
		*'<'*'>') line=${line##*<}; printf '%s\n' "${line%>}"; return ;;
		esac
	done
	echo 'no answer'
}
is "$(ask tty | cut -c1-9)" /dev/pts/ shell_has_a_terminal
is "$(ask 'stty size')" '33 101' shell_knows_the_size_of_the_terminal
printf 'sh %s\n' "$tmp/program" >&3
skip_to ready
stty -F "$(cat "$tmp/tty")" rows 40 cols 90
next_line
is "$line" '40 90' shell_learns_when_the_size_changes
printf '\003' >&3
skip_to interrupted
is "$(ask 'echo $?')" 33 ctrl_c_ends_the_program_and_not_the_lab
printf 'exit 42\n' >&3
error=
while next_line; do
	printf '# screen: %s\n' "$line" >>"$tmp/last"
	# the echo of what was typed may lack its end of line
	case $line in *make*'Error 42') error=42 ;; esac
done
is "$error" 42 exit_code_of_the_shell_passes
[ -n "$error" ] || cat "$tmp/last"
cmp "$tmp/before" "$tmp/after"
result $? terminal_is_afterwards_as_it_was_before
finish
