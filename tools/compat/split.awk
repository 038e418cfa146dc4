# SPDX-License-Identifier: GPL-2.0-only
# Cuts the console of a guest of check-compat into one file a case: first line
# "exit-code seconds", then all that was printed while it ran.
# -v dir=RESULTS reason=WHY an unfinished case failed (empty: leave it out)
function flush_case(first) {
	print first >(dir "/" name)
	printf "%s", text >(dir "/" name)
	close(dir "/" name)
	name = text = ""
}
/^=== case / { name = $3; text = ""; next }
name != "" && $1 == "===" && $2 == "end" && $3 == name { flush_case($4 " " $5); next }
name != "" { text = text $0 "\n"; next }
# between and after cases: what the kernel said then belongs to the boot
{ rest = rest $0 "\n" }
END {
	if (name != "" && reason != "")
		flush_case(reason " 0")
	printf "%s", rest >>log_file
}
