# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For test_badinput.sh and badinput-kvm.sh, behind vm.sh.

# Under a name of its own: nothing else on this machine is called that.
hyp_name=hyp.$$
mkdir -p "$work/bin" "$work/left"
cp "$HYP" "$work/bin/$hyp_name"
chmod 755 "$work" "$work/bin" "$work/bin/$hyp_name"
chmod 1777 "$work/left"
BADINPUT_AS=

# One process for all of /proc: in the lab each costs a tenth of a second.
processes_left() {
	grep -qsx "$hyp_name" /proc/[0-9]*/comm
}

# hyp with TMPDIR in a directory where nothing may stay
run_bad() {
	# shellcheck disable=SC2086 # BADINPUT_AS is a command
	TMPDIR=$work/left timeout 60 $BADINPUT_AS "$work/bin/$hyp_name" "$@" \
		</dev/null >"$work/out" 2>"$work/err"
	code=$?
}

# What is wrong after run_bad(), or nothing.
wrong() {
	[ "$code" = "$1" ] || printf 'exit code %s, not %s; ' "$code" "$1"
	[ "$(wc -l <"$work/err")" = 1 ] || printf '%s lines on standard error; ' "$(wc -l <"$work/err")"
	grep -q '^hyp: ' "$work/err" || printf 'no "hyp: "; '
	[ -z "$(ls -A "$work/left")" ] || printf 'left behind: %s; ' "$(ls -A "$work/left")"
	processes_left && printf 'a process is left; '
	return 0
}

# refuse CLAIM ARGUMENTS...
refuse() {
	claim=$1
	shift
	run_bad "$@"
	problem=$(wrong 125)
	if [ -z "$problem" ]; then
		ok "$claim: $(head -c 200 "$work/err" | tr '#\n' '  ')"
	else
		not_ok "$claim"
		diag "$problem"
		diag_file "$work/err" 5
	fi
	rm -rf "$work/left"/*
}
