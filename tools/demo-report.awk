# SPDX-License-Identifier: GPL-2.0-only
# Two files of "key value" lines, with and without hints, to one page of text.
# Exit code 1 if the demonstration has not shown what it is for.

FNR == NR { a[$1] = $2; next }
{ b[$1] = $2 }

function row(label, x, y, ratio)
{
	printf "  %-44s %14s %14s", label, x, y
	if (ratio)
		printf " %9s", (y + 0 > 0 ? sprintf("%.3f", x / y) : "-")
	printf "\n"
}

function key(label, k, ratio) { row(label, (k in a) ? a[k] : 0, (k in b) ? b[k] : 0, ratio) }

function mib(label, x, y) { row(label, sprintf("%.1f", x / 1048576), sprintf("%.1f", y / 1048576), 1) }

function guest(label, k)
{
	row(label, (("guest_" k) in a) ? a["guest_" k] : "-",
	    (("guest_" k) in b) ? b["guest_" k] : "-", 0)
}

function demand(cond, text)
{
	if (cond)
		return
	printf "FAILED: %s\n", text
	failed = 1
}

function io(v) { return v["disk_read_bytes"] + v["disk_write_bytes"] + v["mem_swap_in_bytes"] + v["mem_swap_out_bytes"] }

END {
	printf "\nA Linux guest of %s with %s vCPUs, held at %s, %s pass(es) over %d files (%.0f MiB)\n\n",
		mem, cpus, limit, passes, a["wl_manifest_files"], a["wl_manifest_bytes"] / 1048576
	printf "  %-44s %14s %14s %9s\n", "", "with hints", "host swap only", "ratio"
	print "Verified in the guest"
	mib("MiB verified", a["wl_bytes_verified"], b["wl_bytes_verified"])
	key("bytes that were wrong", "wl_mismatches")
	row("by read / mmap",
	    a["wl_read"] "/" a["wl_mmap_private"] + a["wl_mmap_shared"] + a["wl_cow"],
	    b["wl_read"] "/" b["wl_mmap_private"] + b["wl_mmap_shared"] + b["wl_cow"])
	row("by exec / sendfile+splice / direct",
	    a["wl_exec"] "/" a["wl_sendfile"] + a["wl_splice"] "/" a["wl_direct"],
	    b["wl_exec"] "/" b["wl_sendfile"] + b["wl_splice"] "/" b["wl_direct"])
	row("verified again: hot files / old mappings",
	    a["wl_hot"] "/" a["wl_standing"], b["wl_hot"] "/" b["wl_standing"])
	row("own files: writes / msyncs / verified",
	    a["wl_own_write"] "/" a["wl_own_msync"] "/" a["wl_own_verify"],
	    b["wl_own_write"] "/" b["wl_own_msync"] "/" b["wl_own_verify"])
	key("milliseconds in the guest (emulated clock)", "wl_ms", 1)
	print "Transitions (guest)"
	guest("made unused", "pgstate_unused")
	guest("taken from unused", "pgstate_alloc")
	guest("made volatile", "pgstate_volatile")
	guest("made stable again", "pgstate_stable")
	guest("found discarded when made stable", "pgstate_stable_fail")
	guest("discards handled", "pgstate_discard")
	guest("waits for a release in flight", "pgstate_wait")
	print "Exits"
	key("all, with those handled in the kernel", "kvm_exits", 1)
	key("nested page faults", "kvm_pf_taken", 1)
	key("halts", "kvm_halt_exits")
	key("host interrupts", "kvm_irq_exits")
	key("to hyp: port I/O", "exit_io")
	key("to hyp: MMIO", "exit_mmio")
	key("to hyp: page-hinting calls", "exit_hypercall")
	key("to hyp: discarded page touched (SIGBUS)", "exit_sigbus")
	print "Pages (host)"
	key("unused, discarded", "mem_discarded_unused")
	key("volatile, discarded", "mem_discarded_volatile")
	key("discard faults delivered", "discard_faults_injected")
	guest("refaults of file pages (guest)", "workingset_refault_file")
	key("swapped out", "mem_swapped_out", 1)
	key("swapped in", "mem_swapped_in", 1)
	key("resident at most", "mem_resident_peak")
	print "Host I/O, MiB"
	mib("disk read", a["disk_read_bytes"], b["disk_read_bytes"])
	mib("disk written", a["disk_write_bytes"], b["disk_write_bytes"])
	mib("swap read", a["mem_swap_in_bytes"], b["mem_swap_in_bytes"])
	mib("swap written", a["mem_swap_out_bytes"], b["mem_swap_out_bytes"])
	mib("all", io(a), io(b))
	print ""
	demand(a["wl_mismatches"] + b["wl_mismatches"] == 0, "a byte was wrong")
	demand(a["wl_bytes_verified"] >= 300 * 1048576 && b["wl_bytes_verified"] >= 300 * 1048576,
	       "less than 300 MiB were verified")
	demand(a["mem_discarded_volatile"] > 0, "no volatile page was ever discarded")
	demand(a["discard_faults_injected"] > 0, "no discard fault was ever delivered")
	demand(a["exit_code"] == 0 && b["exit_code"] == 0, "a guest did not end well")
	if (!failed)
		printf "All checksums right; %d pages discarded; host I/O %.2f of that without hints.\n",
			a["mem_discarded_unused"] + a["mem_discarded_volatile"], io(a) / io(b)
	exit failed
}
