#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 420
# Bad input: one line on standard error that says what to do, exit code 125,
# nothing left behind.  What needs no KVM runs here, the rest where KVM is.
. "$(dirname "$0")/vm.sh"
need "$HYP" "$GUESTS/hog.elf"
. "$top/selftests/badinput.sh"

GUEST_ELF=$GUESTS/hog.elf
head -c 100 "$GUEST_ELF" >"$work/short.elf"
head -c 9000 "$GUEST_ELF" >"$work/half.elf"
: >"$work/empty"
head -c 1000 /dev/zero >"$work/odd.img"
echo text >"$work/text"

refuse 'no command'
refuse 'unknown command' boot
refuse 'unknown flag' run --kernel "$GUEST_ELF" --frobnicate
refuse 'flag without its value' run --kernel
refuse 'stray argument' run --kernel "$GUEST_ELF" extra
refuse 'no kernel given' run --mem 64M
refuse 'kernel is missing' run --kernel "$work/none"
refuse 'kernel is a directory' run --kernel "$work"
refuse 'initrd is missing' run --kernel "$GUEST_ELF" --initrd "$work/none"
refuse 'disk is missing' run --kernel "$GUEST_ELF" --disk "$work/none"
refuse 'unknown option of a disk' run --kernel "$GUEST_ELF" --disk "$work/text,rw"
refuse 'size that is none' run --kernel "$GUEST_ELF" --mem lots
refuse 'memory of 1 MiB' run --kernel "$GUEST_ELF" --mem 1M
refuse 'negative memory' run --kernel "$GUEST_ELF" --mem -64M
refuse 'memory that overflows' run --kernel "$GUEST_ELF" --mem 99999999999999999999G
refuse 'no CPU' run --kernel "$GUEST_ELF" --cpus 0
refuse 'limit larger than memory' run --kernel "$GUEST_ELF" --mem 64M --limit 128M
refuse 'limit too small' run --kernel "$GUEST_ELF" --mem 64M --limit 2M
refuse 'limit that is no page' run --kernel "$GUEST_ELF" --mem 64M --limit 30000001
refuse 'swap directory is missing' run --kernel "$GUEST_ELF" --mem 64M --limit 32M --swap "$work/none"
refuse 'swap directory is a file' run --kernel "$GUEST_ELF" --mem 64M --limit 32M --swap "$work/text"
refuse 'storm without hints' run --kernel "$GUEST_ELF" --storm --no-hints
refuse 'statistics cannot be written' run --kernel "$GUEST_ELF" --stats "$work/none/x"
if [ -e /dev/kvm ]; then
	skip 'no /dev/kvm' 'there is one here'
else
	refuse 'no /dev/kvm' run --kernel "$GUEST_ELF"
	expect 'and the line names it' grep -q /dev/kvm "$work/err"
fi

export HYP GUESTS KERNEL INITRD DISK
lab --timeout 240 sh "$top/selftests/badinput-kvm.sh" "$work" >"$work/kvm.out" 2>"$work/kvm.err"
if retap kvm "$work/kvm.out"; then
	ok 'the part under KVM runs to its end'
else
	not_ok 'the part under KVM runs to its end'
	diag_file "$work/kvm.err"
	diag_file "$work/kvm.out"
fi
finish
