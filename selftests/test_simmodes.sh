#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 900
# test_modes.sh for the kernel that plays its own hypervisor, under plain QEMU.
export MODES_VMM=qemu
O=${O:-build}
export KERNEL="${SIM_KERNEL:-$O/kernel/bzImage-sim}"
exec "$(dirname "$0")/test_modes.sh"
