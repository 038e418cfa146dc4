# SPDX-License-Identifier: GPL-2.0-only
# Reads result files of run-side; prints, separated by tabs, for each case and for each
# test that it reports itself: CASE, TEST (empty: the case), pass|fail|skip, DETAIL; and
# for each report of the kernel: CASE, REPORT, report, the line.
# Formats: TAP; uffd-unit-tests ("Testing X... done"); khugepaged ("Run test: X").

function put(test, status, detail,   n) {
	if (test != "" && (n = ++seen[test]) > 1)
		test = test " (" n ")"
	lines = lines name "\t" test "\t" status "\t" detail "\n"
}

function end_khugepaged() {
	if (running != "")
		put(running, running_status, "")
	running = ""
}

function end_case(   status) {
	end_khugepaged()
	if (name == "")
		return
	status = rc == "0" ? (said_skip ? "skip" : "pass") : "fail"
	# 4: kselftest's skip and stress-ng's not implemented; 3: stress-ng's no resources
	if (rc == "4" || (rc == "3" && name ~ /^stress-/))
		status = "skip"
	if (rc == "124" || rc == "137" || rc == "143")
		detail = "timed out"
	else
		detail = rc == "0" || status == "skip" ? "" : rc ~ /^[0-9]+$/ ? "exit code " rc : rc
	put("", status, detail)
	printf "%s", lines
	name = lines = ""
}

# What differs from run to run and from kernel to kernel in a line of the kernel
function plain(line) {
	sub(/^\[ *[0-9.]+\] */, "", line)
	gsub(/(CPU|PID|comm|pid|cpu):? ?[^ ]+/, "", line)
	gsub(/0x[0-9a-f]+|\+0x[0-9a-f\/x]*|[0-9a-f]{8,}/, "", line)
	gsub(/:[0-9]+/, "", line)
	gsub(/[0-9]+/, "N", line)
	return line
}

FNR == 1 {
	end_case()
	name = FILENAME
	sub(/.*\//, "", name)
	rc = $1
	said_skip = 0
	delete seen
	next
}
/^(# )*(ok|not ok) [0-9]+/ {
	status = /# *[Ss][Kk][Ii][Pp]|# *XFAIL/ ? "skip" : /^(# )*not ok/ ? "fail" : "pass"
	test = $0
	sub(/^(# )*(not )?ok [0-9]+ *(- )?/, "", test)
	sub(/ *# *([Ss][Kk][Ii][Pp]|XFAIL).*/, "", test)
	gsub(/0x[0-9a-f]+/, "0x", test)
	put(test, status, "")
	next
}
/^Testing .*\.\.\. / {
	test = $0
	sub(/^Testing /, "", test)
	status = test ~ /\.\.\. done/ ? "pass" : test ~ /\.\.\. skipped/ ? "skip" : "fail"
	sub(/\.\.\. .*/, "", test)
	put(test, status, "")
	next
}
/^Run test: / {
	end_khugepaged()
	running = substr($0, 11)
	running_status = "pass"
	next
}
running != "" && /\033\[31m/ { running_status = "fail" }
running != "" && /\033\[33m/ && running_status == "pass" { running_status = "skip" }
name ~ /^stress-/ && /stressor (will be )?skipped|skipping (stressor|test)/ { said_skip = 1 }
/^\[ *[0-9.]+\] / && $0 ~ reports {
	lines = lines name "\t" plain($0) "\treport\t" $0 "\n"
}
END { end_case() }
