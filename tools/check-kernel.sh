#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Checks a series patch by patch: checkpatch --strict; a build with the feature
# on and off; a boot, as soon as there is a simulated hypervisor with the feature in
# use; no new warning (W=1 and sparse) in the C files it touches, with all that the
# feature has to go together with.
# Each tree grows from the one before, so later patches build incrementally.
# What was good is noted in DIR/good by content: an interrupted run goes on, and
# a changed patch has only those behind it checked again.
set -eu

die() {
	printf 'kernel-check: %s\n' "$1" >&2
	exit 1
}

# stamp WAY PATCH...: the name of what is checked
stamp() {
	way=$1
	shift
	{
		# not the headers: these count the patches of the series
		for p; do sed -n '/^diff --git /,$p' "$p"; done
		cat "$config/guest.config" "$config/page-states.config" \
			"$config/wide.config" "$config/sim.config" "$tools/kernel-config" \
			"$tools/kernel-build" "$tools/kernel-boot-test"
		dpkg-query -W gcc linux-source-6.12 sparse
	} | sha256sum | sed "s,^\\(.\\{16\\}\\).*,$dir/good/\\1-$way,"
}

[ $# -ge 1 ] || die 'usage: check-kernel.sh DIR [PATCH...] (WAYS=on: only with the feature)'
dir=$1
shift
[ $# -gt 0 ] || {
	echo 'kernel-check: the series is empty'
	exit 0
}
tools=$(dirname "$0")
config=$tools/../kernel-patches
mkdir -p "$dir/good"
src=$dir/src bad=0 apart=

# warnings of those of the given files that are built, without line numbers: these move
warnings() {
	for c; do
		[ -e "$src/$c" ] || continue
		case $c in *.c) ;; *) continue ;; esac
		# a file of the series that cannot be configured yet
		case $own in *" $c "*) [ -e "$dir/on/${c%.c}.o" ] || continue ;; esac
		out=$dir/wide
		[ -z "$apart" ] || [ ! -e "$apart/${c%.c}.o" ] || out=$apart
		touch "$src/$c"
		make -s -C "$src" O="$(readlink -f "$out")" W=1 C=1 "${c%.c}.o" 2>&1 |
			sed -nE 's/^([^ ]+):[0-9]+:[0-9]+: ((fatal )?error|warning): /\1: /p' || :
	done | LC_ALL=C sort -u
}

# Configure OUT with FRAGMENT..., and with what there is of page states yet.
configure() {
	out=$1
	shift
	cat "$config/page-states.config" "$config/sim.config" >"$dir/options"
	"$tools/kernel-config" --partial "$src" "$out" "$@" "$dir/options"
}

# Can pages be volatile, in OUT, if they can be at all?
is_volatile() {
	! grep -q '^config PAGE_STATES_VOLATILE' "$src/mm/Kconfig" ||
		grep -q '^CONFIG_PAGE_STATES_VOLATILE=y' "$1/.config"
}

fail() {
	printf 'kernel-check: FAILED: %s\n' "$1" >&2
	bad=$((bad + 1))
}

# what its maintainers would have to live with
"$tools/series-lines" 600 "$@" || fail 'the series adds too many lines to the core of mm'

own=" $(awk '/^--- \/dev\/null/ { getline; sub("^[+]* b/", ""); print }' "$@" | tr '\n' ' ') "
all=$(sed -n 's,^diff --git a/.* b/\(.*\.c\)$,\1,p' "$@" | sort -u)
# shellcheck disable=SC2086 # file names of the kernel have no spaces
before=$dir/unpatched.$({ echo $all; cat "$config/guest.config" "$config/wide.config"
	dpkg-query -W linux-source-6.12; } | sha256sum | cut -c1-16)
if [ ! -e "$before" ]; then
	echo 'kernel-check: the unpatched tree, for comparison (up to 15 minutes)'
	"$tools/kernel-src" "$src"
	"$tools/kernel-config" "$src" "$dir/wide" "$config/guest.config" "$config/wide.config"
	"$tools/kernel-build" "$src" "$dir/wide" prepare
	"$tools/kernel-config" "$src" "$dir/off" "$config/guest.config"
	"$tools/kernel-build" "$src" "$dir/off"
	# with either configuration: patches are looked at in both
	for apart in '' "$dir/off"; do
		# shellcheck disable=SC2086
		warnings $all
	done | LC_ALL=C sort -u >"$dir/unpatched.new"
	mv "$dir/unpatched.new" "$before"
fi

done=
for patch; do
	done="$done $patch"
	name=${patch##*/}
	printf 'kernel-check: %s\n' "$name"
	"$tools/kernel-checkpatch" "$src" "$patch" || fail "$name: checkpatch"
	for way in ${WAYS:-off on}; do
		# shellcheck disable=SC2086
		good=$(stamp "$way" $done)
		if [ -e "$good" ]; then
			printf 'kernel-check: feature %s: good before\n' "$way"
			continue
		fi
		# shellcheck disable=SC2086
		"$tools/kernel-src" "$src" $done
		was_bad=$bad
		args=
		if [ "$way" = on ]; then
			configure "$dir/on" "$config/guest.config"
			is_volatile "$dir/on" || die 'volatile pages cannot be configured'
			! grep -q '^CONFIG_PAGE_STATES_SIM=y' "$dir/on/.config" ||
				args='page_states=sim'
			configure "$dir/wide" "$config/guest.config" "$config/wide.config"
			# before they go together: the feature there, other options here
			apart=
			is_volatile "$dir/wide" || apart=$dir/on
		else
			"$tools/kernel-config" "$src" "$dir/off" "$config/guest.config"
		fi
		if ! "$tools/kernel-build" "$src" "$dir/$way" 2>"$dir/log"; then
			cat "$dir/log" >&2
			fail "$name: build, feature $way"
		elif [ -s "$dir/log" ]; then
			cat "$dir/log" >&2
			fail "$name: compiler warnings, feature $way"
		# on a single processor the kernel removes such, and the host's are others
		elif [ -e "$dir/$way/arch/x86/kernel/page_states.o" ] &&
			readelf -SW "$dir/$way/arch/x86/kernel/page_states.o" | grep -q '\.smp_locks'; then
			fail "$name: locks of page_states.o that may be removed, feature $way"
		elif ! "$tools/kernel-boot-test" "$dir/$way/arch/x86/boot/bzImage" \
			${args:+"$args"}; then
			fail "$name: boot, feature $way"
		elif [ "$way" = on ]; then
			files=$(sed -n 's,^diff --git a/.* b/\(.*\.c\)$,\1,p' "$patch" | sort -u)
			# shellcheck disable=SC2086
			warnings $files | LC_ALL=C comm -23 - "$before" >"$dir/new"
			[ ! -s "$dir/new" ] || {
				cat "$dir/new" >&2
				fail "$name: new warnings (W=1, sparse)"
			}
		fi
		[ "$bad" -ne "$was_bad" ] || : >"$good"
	done
done
[ "$bad" -eq 0 ] || die "$bad checks failed"
echo 'kernel-check: the series is good'
