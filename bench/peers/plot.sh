#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plot.sh FOLDER RESULTS...: plots of what peers.py measured, searches at recall 0.95 by clients, as SVG in the
# folder.  Needs gnuplot.
set -eu
to=$1
shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$to"
python3 "$(dirname "$0")/table.py" --plots "$tmp" "$@"

# plot WHAT YLABEL: for each number of dimensions.
plot() {
    for file in "$tmp/$1"-*.dat; do
        d=${file##*-}
        d=${d%.dat}
        [ -s "$file" ] || continue
        blocks=$(($(grep -c '^"' "$file") - 1))
        gnuplot <<END
set terminal svg size 720,420 font "sans,12" background "white"
set output "$to/peers-$1-$d.svg"
set logscale xy
set xtics (1, 2, 4, 8, 16, 32, 64)
set key outside right
set grid
set xlabel "clients with one query each ($d dimensions, recall\\\\@10 of at least 0.95)"
set ylabel "$2"
plot for [i=0:$blocks] "$file" index i using 1:2 with linespoints linewidth 2 title columnheader(1)
END
    done
}
plot per_second "searches per second"
plot p99_us "99th percentile, microseconds"
