# SPDX-License-Identifier: GPL-2.0-only
# Host I/O of a guest in the simulator, by what it is for, hints and no hints.
# Set by the caller: data (what hyp-sim --tsv wrote), out, format, guests.
set datafile separator "\t"
if (format eq "svg") {
	set terminal svg size 1000,560 font "sans,13" background "white"
} else {
	set terminal pngcairo size 1000,560 font "sans,11" background "white"
}
set output out
# one line a bar: trace, side, swapped out, swapped in, refaults, I/O p10, p90
bars = sprintf("<awk -F'\\t' -v OFS='\\t' '{ m[$1,$2,$3]=$5; lo[$1,$2,$3]=$6; hi[$1,$2,$3]=$7; if (!($1 in s)) { s[$1]=1; o[++n]=$1 } } END { for (i=1;i<=n;i++) { t=o[i]; for (k=1;k<=2;k++) { d=k==1?\"hints\":\"no-hints\"; print 3*i+k, t\" \"d, m[t,d,\"swapped_out\"]/256, m[t,d,\"swapped_in\"]/256, m[t,d,\"refaults\"]/256, (lo[t,d,\"host_io_pages\"])/256, (hi[t,d,\"host_io_pages\"])/256 } } }' '%s'", data)
set title sprintf("Host I/O of a guest: median of %s guests (lines: p10 to p90)", guests)
set ylabel "MiB"
set yrange [0:*]
set xrange [3.2:12.8]
set boxwidth 0.8
set style fill solid 1.0 noborder
set border 3 lc rgb "#606060"
set tics nomirror textcolor rgb "#404040"
set grid y lc rgb "#d8d8d8"
set xtics rotate by -12
set key top right
plot bars using 1:($3+$4+$5):xtic(2) with boxes lc rgb "#2f6fb0" title "read again by the guest (refaults)", \
     bars using 1:($3+$4) with boxes lc rgb "#f08030" title "swapped in", \
     bars using 1:3 with boxes lc rgb "#7a5aa8" title "swapped out", \
     bars using 1:($3+$4+$5):6:7 with yerrorbars pt 0 ps 0 lc rgb "#202020" notitle
