#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 7200
# ext4 as people configure it: blocks smaller than a page, data in the journal (nothing is
# volatile then), no delayed allocation, small files in their inodes.  Each is one run of
# test_ksim.sh; SIM_KERNEL and so on as there, KSELFTESTS=NAME,NAME... are other programs.
. "$(dirname "$0")/vm.sh"
tests=${KSELFTESTS:-read,write,resize,map,mode}

# ext4 NAME MKFS-OPTIONS MOUNT-OPTIONS
ext4() {
	KSELFTESTS=$tests FS=ext4 KSELFTEST_MKFS="$2" KSELFTEST_CMDLINE="opts=$3" O=$O \
		KSELFTEST_CONSOLE=$O/ext4-$1.console "$top/selftests/test_ksim.sh" >"$work/one"
	expect "$1: ran to the end" retap "$1" "$work/one"
}

ext4 blocks-of-1k '-b 1024' ''
ext4 data-journal '-b 4096' data=journal
ext4 nodelalloc '-b 4096' nodelalloc
ext4 inline-data '-b 4096 -I 256 -O inline_data' ''
finish
