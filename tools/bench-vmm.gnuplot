# SPDX-License-Identifier: GPL-2.0-only
# Start of a guest and own memory, hyp beside QEMU's machines.
# Set by the caller: data (what bench-vmm wrote), out, format.
set datafile separator "\t"
if (format eq "svg") {
	set terminal svg noenhanced size 1000,360 font "sans,13" background "white"
} else {
	set terminal pngcairo noenhanced size 1000,360 font "sans,11" background "white"
}
set output out
set style fill solid 1.0 noborder
set boxwidth 0.6
set border 3 lc rgb "#606060"
set tics nomirror textcolor rgb "#404040"
set grid y lc rgb "#d8d8d8"
unset key
set yrange [0:*]
set offsets 0.5, 0.5, 0, 0
set multiplot layout 1,3 title "hyp beside QEMU: same kernel, initramfs and disk; figures are multiples of hyp's"
do for [p = 0:2] {
	set title word("entry init memory", p + 1) eq "memory" ? "own memory (MiB)" : \
		(p == 0 ? "exec to first instruction (ms)" : "exec to init (ms)")
	c = 2 + 2 * p
	scale = p == 2 ? 1024.0 : 1.0
	plot data every ::1 using 0:(column(c) / scale):xtic(1) with boxes lc rgb "#2f6fb0", \
	     data every ::1 using 0:(column(c) / scale):(strcol(c + 1)) with labels offset 0,0.7 font ",10" notitle
}
unset multiplot
