# SPDX-License-Identifier: GPL-2.0-only
# Page states over time, with hints and without, and the host I/O of both.
# Set by the caller: hints, nohints (CSV of hyp --stats), out, format, mem, limit.
set datafile separator ","
if (format eq "svg") {
	set terminal svg size 1200,820 font "sans,13" background "white"
} else {
	set terminal pngcairo size 1200,820 font "sans,11" background "white"
}
set output out
mib(pages) = pages / 256.0
io(a, b, c, d) = (a + b + c + d) / 1048576.0
stats hints using 1 nooutput
end_hints = STATS_max / 1000
stats nohints using 1 nooutput
end_nohints = STATS_max / 1000
end = end_hints > end_nohints ? end_hints : end_nohints
stats hints using (column("Sr") + column("Sp") + column("Sz") + column("Ur") + column("Up") + column("Uz") + column("Vr") + column("Vp") + column("Vz") + column("Pr") + column("Pp") + column("Pz")) nooutput
total = mib(STATS_max)

set multiplot
set style fill solid 1.0 noborder
set border 3 lc rgb "#606060"
set tics nomirror textcolor rgb "#404040"
set xrange [0:end]
set yrange [0:total]
set ytics 32
set grid y lc rgb "#d8d8d8"
set key at screen 0.975,0.245 right top vertical Left reverse samplen 1.4 spacing 1.15
set lmargin at screen 0.065
set label 1 sprintf("Guest memory by page state (guest of %s, resident limit %s)", mem, limit) at screen 0.5,0.975 center font ",15"

# Bottom to top; each area is drawn from its upper edge down to 0, last first.
s_r(dummy) = column("Sr")
v_r(dummy) = s_r(0) + column("Vr") + column("Pr")
u_r(dummy) = v_r(0) + column("Ur")
s_p(dummy) = u_r(0) + column("Sp")
v_p(dummy) = s_p(0) + column("Vp") + column("Pp") + column("Up")
v_z(dummy) = v_p(0) + column("Vz") + column("Pz")
all(dummy) = v_z(0) + column("Uz") + column("Sz")

set origin 0, 0
set rmargin at screen 0.505
set tmargin at screen 0.915
set bmargin at screen 0.37
set ylabel "MiB" offset 1
set title "with hints" offset 0,-0.6
set xlabel "seconds" offset 0,0.6
plot hints using ($1/1000):(mib(all(0))) with filledcurves y1=0 lc rgb "#f2f2f2" title "never used, or unused and taken", \
     '' using ($1/1000):(mib(v_z(0))) with filledcurves y1=0 lc rgb "#f7c6a3" title "volatile, discarded", \
     '' using ($1/1000):(mib(v_p(0))) with filledcurves y1=0 lc rgb "#b9a5d6" title "volatile or unused, in swap", \
     '' using ($1/1000):(mib(s_p(0))) with filledcurves y1=0 lc rgb "#7a5aa8" title "stable, in swap", \
     '' using ($1/1000):(mib(u_r(0))) with filledcurves y1=0 lc rgb "#b5dcb0" title "unused, resident", \
     '' using ($1/1000):(mib(v_r(0))) with filledcurves y1=0 lc rgb "#f08030" title "volatile, resident", \
     '' using ($1/1000):(mib(s_r(0))) with filledcurves y1=0 lc rgb "#2f6fb0" title "stable, resident", \
     '' using ($1/1000):(mib(column("limit"))) with lines lw 2 dt 2 lc rgb "#202020" title "limit"

unset label 1
unset key
unset ylabel
set format y ""
set lmargin at screen 0.535
set rmargin at screen 0.975
set title "host swap only"
plot nohints using ($1/1000):(mib(all(0))) with filledcurves y1=0 lc rgb "#f2f2f2", \
     '' using ($1/1000):(mib(v_z(0))) with filledcurves y1=0 lc rgb "#f7c6a3", \
     '' using ($1/1000):(mib(v_p(0))) with filledcurves y1=0 lc rgb "#b9a5d6", \
     '' using ($1/1000):(mib(s_p(0))) with filledcurves y1=0 lc rgb "#7a5aa8", \
     '' using ($1/1000):(mib(u_r(0))) with filledcurves y1=0 lc rgb "#b5dcb0", \
     '' using ($1/1000):(mib(v_r(0))) with filledcurves y1=0 lc rgb "#f08030", \
     '' using ($1/1000):(mib(s_r(0))) with filledcurves y1=0 lc rgb "#2f6fb0", \
     '' using ($1/1000):(mib(column("limit"))) with lines lw 2 dt 2 lc rgb "#202020"

set format y "%g"
set ytics autofreq
set yrange [0:*]
set lmargin at screen 0.065
set tmargin at screen 0.24
set rmargin at screen 0.70
set bmargin at screen 0.07
set title "Host I/O so far (disk and swap, both ways)" offset 0,-0.6
set ylabel "MiB"
set key at graph 0.01,0.97 left top vertical samplen 2
plot nohints using ($1/1000):(io(column("disk_read_bytes"), column("disk_write_bytes"), column("swap_in_bytes"), column("swap_out_bytes"))) with lines lw 2 lc rgb "#7a5aa8" title "host swap only", \
     hints using ($1/1000):(io(column("disk_read_bytes"), column("disk_write_bytes"), column("swap_in_bytes"), column("swap_out_bytes"))) with lines lw 2 lc rgb "#f08030" title "with hints"
unset multiplot
