#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# TIMEOUT: 900
# The protocol, proven with spin.
exec "$(dirname "$0")/../essa-emu/models/run" "$@"
