# SPDX-License-Identifier: GPL-2.0-only
# From compare.awk's output for each attempt, in order: TAP with a table of both sides.
# A case fails if it differed in every attempt, or if the kernel reported something.
# -v discarded=volatile pages that hyp took from the patched guest
BEGIN { FS = "\t" }
FNR == 1 { attempt++ }
$1 == "TABLE" && attempt == 1 {
	names[++nr] = $2
	stock[$2] = $3
	ours[$2] = $4
	tests[$2] = $5 "  " $6
	split($3, s, " ")
	split($4, o, " ")
	total["stock", s[1]]++
	total["ours", o[1]]++
	split($5, st, "/")
	split($6, ot, "/")
	for (i = 1; i <= 3; i++) {
		inner["stock", i] += st[i]
		inner["ours", i] += ot[i]
	}
	next
}
$1 == "TABLE" { again[$2] = attempt; now[$2] = $3 " | " $4 }
$1 == "DIFF" {
	differs[$2, attempt] = 1
	why[$2] = why[$2] "#   run " attempt ": " $3 "\n"
	if ($3 ~ /^the kernel reports/)
		bad[$2] = 1
}
END {
	print "TAP version 13\n1.." nr + 1
	printf "# %-28s %-22s %-22s %s\n", "case", "stock", "ours", "its tests passed/failed/skipped"
	for (i = 1; i <= nr; i++) {
		c = names[i]
		last_of = (c in again) ? again[c] : 1
		if (differs[c, last_of])
			bad[c] = 1
		skip = ours[c] ~ /^skip/ && stock[c] !~ /^fail/
		printf "%sok %d - %-28s %-22s %-22s %s%s\n", bad[c] ? "not " : "", i, c, stock[c], ours[c], \
			tests[c], skip && !bad[c] ? " # SKIP" : ""
		if (why[c] != "")
			printf "%s", why[c]
		for (a = 2; a <= last_of; a++)
			reruns++
		if (last_of > 1)
			printf "#   run %d times on both sides, at last: %s\n", last_of, now[c]
		failed += bad[c]
	}
	printf "%sok %d - volatile pages were discarded in ours: %d\n", \
		(discarded > 0 ? "" : "not "), nr + 1, discarded
	for (k = 1; k <= 2; k++) {
		side = k == 1 ? "stock" : "ours"
		printf "# %s: %d cases: %d passed, %d failed, %d skipped; ", side, nr, \
			total[side, "pass"], total[side, "fail"], total[side, "skip"]
		printf "their tests: %d passed, %d failed, %d skipped\n", \
			inner[side, 1], inner[side, 2], inner[side, 3]
	}
	printf "# %d cases pass on stock and fail on ours, or the kernel complains; %d re-runs\n", \
		failed, reruns
}
