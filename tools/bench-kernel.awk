# SPDX-License-Identifier: GPL-2.0-only
# The table of bench-kernel and its gates.  Input: a line for each measured region,
# "side boot workload operations instructions repetitions nops", tabs between.
# Set by the caller: table, where the figures go.
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
}

function sort_values(key,   i, j, v) {
	for (i = 2; i <= count[key]; i++) {
		v = values[key, i]
		for (j = i - 1; j > 0 && values[key, j] > v; j--)
			values[key, j + 1] = values[key, j]
		values[key, j + 1] = v
	}
}

# Half the spread, relative: what one figure may be off by.
function summarise(key,   n) {
	n = count[key]
	sort_values(key)
	middle[key] = (values[key, int((n + 1) / 2)] + values[key, int(n / 2) + 1]) / 2
	noise[key] = (values[key, n] - values[key, 1]) / 2 / middle[key]
	reps[key] /= n
	nops[key] /= n
}

function has_ratio(side) {
	return side != base && have[side]
}

function ratio(side, w) {
	return middle[side, w] / middle[base, w]
}

# As the emulator counts, for which a page that is cleared is thousands of instructions.
function emulated_ratio(side, w) {
	return (middle[side, w] + reps[side, w]) / (middle[base, w] + reps[base, w])
}

function percent(x) {
	return sprintf("%+.3f %%", 100 * x)
}

function gate(claim, ok) {
	printf "%-6s %s\n", ok ? "met" : "MISSED", claim
	if (!ok)
		missed = 1
}

# A static branch that is not taken is a no-operation: what is left has to be the same.
function gate_off(w,   limit, diff, more) {
	if (!known[w] || base != "stock" || !have["off"])
		return
	limit = noise["stock", w] + noise["off", w]
	if (limit < floor)
		limit = floor
	more = nops["off", w] - nops["stock", w]
	diff = ratio("off", w) - 1 - more / middle["stock", w]
	gate(sprintf("compiled in but off, %s: %s and %.1f no-operations of static branches (%s); not measurable within %.3f %%",
		     w, percent(diff), more, percent(more / middle["stock", w]), 100 * limit),
	     diff <= limit && diff >= -limit)
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
		printf "\t%s\t%s_noise\t%s_repetitions\t%s_nops", sides[s], sides[s], sides[s], sides[s] >table
		printf " %11s", sides[s]
		if (has_ratio(sides[s]))
			printf " %9s", "/" base
	}
	printf "  repeatable\n"
	printf "\n" >table
	for (i = 1; i <= nr; i++) {
		w = workloads[i]
		worst_noise = 0
		printf "%s\t%d", w, ops[w] >table
		for (s = 1; s <= nr_sides; s++) {
			key = sides[s] SUBSEP w
			if (!count[key])
				continue
			summarise(key)
			printf "\t%.2f\t%.6f\t%.2f\t%.2f", middle[key], noise[key],
				reps[key], nops[key] >table
			if (noise[key] > worst_noise)
				worst_noise = noise[key]
		}
		printf "\n" >table
		printf "%-20s %8d", w, ops[w]
		for (s = 1; s <= nr_sides; s++) {
			if (have[sides[s]])
				printf " %11.1f", middle[sides[s], w]
			if (has_ratio(sides[s]))
				printf " %9.5f", ratio(sides[s], w)
		}
		printf "  +-%.3f %%\n", 100 * worst_noise
		if (has_ratio("on") && w != "build" && ratio("on", w) > worst) {
			worst = ratio("on", w)
			worst_name = w
		}
	}
	close(table)
	print "\nInstructions retired for one operation, user and kernel, all CPUs (median)."
	print "off: no hypervisor for it; on: no pressure, no ageing pass; ageing: a pass each 200 ms.\n"
	gate_off("page_fault")
	gate_off("read_4k")
	gate_off("read_64k")
	gate_off("fork_exit")
	if (base != "stock")
		print "(Against the same image without a hypervisor, not against a kernel without the patches.)"
	if (has_ratio("on")) {
		if (known["build"])
			gate(sprintf("on, build: %s, at most %.2f %%", percent(ratio("on", "build") - 1),
				     100 * build_limit), ratio("on", "build") - 1 <= build_limit)
		gate(sprintf("on, worst microbenchmark (%s): %s, at most %.2f %%", worst_name,
			     percent(worst - 1), 100 * micro_limit), worst - 1 <= micro_limit)
		print "       with each repetition of a string instruction as an instruction, as the emulator counts:"
		for (i = 1; i <= nr; i++)
			if (workloads[i] != "calibrate")
				printf "       on, %s: %s\n", workloads[i],
					percent(emulated_ratio("on", workloads[i]) - 1)
	}
	exit missed
}
