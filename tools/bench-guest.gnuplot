# SPDX-License-Identifier: GPL-2.0-only
# What the kernel's operations cost in a guest: in place beside the slow path.
# Set by the caller: data (what bench-guest wrote), out, format.
set datafile separator "\t"
if (format eq "svg") {
	set terminal svg noenhanced size 1100,460 font "sans,13" background "white"
} else {
	set terminal pngcairo noenhanced size 1100,460 font "sans,11" background "white"
}
set output out
set style fill solid 1.0 noborder
set border 3 lc rgb "#606060"
set tics nomirror textcolor rgb "#404040"
set grid y lc rgb "#d8d8d8"
set logscale y
set format y "%.0f"
set yrange [5:2e6]
set ylabel "cycles of the time stamp counter"
set xtics rotate by -25
set key top left horizontal samplen 1
set title "One operation in a guest, hot (median; lines: p10 to p90; ranges: one call). Figures above: exits a call"
hot = sprintf("<awk -F'\\t' '$2 == \"hot\"' '%s'", data)
plot hot using ($0 - 0.2):4:5:6:(0.36) with boxerrorbars lc rgb "#2f6fb0" title "in place", \
     hot using ($0 + 0.2):11:12:13:(0.36) with boxerrorbars lc rgb "#f08030" title "slow path", \
     hot using ($0 - 0.2):($6 * 1.3):(sprintf("%g", $7 / $3)) with labels font ",9" tc rgb "#2f6fb0" notitle, \
     hot using ($0 + 0.2):($13 * 1.3):(sprintf("%g", $14 / $10)) with labels font ",9" tc rgb "#b05010" notitle, \
     hot using 0:(1):xtic(1) with dots notitle
