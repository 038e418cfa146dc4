# SPDX-License-Identifier: GPL-2.0-only
# Joins what the guest measured (lines "BENCH: ...") and what hyp counted at the
# marks before and after each operation ("hyp: mark ..."), of two transports.
# Input: marks, guest, marks, guest.
function key(name,   i) {
	for (i = 4; i < NF; i += 2)
		if ($i == name)
			return $(i + 1)
	printf "no counter %s\n", name >"/dev/stderr"
	failed = 1
	exit 1
}

FNR == 1 { file++; t = int((file - 1) / 2) }

/^hyp: mark / && $3 < 127 {
	begin_slow[$3] = key("exit_hypercall")
	begin_user[$3] = key("exit_io") + key("exit_mmio") + key("exit_other")
	begin_all[$3] = key("kvm_exits")
	begin_irq[$3] = key("kvm_irq_exits")
}

/^hyp: mark / && $3 >= 128 {
	n = $3 - 128
	slow[t, n] += key("exit_hypercall") - begin_slow[n]
	# less the mark itself
	user[t, n] += key("exit_io") + key("exit_mmio") + key("exit_other") - begin_user[n] - 1
	# interrupts of the host come by the clock, whatever the guest does
	all[t, n] += key("kvm_exits") - begin_all[n] - 1 - (key("kvm_irq_exits") - begin_irq[n])
}

{ sub(/\r$/, "") }

/^BENCH: / {
	n = $2
	name[n] = $3 "\t" $4
	ops[t, n] = $5
	figures[t, n] = $6 "\t" $7 "\t" $8
	if (n >= nr)
		nr = n + 1
}

END {
	if (failed)
		exit 1
	printf "what\twhere"
	for (t = 0; t < 2; t++)
		printf "\tops\tmedian\tp10\tp90\tslow_path\tother_io\tall%s", t ? "\n" : ""
	for (n = 0; n < nr; n++) {
		printf "%s", name[n]
		for (t = 0; t < 2; t++)
			printf "\t%d\t%s\t%d\t%d\t%d", ops[t, n], figures[t, n],
				slow[t, n], user[t, n], all[t, n]
		printf "\n"
	}
}
