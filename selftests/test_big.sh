#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 5400
# Machines larger than this one: memory is sparse, and processors take turns.  Debian's own
# kernel, as ours is built for fewer processors.  Linux itself writes to a 64th of its memory,
# a description of each page, a page after another: that is what takes its time where KVM
# is emulated, many minutes for 64 GiB.  BIG='CPUS:GIB ...': others than 16:1.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$STOCK_KERNEL"
"$top/tools/mkinitrd" --busybox "$work/initrd" init="$top/selftests/big-init"

# big CPUS MEMORY-GIB
big() {
	dir=$work/$1:$2
	mkdir "$dir"
	touch "$dir/console" "$dir/status" "$dir/seconds"
	lab --timeout 2600 sh "$top/selftests/big-kvm.sh" "$dir" \
		"$HYP" run --kernel "$STOCK_KERNEL" --initrd "$work/initrd" --control none \
		--cpus "$1" --mem "$2G" --swap none --timeout 2400 >"$dir/out.lab" 2>"$dir/err"
	code=$?
	tr -d '\r' <"$dir/console" | sed -n 's/^.*GUEST //p' >"$dir/guest"
	expect "$1 processors, $2 GiB: it boots, powers off, and hyp ends well" [ "$code" = 0 ] || {
		diag "exit code $code"
		diag_file "$dir/err"
		diag_file "$dir/console" 20
	}
	expect "all processors run" [ "$(value "$dir/guest" cpus)" = "$1" ]
	# Of each GiB it keeps up to a tenth for itself.
	expect "all memory is there" [ "$(value "$dir/guest" mem)" -ge $(($2 * 943718)) ]
	rss=$(value "$dir/status" VmHWM:)
	expect "a 40th of it is resident at most, beside 512 MiB" \
		sh -c "[ $rss -gt 0 ] && [ $rss -le $(($2 * 1048576 / 40 + 524288)) ]"
	diag "$1 processors, $2 GiB: $(cat "$dir/seconds") s until its init," \
		"$(value "$dir/guest" up) s by its clock; hyp has $((rss / 1024)) MiB resident"
}

for machine in ${BIG:-16:1}; do
	big "${machine%:*}" "${machine#*:}"
done
finish
