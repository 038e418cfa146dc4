#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 1500
# Two CPUs and the host on the same frames (guest-tests/race.c): what the host
# has discarded and what the guest found have to be the same, and each rule that
# is broken on purpose has to be noticed.  SEED= repeats a run as far as the
# guest's random numbers go; LONG=1 takes five times as long.
# Not run here: break=1 and break=5, which were not noticed in 3 million transitions.
. "$(dirname "$0")/vm.sh"
HYP_LATE=${HYP_LATE:-$O/late/hyp/hyp}
need "$HYP" "$HYP_LATE" "$GUESTS/race.elf"
seed=${SEED:-$(date +%s)}
transitions=10000000
[ "${LONG:-0}" = 0 ] || transitions=50000000
# Two emulated processors: they switch at any instruction, not by the tick only.
export LAB_CPUS="${LAB_CPUS:-2}"

lab --timeout 900 "$HYP" run --kernel "$GUESTS/race.elf" --mem 64M --cpus 2 --storm \
	--test-hooks --limit 16M --swap "$work" --summary "$work/summary" --timeout 880 \
	--cmdline "seed=$seed transitions=$transitions ballast=20" \
	>"$work/race.out" 2>"$work/race.err"
code=$?
retap race "$work/race.out" && complete=1 || complete=0
expect "race: runs to its end" [ "$complete$code" = 10 ] || {
	diag "exit code $code, SEED=$seed"
	diag_file "$work/race.err"
	diag_file "$work/race.out"
}

# same NAME GUEST HOST: a figure of the guest's totals is one of the host's
same() {
	expect "$1" [ "$(totals "$work/race.out" "$2")" = "$(value "$work/summary" "$3")" ] ||
		diag "guest $2 $(totals "$work/race.out" "$2"), host $3 $(value "$work/summary" "$3")"
}

# some NAME FIGURE
some() {
	expect "$1" [ "$(value "$work/summary" "$2")" -gt 0 ]
}

if [ -s "$work/summary" ]; then
	diag "$(tr -d '\r' <"$work/race.out" | grep ^TOTALS:)"
	diag "$(grep -E '^(wall_ms|mem_.*(discard|swapped|fault|busy)|discard_)' "$work/summary" |
		tr '\n' ' ')"
	expect "$transitions transitions" \
		[ "$(totals "$work/race.out" transitions)" -ge "$transitions" ]
	same "every discard is found once, none is invented" discards mem_discarded_volatile
	same "every discard fault arrives" faults discard_faults_injected
	some "unused pages are discarded" mem_discarded_unused
	some "pages are paged out" mem_swapped_out
	some "and in again" mem_swapped_in
	some "a page in release is waited for" mem_busy_waits
else
	not_ok "hyp writes a summary"
fi

# Broken on purpose; the numbers are those of enum broken in race.h.  All in one
# lab machine, which takes longer to start than they take.
cat >"$work/broken.sh" <<END
run() {
	hyp=\$1 name=\$2
	"\$hyp" run --kernel "$GUESTS/race.elf" --mem 64M --cpus 2 --storm --test-hooks \\
		--swap "$work" --timeout 90 --cmdline "seed=$seed transitions=3000000 break=\$3" \\
		>"$work/\$name.out" 2>"$work/\$name.err"
	echo \$? >"$work/\$name.code"
}
run "$HYP" no-ref-check 2
run "$HYP" store 3
run "$HYP" no-wait 4
run "$HYP" found-by-both 6
run "$HYP_LATE" late-release 0
END
lab --timeout 500 sh "$work/broken.sh" >"$work/broken.out" 2>&1 || diag_file "$work/broken.out"

# Found by a check of the race, not by an end of another kind.
caught() {
	[ "$(cat "$work/$1.code" 2>/dev/null)" = 1 ] && grep -q '^# wrong: ' "$work/$1.out"
}

for name in no-ref-check store no-wait found-by-both late-release; do
	expect "broken on purpose and noticed: $name" caught "$name" ||
		diag_file "$work/$name.out"
	diag "$name: $(tr -d '\r' <"$work/$name.out" | sed -n 's/^# wrong: //p')"
done
finish
