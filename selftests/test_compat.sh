#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What tools/check-compat makes of guests that pass, fail, hang, crash and complain.
# The guests are made up: no lab, no KVM.
. "$(dirname "$0")/lib.sh"
plan 15
top=$(cd "$(dirname "$0")/.." && pwd)
export O="$tmp/build" HYP=/bin/true LABRUN="$tmp/lab" STOCK_KERNEL="$tmp/stock" KERNEL="$tmp/ours"
export COMPAT_LIST="$tmp/list" COMPAT_POLL=0.2 FLAGS="$tmp"
mkdir -p "$O/compat" "$O/guest-tests/linux"
touch "$O/guest-tests/linux/vmexit" "$O/compat/xfs.img"
PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 "$O/compat/root.img" 1M >"$tmp/mke2fs" 2>&1
echo stock >"$STOCK_KERNEL"
echo ours >"$KERNEL"
sed 's/$/ 5 true/' >"$tmp/list" <<'END'
passes
fails-on-both
skips
fails
fails-once
inner
complains
complains-on-both
crashes
stress-resources
END

# What a lab prints that runs the cases of the initramfs it is given.
cat >"$tmp/lab" <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) side=$(cat "$2") ;;
	--initrd) initrd=$2 ;;
	--summary) summary=$2 ;;
	esac
	shift
done
echo "boot $side" >>"$FLAGS/boots"
echo '[    0.1] Linux'
[ -e "$FLAGS/no-storm" ] || echo "mem_discarded_volatile $((${#side} * 10))" >"$summary"
zcat "$initrd" | cpio -i --quiet --to-stdout cases | while read -r name rest; do
	echo "$side $name" >>"$FLAGS/ran"
	echo "=== case $name"
	rc=0
	case $side,$name in
	ours,fails | *,fails-on-both) rc=1 ;;
	*,skips) rc=4 ;;
	*,stress-resources) rc=3 ;;
	ours,fails-once)
		[ -e "$FLAGS/once" ] || rc=124
		: >"$FLAGS/once" ;;
	ours,inner) printf 'ok 1 - one\nnot ok 2 - two\n' ;;
	*,inner) printf 'ok 1 - one\nok 2 - two\n' ;;
	ours,complains) echo '[ 12.5] WARNING: CPU: 1 PID: 77 at mm/x.c:77 f+0x1/0x2' ;;
	ours,complains-on-both) echo '[ 2.5] WARNING: CPU: 1 PID: 7 at mm/y.c:8 g+0x1/0x2' ;;
	*,complains-on-both) echo '[ 12.5] WARNING: CPU: 0 PID: 9 at mm/y.c:7 g+0x2/0x2' ;;
	ours,crashes) exit 123 ;;
	esac
	echo "=== end $name $rc 1"
done
END
chmod +x "$tmp/lab"

# says REGULAR-EXPRESSION CLAIM
says() {
	grep -qE "$1" "$tmp/out"
	result $? "$2"
}

COMPAT_AGAIN=x "$top/tools/check-compat" >"$tmp/out" 2>&1
is $? 1 "a wrong number of re-runs is refused"
"$top/tools/check-compat" >"$tmp/out" 2>"$tmp/err"
is $? 1 "differences are a failure"
is "$(sed -n 's/^not ok [0-9]* - \([^ ]*\).*/\1/p' "$tmp/out" | tr '\n' ' ')" \
	"fails inner complains crashes " "what passes on stock and fails on ours, and no more"
is "$(grep -c '^ok .*# SKIP$' "$tmp/out")" 2 "what both skip is skipped"
says '^#   run 3: fails: exit code 1$' "three runs, before it counts"
says '^#   run 3: fails: two$' "a test within a case counts"
says '^#   run 2 times on both sides, at last: pass [|] pass$' "what passes then is run twice"
is "$(grep -c 'ours passes$' "$tmp/ran")" 1 "what agrees is run once"
says '^#   run 1: fails: crash$' "a crash is a failure"
says '^# stock: 10 cases: 7 passed, 1 failed, 2 skipped' "sums are right"
says '^ok 11 - volatile pages were discarded in ours: 160$' "and what all boots discarded"

# interrupted: the guest stops, then goes on with what is left
grep -E '^(passes|skips|fails-on-both) ' "$tmp/list" >"$tmp/short"
rm -f "$tmp/ran"
COMPAT_LIST=$tmp/short COMPAT=fails-on "$top/tools/check-compat" >"$tmp/out" 2>"$tmp/err"
is $? 0 "without a difference it ends well"
rm "$O/compat/judged"
COMPAT_LIST=$tmp/short "$top/tools/check-compat" >"$tmp/out" 2>"$tmp/err"
is "$(sort "$tmp/ran" | uniq -d | wc -l)" 0 "no case of an interrupted run is run again"
is "$(grep -c . "$tmp/ran")" 6 "and each once on each side"
touch "$tmp/no-storm"
echo ours-2 >"$KERNEL.2"
KERNEL=$KERNEL.2 COMPAT=passes "$top/tools/check-compat" >"$tmp/out" 2>"$tmp/err"
is "$? $(grep -c '^not ok' "$tmp/out")" "1 1" "a storm that takes nothing is a failure"
finish
