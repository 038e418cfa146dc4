# SPDX-License-Identifier: GPL-2.0-only
# bench-vmm-kvm's lines to a table: medians, and multiples of hyp's.

function median(vmm, what,    n, i, j, v, t) {
	n = count[vmm, what]
	for (i = 1; i <= n; i++) {
		t = value[vmm, what, i]
		for (j = i - 1; j >= 1 && v[j] > t; j--)
			v[j + 1] = v[j]
		v[j + 1] = t
	}
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

{
	if (!(($1) in seen)) {
		seen[$1]
		order[++vmms] = $1
	}
	value[$1, $2, ++count[$1, $2]] = $3
}

END {
	OFS = "\t"
	print "vmm", "entry", "x", "init", "x", "own_kib", "x"
	for (i = 1; i <= vmms; i++) {
		vmm = order[i]
		print vmm, sprintf("%.1f", median(vmm, "entry")), \
			sprintf("%.2f", median(vmm, "entry") / median("hyp", "entry")), \
			sprintf("%.1f", median(vmm, "init")), \
			sprintf("%.2f", median(vmm, "init") / median("hyp", "init")), \
			median(vmm, "own"), sprintf("%.2f", median(vmm, "own") / median("hyp", "own"))
	}
}
