# SPDX-License-Identifier: GPL-2.0-only
# Pages by state over time, of the two runs of chart-states.
# Set by the caller: dir, out, format, mem, limit.
set datafile separator "\t"
if (format eq "svg") {
	set terminal svg noenhanced size 1200,620 font "sans,13" background "white"
} else {
	set terminal pngcairo noenhanced size 1200,620 font "sans,11" background "white"
}
set output out
mib(pages) = pages / 256.0
set style fill solid 1.0 noborder
set border 3 lc rgb "#606060"
set tics nomirror textcolor rgb "#404040"
set multiplot
set bmargin at screen 0.30
set tmargin at screen 0.86
set xlabel "seconds of the guest" offset 0,0.6
set key at screen 0.5,0.17 center top horizontal Left reverse samplen 1.4 maxcols 3 width 2
set label 1 sprintf("A guest of %s by page state: each file of source trees is read, a build, its results are removed", mem) at screen 0.5,0.97 center font ",15"

# Bottom to top; each area is drawn from its upper edge down to 0, last first.
s_r(dummy) = column("Sr")
v_r(dummy) = s_r(0) + column("Vr") + column("Pr")
u_r(dummy) = v_r(0) + column("Ur")
s_p(dummy) = u_r(0) + column("Sp")
v_p(dummy) = s_p(0) + column("Vp") + column("Pp") + column("Up")
v_z(dummy) = v_p(0) + column("Vz") + column("Pz")
all(dummy) = v_z(0) + column("Uz") + column("Sz")

array runs[2] = ["room", "limit"]
array titles[2] = ["the host takes nothing", sprintf("at most %s resident", limit)]
do for [k = 1:2] {
	data = sprintf("%s/%s.tsv", dir, runs[k])
	marks = sprintf("%s/%s.phases", dir, runs[k])
	set autoscale
	stats data using (all(0)) nooutput
	total = mib(STATS_max)
	stats data using 1 nooutput
	set xrange [STATS_min:STATS_max]
	set yrange [0:total]
	if (k == 1) {
		set lmargin at screen 0.06
		set rmargin at screen 0.50
		set ylabel "MiB" offset 1
	} else {
		set lmargin at screen 0.53
		set rmargin at screen 0.97
		unset ylabel
		unset key
		unset label 1
		set format y ""
	}
	set title titles[k] offset 0,0.8
	plot data using 1:(mib(all(0))) with filledcurves y1=0 lc rgb "#f2f2f2" title "never used, or unused and taken", \
	     '' using 1:(mib(v_z(0))) with filledcurves y1=0 lc rgb "#f7c6a3" title "volatile, discarded", \
	     '' using 1:(mib(v_p(0))) with filledcurves y1=0 lc rgb "#b9a5d6" title "volatile or unused, preserved", \
	     '' using 1:(mib(s_p(0))) with filledcurves y1=0 lc rgb "#7a5aa8" title "stable, preserved", \
	     '' using 1:(mib(u_r(0))) with filledcurves y1=0 lc rgb "#b5dcb0" title "unused, resident", \
	     '' using 1:(mib(v_r(0))) with filledcurves y1=0 lc rgb "#f08030" title "volatile, resident", \
	     '' using 1:(mib(s_r(0))) with filledcurves y1=0 lc rgb "#2f6fb0" title "stable, resident", \
	     marks using 1:(total) with impulses lw 1 dt 2 lc rgb "#202020" notitle, \
	     marks using 1:(total):2 with labels left offset 0.2,0.5 font ",10" notitle
}
unset multiplot
