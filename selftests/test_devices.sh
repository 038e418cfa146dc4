#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 420
# Debian's own kernel under hyp finds processors and devices in the ACPI tables, uses each
# with its own driver, hears its power button and powers off.
. "$(dirname "$0")/vm.sh"
deb=$O/lab/deb
need "$HYP" "$STOCK_KERNEL" "$deb/stamp"

set --
for module in virtio_mmio virtio_blk virtio_balloon virtio-rng evdev button; do
	file=$(find "$deb/lib" -name "$module.ko.xz")
	[ -n "$file" ] || { not_ok "Debian has a module $module"; finish; }
	xz -dc "$file" >"$work/$module.ko"
	set -- "$@" "modules/$module.ko=$work/$module.ko"
done
"$top/tools/mkinitrd" --busybox "$work/initrd" init="$top/selftests/devices-init" "$@"
head -c 1M /dev/urandom >"$work/disk.img"

md5sum <"$work/disk.img" >"$work/sum"
head -c 1M /dev/urandom >"$work/blob"
echo "typed here" >"$work/input"
lab --timeout 300 sh "$top/selftests/devices-kvm.sh" "$work" \
	"$HYP" run --kernel "$STOCK_KERNEL" --initrd "$work/initrd" \
	--disk "$work/disk.img,serial=lab-disk" --mem 256M --cpus 2 --balloon 32M \
	--cmdline quiet --timeout 240 --summary "$work/summary" >"$work/out" 2>"$work/err"
code=$?
touch "$work/console" "$work/summary" "$work/stats" "$work/answer" "$work/blob.back"
tr -d '\r' <"$work/console" | sed -n 's/^.*GUEST //p' >"$work/guest"

said() {
	sed -n "s/^$1 //p" "$work/guest"
}

# most COLUMN: the largest value in the statistics
most() {
	awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
		$c > most { most = $c } END { print most + 0 }' "$work/stats"
}

expect "it powers off, and hyp ends well" [ "$code" = 0 ] || {
	diag "exit code $code"
	diag_file "$work/err"
	diag_file "$work/console" 40
}
expect "it has both processors" [ "$(said cpus)" = 2 ]
expect "entropy comes from virtio" [ "$(said rng)" = virtio_rng.0 ]
expect "as much as it asks for" [ "$(said random)" = 512 ]
expect "hyp counts it" [ "$(value "$work/summary" entropy_bytes)" -ge 512 ]
expect "the disk is the file" [ "$(said disk)" = "$(cat "$work/sum")" ]
expect "and is told by its serial number" [ "$(said serial)" = lab-disk ]
expect "with a queue for each processor" [ "$(said queues)" = 2 ]
expect "standard input is the virtio console's" [ "$(said hvc)" = "typed here" ]
expect "and its output joins the serial console's" [ "$(said hvc_says)" = so ]
expect "a channel has its name" [ "$(said channel)" = org.hyp.test ]
expect "the guest hears a client" [ "$(said heard)" = ask ]
expect "which hears the guest" [ "$(cat "$work/answer")" = "answer to ask" ]
expect "the next client is another conversation" [ "$(said heard_next)" = more ]
expect "a mebibyte gets into the guest" [ "$(said heard_sum)" = "$(md5sum <"$work/blob")" ]
expect "and another out of it" [ "$(md5sum <"$work/blob.back")" = "$(cat "$work/sum")" ]
expect "the socket goes with the machine" [ ! -e "$work/channel" ]
expect "what it discards is gone" cmp -s -n 65536 -i 524288:0 "$work/disk.img" /dev/zero
expect "the balloon reaches its target" [ "$(said balloon)" = 8192 ]
expect "hyp sees all of it" [ "$(value "$work/summary" balloon_inflated)" -ge 8192 ]
# At the end the driver has let go of it.
expect "the guest says that it is there" [ "$(most balloon_actual)" = 33554432 ]
expect "free pages are reported" [ "$(value "$work/summary" balloon_reported)" -ge 512 ]
expect "memory of the host's comes back" [ "$(value "$work/summary" mem_given_up)" -ge 4096 ]
# In bytes here, in KiB there.
expect "the guest's statistics are its own" \
	[ "$(value "$work/summary" guest_total_memory)" = $(($(said total | grep . || echo 0) * 1024)) ]
expect "it hears the power button once" [ "$(said button)" = 1 ]
diag "$(cat "$work/guest")"
finish
