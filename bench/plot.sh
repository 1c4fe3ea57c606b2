#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plot.sh FOLDER FOLDER: plots of the tables sweep.csv and shapes.csv in the first, as SVG
# in the second.
set -eu
from=$1 to=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$to"

# Workers are named SIDE:AXIS:NUMBER; pick AXIS VALUE writes "number median lower upper".
pick() {
    for side in local remote; do
        cat "$from/sweep.csv" "$from/shapes.csv" | sed 's/:/,/g' | awk -F, -v side=$side -v axis="$1" -v value="$2" \
            '$1 == side && $2 == axis && $4 == value { print $3, $5, $6, $7 }' |
            sort -n >"$tmp/$side-$1-$2"
    done
}
pick nq p50
pick clients per_second
pick clients p99
pick d p50
pick k p50

# plot AXIS VALUE YLABEL XLABEL SCALE
plot() {
    gnuplot <<END
set terminal svg size 640,400 font "sans,12" background "white"
set output "$to/$1-$2.svg"
set logscale x
set $5
set key top left
set grid
set xlabel "$4"
set ylabel "$3"
plot "$tmp/local-$1-$2" using 1:2:3:4 with yerrorlines title "in process", \
     "$tmp/remote-$1-$2" using 1:2:3:4 with yerrorlines title "remote"
END
}
plot nq p50 "microseconds of a call, median" "queries in one call (IVF1024, 100,000 vectors)" "logscale y"
plot clients per_second "queries per second" "threads with one query each" "yrange [0:*]"
plot clients p99 "microseconds of a call, 99th percentile" "threads with one query each" "logscale y"
plot d p50 "microseconds of a call, median" "dimensions (Flat, 10,000 vectors)" "logscale y"
plot k p50 "microseconds of a call, median" "k (Flat, 10,000 vectors)" "yrange [0:*]"
