# SPDX-License-Identifier: GPL-2.0-only
# What the guest of chart-states says, as a table for the picture and one to read.
# Set by the caller: name of the run, table and marks (files to write), least: percent of
# the resident pages that have to be volatile after the grep; 0: none.
BEGIN {
	OFS = "\t"
	print "seconds", "phase", "Sr", "Sp", "Sz", "Ur", "Up", "Uz", "Vr", "Vp", "Vz", "Pr", "Pp", "Pz" >table
	print "seconds", "phase" >marks
}

/^PHASE: / {
	phases[++nr] = $2
	begins[nr] = $3
	print $3, $2 >marks
}

# The phase that a sample is in; those before the first are the kernel's.
function phase_at(time,   i) {
	for (i = nr; i > 0; i--)
		if (time >= begins[i])
			return phases[i]
	return "start"
}

/^STATES: / && NF == 14 {
	phase = phase_at($2)
	line = $2 OFS phase
	for (i = 3; i <= 14; i++)
		line = line OFS $i
	print line >table
	# The last one of a phase: three seconds after all was done.
	last[phase] = line
	samples++
}

/^pg(scan|steal)_/ { reclaimed += $2; counters++ }

function share(x, all) {
	return sprintf("%6.1f %%", 100 * x / all)
}

END {
	if (!samples || counters != 4 || !("clean" in last)) {
		print "chart-states: the guest did not say all of it" >"/dev/stderr"
		exit 1
	}
	printf "%-42s%8s %8s %8s%12s\n", name ": share of resident pages after", "stable", "unused",
		"volatile", "resident"
	n = split("boot grep build clean", order, " ")
	for (i = 1; i <= n; i++) {
		split(last[order[i]], v, OFS)
		resident = v[3] + v[6] + v[9] + v[12]
		volatile = v[9] + v[12]
		printf "%-42s%s %s %s%8.1f MiB\n", "    " order[i], share(v[3], resident),
			share(v[6], resident), share(volatile, resident), resident / 256
		if (order[i] == "grep")
			after = 100 * volatile / resident
	}
	printf "%s: share of resident pages volatile after grep: %.0f %%\n", name, after
	printf "%s: pages that the guest looked at or took in reclaim of its own: %d\n\n", name, reclaimed
	if (least && (after < least || reclaimed)) {
		printf "chart-states: at least %d %% have to be, without reclaim by the guest\n", least >"/dev/stderr"
		exit 1
	}
}
