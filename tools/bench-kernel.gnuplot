# SPDX-License-Identifier: GPL-2.0-only
# Instructions retired against the kernel without the patches.
# Set by the caller: data (cost.tsv of bench-kernel), out, format.
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
set format y "%+g %%"
set key top right horizontal samplen 1 opaque
set xrange [-0.6:*]
set xtics rotate by -20
set title "Instructions retired, against the kernel without the patches (median; lines: two standard errors)"
set arrow 1 from graph 0, first 0.5 to graph 1, first 0.5 nohead dt 2 lc rgb "#202020"
set label 1 "limit of a microbenchmark" at graph 0.005, first 0.5 offset 0,0.6 font ",9"
set arrow 2 from graph 0, first 0.25 to graph 1, first 0.25 nohead dt 3 lc rgb "#202020"
set label 2 "limit of a build" at graph 0.005, first 0.25 offset 0,0.6 font ",9"
against(side) = 100 * (column(side . "_ratio") - 1)
noise(side) = 100 * column(side . "_noise")
array sides[3] = ["off", "on", "ageing"]
array colours[3] = ["#9cc3e6", "#2f6fb0", "#f08030"]
array titles[3] = ["compiled in, off", "on, no pressure", "on, with the ageing pass"]
plot for [k = 1:3] data using ($0 + (k - 2) * 0.27):(against(sides[k])):(noise(sides[k])):(0.25) with boxerrorbars lc rgb colours[k] title titles[k], \
     data using 0:(0):xtic(1) every ::1 with dots notitle
