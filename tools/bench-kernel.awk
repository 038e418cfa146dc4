# SPDX-License-Identifier: GPL-2.0-only
# The table of bench-kernel and its gates.  Input: a line for each measured region,
# "side boot workload operations instructions repetitions nops", tabs between, in the
# order of the rounds of each boot.  Set by the caller: table, where the figures go.
#
# Boots with one number have the same seed, and a kernel changes from round to round, by
# how its free memory is scattered: a ratio is the median of those between the same
# rounds of the same boots.
BEGIN {
	FS = "\t"
	nr_sides = split("stock off on ageing", sides, " ")
	# What differs from boot to boot: hashes, addresses, where the clock ticks.
	floor = 0.0005
	build_limit = 0.0025
	micro_limit = 0.005
}

{
	key = $1 SUBSEP $3
	if (!($3 in known)) {
		known[$3] = 1
		workloads[++nr] = $3
	}
	ops[$3] = $4
	n = ++count[key]
	values[key, n] = $5 / $4
	reps[key] += $6 / $4
	nops[key] += $7 / $4
	have[$1] = 1
	round = $2 SUBSEP (++rounds[key, $2])
	name[key, n] = round
	retired[key, round] = $5
	executed[key, round] = $5 + $6
}

function sort_values(key,   i, j, v) {
	for (i = 2; i <= count[key]; i++) {
		v = values[key, i]
		for (j = i - 1; j > 0 && values[key, j] > v; j--)
			values[key, j + 1] = values[key, j]
		values[key, j + 1] = v
	}
}

function median(key) {
	sort_values(key)
	return (values[key, int((count[key] + 1) / 2)] + values[key, int(count[key] / 2) + 1]) / 2
}

# Two standard errors of a median, from the median of the deviations from it.
function spread(key, from,   i, n, off) {
	n = count[key]
	off = key SUBSEP "deviations"
	count[off] = n
	for (i = 1; i <= n; i++) {
		values[off, i] = values[key, i] - from
		if (values[off, i] < 0)
			values[off, i] = -values[off, i]
	}
	return 2 * 1.858 * median(off) / sqrt(n)
}

# The ratio of what is counted in the same rounds to that of the base.
function compare(key, base_key, counted, out,   i, n, round, ratios) {
	ratios = key SUBSEP out
	n = 0
	for (i = 1; i <= count[key]; i++) {
		round = name[key, i]
		if ((base_key, round) in counted)
			values[ratios, ++n] = counted[key, round] / counted[base_key, round]
	}
	count[ratios] = n
	return n ? median(ratios) : 0
}

function summarise(side, w,   key, base_key, n) {
	key = side SUBSEP w
	base_key = base SUBSEP w
	n = count[key]
	reps[key] /= n
	nops[key] /= n
	ratio[key] = compare(key, base_key, retired, "retired")
	noise[key] = spread(key SUBSEP "retired", ratio[key])
	executed_ratio[key] = compare(key, base_key, executed, "executed")
	# sorted from here on
	middle[key] = median(key)
}

function has_ratio(side) {
	return side != base && have[side]
}

function percent(x) {
	return sprintf("%+.3f %%", 100 * x)
}

function gate(claim, ok) {
	printf "%-6s %s\n", ok ? "met" : "MISSED", claim
	if (!ok)
		missed = 1
}

# A static branch that is not taken is a no-operation: what is left is not to be more.
# (Fewer are the compiler's luck with functions that have one.)
function gate_off(w,   limit, diff, more) {
	if (!known[w] || base != "stock" || !have["off"])
		return
	limit = noise["off", w] > floor ? noise["off", w] : floor
	more = nops["off", w] - nops["stock", w]
	diff = ratio["off", w] - 1 - more / middle["stock", w]
	gate(sprintf("compiled in but off, %s: %s and %.1f no-operations of static branches (%s); not measurable within %.3f %%",
		     w, percent(diff), more, percent(more / middle["stock", w]), 100 * limit),
	     diff <= limit)
}

function gate_on(w, limit,   x) {
	x = executed_ratio["on", w] - 1
	if (known[w])
		gate(sprintf("on, %s: %s as the emulator counts (%s as processors do), at most %.2f %%",
			     w, percent(x), percent(ratio["on", w] - 1), 100 * limit), x <= limit)
}

END {
	for (s = nr_sides; s > 0; s--)
		if (have[sides[s]])
			base = sides[s]
	printf "%-20s %8s", "workload", "ops"
	printf "workload\tops" >table
	for (s = 1; s <= nr_sides; s++) {
		if (!have[sides[s]])
			continue
		printf "\t%s\t%s_ratio\t%s_noise\t%s_repetitions\t%s_nops", sides[s], sides[s], sides[s], sides[s], sides[s] >table
		printf " %11s", sides[s]
		if (has_ratio(sides[s]))
			printf " %9s +-%%     ", "/" base
	}
	printf "\n"
	printf "\n" >table
	for (i = 1; i <= nr; i++) {
		w = workloads[i]
		printf "%s\t%d", w, ops[w] >table
		printf "%-20s %8d", w, ops[w]
		for (s = 1; s <= nr_sides; s++) {
			key = sides[s] SUBSEP w
			if (!count[key])
				continue
			summarise(sides[s], w)
			printf "\t%.2f\t%.6f\t%.6f\t%.2f\t%.2f", middle[key], ratio[key], noise[key],
				reps[key], nops[key] >table
			printf " %11.1f", middle[key]
			if (has_ratio(sides[s]))
				printf " %9.5f %-8.3f", ratio[key], 100 * noise[key]
		}
		printf "\n"
		printf "\n" >table
	}
	close(table)
	print "\nInstructions retired for one operation, user and kernel, all CPUs (median); ratios of the"
	print "same rounds, and two standard errors of them."
	print "off: no hypervisor for it; on: no pressure, no ageing pass; ageing: a pass each 200 ms.\n"
	gate_off("page_fault")
	gate_off("read_4k")
	gate_off("read_64k")
	gate_off("fork_exit")
	if (base != "stock")
		print "(Against the same image without a hypervisor, not against a kernel without the patches.)"
	if (has_ratio("on")) {
		gate_on("build", build_limit)
		gate_on("parallel_page_fault", micro_limit)
		gate_on("parallel_16m", micro_limit)
		print "       The emulator counts each repetition of a string instruction; of the others:"
		for (i = 1; i <= nr; i++)
			if (workloads[i] !~ /^(calibrate|build|parallel_.*)$/)
				printf "       on, %s: %s (%s)\n", workloads[i],
					percent(executed_ratio["on", workloads[i]] - 1),
					percent(ratio["on", workloads[i]] - 1)
	}
	exit missed
}
