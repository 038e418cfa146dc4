#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Formats the C files of the tree with .clang-format; --check only says which
# differ.  The kernel shares essa-emu/include and has its own opinion there.
set -eu
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || {
	echo 'check-format: not checked: clang-format is missing (apt-get install clang-format)' >&2
	[ "${1:-}" = --check ]
	exit
}
files=$(git ls-files '*.c' '*.h' ':!essa-emu/include')
# shellcheck disable=SC2086 # no spaces in their names
case ${1:-} in
'') clang-format -i $files ;;
--check) clang-format --dry-run -Werror $files || {
	echo 'check-format: make format mends it' >&2
	exit 1
} ;;
*) echo 'usage: check-format.sh [--check]' >&2; exit 1 ;;
esac
