#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Every tracked file names its licence in its first lines; data and the licence
# text itself are exempt.
set -eu
bad=0
for file in $(git ls-files); do
	case $file in
	COPYING | */COPYING.* | hyp/fuzz/corpus/* | *.patch | *.trace | *.csv | *.dat | *.json | *.svg | *.png | *.txt) continue ;;
	esac
	[ -f "$file" ] || continue
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' && continue
	printf 'license: no SPDX line: %s\n' "$file" >&2
	bad=1
done
[ -s COPYING ] || {
	echo 'license: COPYING is missing' >&2
	bad=1
}
exit $bad
