#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 3600
# A Debian 12 that debootstrap has made (tools/mkdebian) boots to its login prompt, and goes
# down when hyp stop presses its power button: with Debian's own kernel and initrd, and with
# ours.  DEBIAN_KERNELS='own patched': one of them.
. "$(dirname "$0")/vm.sh"
debian=$O/debian
patched=$O/kernel/bzImage-debian
need "$HYP" "$debian/root.img"
PATH=$PATH:/sbin:/usr/sbin

# boots NAME ARGS...: with the kernel that ARGS name
boots() {
	name=$1 dir=$work/$1
	shift
	mkdir "$dir"
	cp --sparse=always --reflink=auto "$debian/root.img" "$dir/disk.img"
	lab --timeout 1700 sh "$top/selftests/debian-kvm.sh" "$dir" \
		"$HYP" run "$@" --disk "$dir/disk.img" --mem 512M --cpus 2 --timeout 1600 \
		--cmdline "root=/dev/vda rw systemd.journald.forward_to_console=1" \
		>"$dir/out" 2>"$dir/err"
	code=$?
	touch "$dir/console" "$dir/times"
	tr -d '\r' <"$dir/console" >"$dir/text"
	expect "$name kernel: it boots to a login prompt" grep -q 'login: ' "$dir/text"
	# It waits for half a minute, which is not enough here.
	expect "$name kernel: hyp stop presses the button" \
		sh -c "[ -e '$dir/stop.out' ] && ! grep -v 'has not ended in time' '$dir/stop.out'" ||
		diag_file "$dir/stop.out"
	expect "$name kernel: systemd hears it" grep -q 'Power key pressed' "$dir/text"
	expect "$name kernel: it powers off, and hyp ends well" [ "$code" = 0 ] || {
		diag "exit code $code"
		diag_file "$dir/err"
		diag_file "$dir/text" 40
	}
	expect "$name kernel: no complaint of the kernel's" \
		sh -c "! grep -E 'BUG:|WARNING: CPU|Oops|invalid opcode|Call Trace' '$dir/text'"
	expect "$name kernel: the disk is clean" \
		sh -c "e2fsck -fn '$dir/disk.img' >'$dir/fsck' 2>&1" || diag_file "$dir/fsck"
	diag "$name kernel: $(tr '\n' ' ' <"$dir/times")"
}

for kernel in ${DEBIAN_KERNELS:-own patched}; do
	case $kernel in
	own) boots own --kernel "$debian/vmlinuz" --initrd "$debian/initrd" ;;
	*) boots patched --kernel "$patched" ;;
	esac
done
finish
