# SPDX-License-Identifier: GPL-2.0-only
# What the benchmarks found: operations against the bare locked exchange, batches,
# scans; and of hyp/mem, if the data has it, release and page-in.
# Set by the caller: data (what bench --data wrote), out, format.
set datafile separator "\t"
if (format eq "svg") {
	set terminal svg size 1200,1240 font "sans,13" background "white"
} else {
	set terminal pngcairo size 1200,1240 font "sans,11" background "white"
}
set output out
of(group, where) = sprintf("<awk -F'\\t' '$1 == \"%s\" && $2 == \"%s\" && $3 != \"plain store\"' '%s'", group, where, data)
set multiplot
set style fill solid 1.0 noborder
set border 3 lc rgb "#606060"
set tics nomirror textcolor rgb "#404040"
set grid y lc rgb "#d8d8d8"
set lmargin at screen 0.06
set rmargin at screen 0.95
width = 0.16

set tmargin at screen 0.955
set bmargin at screen 0.745
set title "State operations, time against a bare load + lock cmpxchg in the same place (median; lines: p10 to p90)"
set yrange [0:2.4]
set xtics rotate by -20 font ",10"
set key top right horizontal samplen 1 opaque
set xrange [-0.6:12.6]
set arrow 1 from graph 0, first 1.2 to graph 1, first 1.2 nohead dt 2 lc rgb "#202020"
array places[5] = ["hot", "hot, in a row", "random", "cold", "contended"]
array colours[5] = ["#2f6fb0", "#9cc3e6", "#f08030", "#7a5aa8", "#70a870"]
plot for [k = 1:5] of("operation", places[k]) using ($0 + (k - 3) * width):7:($5 / $4 * $7):($6 / $4 * $7):(width * 0.9) with boxerrorbars lc rgb colours[k] title places[k], \
     of("operation", "hot") using 0:(0):xtic(3) with dots notitle

unset arrow 1
set xtics norotate font ",10"
set tmargin at screen 0.645
set bmargin at screen 0.385
set rmargin at screen 0.50
set title "Blocks of pages, ns a page"
set key top right vertical samplen 1
set yrange [0:*]
set xrange [-0.6:5.6]
array blocks[3] = ["free, order 9", "alloc, order 9", "alloc, order 3"]
batch(where) = sprintf("<awk -F'\\t' '$1 == \"batch\" && $2 == \"%s\" && $3 != \"plain memset\"; $1 == \"batch\" && $2 == \"%s\" && $3 == \"plain memset\" { print }' '%s'", where, where, data)
kind(name) = name eq "page by page" ? 0 : name eq "8 bytes at a time" ? 1 : name eq "16 bytes at a time" ? 2 : name eq "8 bytes, bare" ? 3 : name eq "16 bytes, bare" ? 4 : 5
set xtics ("page by page" 0, "8 bytes" 1, "16 bytes" 2, "8, bare" 3, "16, bare" 4, "memset" 5)
plot for [k = 1:3] batch(blocks[k]) using (kind(strcol(3)) + (k - 2) * 0.25):4:5:6:(0.23) with boxerrorbars lc rgb colours[k == 1 ? 1 : k == 2 ? 3 : 4] title blocks[k]

set lmargin at screen 0.56
set rmargin at screen 0.95
set title "Scan of 16 Mi states, 10^9 states a second"
set key top left vertical
array scans[5] = ["scan", "scan", "scan", "reclaim", "reclaim"]
array fillings[5] = ["none volatile", "1 in 1024 volatile", "1 in 16 volatile", "none volatile", "1 in 1024 volatile"]
set xrange [-0.6:2.6]
set yrange [0:*]
set xtics ("8 bytes" 0, "SSE2" 1, "AVX2" 2)
set arrow 2 from graph 0, first 1 to graph 1, first 1 nohead dt 2 lc rgb "#202020"
plot for [k = 1:5] of(scans[k], fillings[k]) using ($0 + (k - 3) * 0.16):(1000 / $4):(1000 / $6):(1000 / $5):(0.14) with boxerrorbars lc rgb colours[k] title (scans[k] eq "scan" ? "" : "reclaim: ") . fillings[k]
unset arrow 2

set tmargin at screen 0.295
set bmargin at screen 0.055
set key top right vertical
host(group, name) = sprintf("<awk -F'\\t' '$1 == \"%s\" && index($3, \"%s\")' '%s'", group, name, data)
array lengths[4] = ["1", "8", "64", "512"]
set lmargin at screen 0.06
set rmargin at screen 0.64
set title "hyp/mem: release of runs of pages, ns a page, beside a bare loop over the same runs"
set xrange [-0.6:11.6]
set offsets 0, 0, graph 0.25, 0
set xtics ("1 unused" 0, "8" 1, "64" 2, "512" 3, "1 volatile" 4, "8" 5, "64" 6, "512" 7, "1 pot. vol." 8, "8" 9, "64" 10, "512" 11)
plot host("release", "loop") using ($0 - 0.25):4:5:6:(0.23) with boxerrorbars lc rgb colours[1] title "bare madvise (and poison) loop", \
     host("release", "with commit") using 0:4:5:6:(0.23) with boxerrorbars lc rgb colours[3] title "hyp/mem, commit and release", \
     host("commit", "hyp/mem") using ($0 + 0.25):4:5:6:(0.23) with boxerrorbars lc rgb colours[4] title "hyp/mem, commit alone"
unset offsets
set lmargin at screen 0.70
set rmargin at screen 0.95
set title "... and page-in, ns a page"
set xrange [-0.6:3.6]
set xtics ("1" 0, "8" 1, "64" 2, "512" 3)
plot host("page-in", "loop") using ($0 - 0.15):4:5:6:(0.28) with boxerrorbars lc rgb colours[1] title "bare pread + copy loop", \
     host("page-in", "hyp/mem") using ($0 + 0.15):4:5:6:(0.28) with boxerrorbars lc rgb colours[3] title "hyp/mem"
unset multiplot
