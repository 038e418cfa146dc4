# SPDX-License-Identifier: GPL-2.0-only
# Compares what verdict.awk said of two sides, files STOCK and OURS.  Prints lines
# "TABLE case stock ours tests", "DIFF case what"; a difference is what passes in
# STOCK and fails in OURS, or a report of the kernel that STOCK does not have at all.
BEGIN { FS = OFS = "\t" }
{ side = NR == FNR ? "stock" : "ours" }
$3 == "report" {
	if (side == "stock")
		known[$2] = 1
	else if (!($2 in known) && !(($1, $2) in told)) {
		told[$1, $2] = 1
		diffs[++nr_diffs] = $1 OFS "the kernel reports: " $4
	}
	next
}
{ result[side, $1, $2] = $3; detail[side, $1, $2] = $4 }
$2 != "" { tests[side, $1, $3]++; next }
side == "ours" { cases[++nr] = $1 }
side == "ours" || side == "stock" { have[side, $1] = 1 }
side == "ours" && result["stock", $1, ""] == "pass" && $3 == "fail" {
	diffs[++nr_diffs] = $1 OFS "fails: " $4
}
END {
	# tests within a case
	for (key in result) {
		split(key, k, SUBSEP)
		if (k[1] == "ours" && k[3] != "" && result[key] == "fail" &&
		    result["stock", k[2], k[3]] == "pass")
			diffs[++nr_diffs] = k[2] OFS "fails: " k[3]
	}
	for (i = 1; i <= nr; i++) {
		c = cases[i]
		if (!(("stock", c) in have))
			continue
		print "TABLE", c, show("stock", c), show("ours", c), count("stock", c), count("ours", c)
	}
	for (i = 1; i <= nr_diffs; i++)
		print "DIFF", diffs[i]
}

function show(side, c) {
	return result[side, c, ""] (detail[side, c, ""] == "" ? "" : " (" detail[side, c, ""] ")")
}

function count(side, c,   p, f, s) {
	p = tests[side, c, "pass"] + 0
	f = tests[side, c, "fail"] + 0
	s = tests[side, c, "skip"] + 0
	return p + f + s ? p "/" f "/" s : "-"
}
