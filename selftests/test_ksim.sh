#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 7200
# The kernel's own tests of page hinting in the kernel that plays its own hypervisor
# (page_states=sim), under plain QEMU.  KSELFTESTS and FS as in test_kselftest.sh.
export KSELFTEST_VMM=qemu
O=${O:-build}
export KERNEL="${SIM_KERNEL:-$O/kernel/bzImage-sim}" KSELFTESTS="${KSELFTESTS:-all}"
export KSELFTEST_CONSOLE="${KSELFTEST_CONSOLE:-$O/ksim.console}"
exec "$(dirname "$0")/test_kselftest.sh"
