#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The kernel carries verbatim copies of the interface's headers.  Rebuilds them
# from the series and compares: only SPDX line, include lines and the guard's
# name may differ.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# what the series makes of FILE, which it creates
from_series() {
	for patch in kernel-patches/6.12/*.patch; do
		[ -e "$patch" ] || continue
		awk -v want="b/$1" '/^diff --git / { on = $4 == want } /^-- $/ { on = 0 } on' \
			"$patch" >"$tmp/diff"
		[ ! -s "$tmp/diff" ] || patch -s -p1 -d "$tmp" <"$tmp/diff"
	done
}

normal() {
	sed -E -e '1{/SPDX-License-Identifier/d}' -e '/^#include /d' \
		-e 's/^(#ifndef|#define) _[A-Z0-9_]*_H_?$/\1 GUARD/' \
		-e 's,^(#endif /\* )!?_[A-Z0-9_]*_H_?( \*/)$,\1GUARD\2,' "$1"
}

compare() {
	from_series "$2"
	[ -e "$tmp/$2" ] || {
		echo "abi: the series has no $2 yet"
		return
	}
	normal "$1" >"$tmp/ours"
	normal "$tmp/$2" >"$tmp/theirs"
	diff -u --label "$1" --label "$2" "$tmp/ours" "$tmp/theirs" >&2 || {
		echo "abi: $2 in the series differs from $1" >&2
		bad=1
	}
}
compare essa-emu/include/essa/abi.h arch/x86/include/asm/essa.h
compare essa-emu/include/essa/step.h arch/x86/include/asm/essa_step.h
exit $bad
