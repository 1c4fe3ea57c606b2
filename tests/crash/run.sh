#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every life with each release of FAISS, and makes the table of refusals from the deaths:
#
#     tests/crash/run.sh RELEASE=LIBRARY...
#
# Each release takes ten minutes on two cores.  Results are kept in build/refusals/RELEASE and
# used again.
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
OUT=$BUILD/refusals
CORES=${CORES:-$(nproc)}
[ $# -gt 0 ] || { echo "usage: tests/crash/run.sh RELEASE=LIBRARY..." >&2; exit 2; }

# lead RELEASE LIBRARY DEPTH
lead() {
    local at=$OUT/$1/$3 part jobs=()
    [ ! -f "$at.done" ] || return 0
    for ((part = 0; part < CORES; part++)); do
        "$BUILD/tests/crash/crash" "$2" --depth "$3" --part "$part/$CORES" \
            >"$at.$part.tsv" 2>"$at.$part.log" &
        jobs+=($!)
    done
    for part in "${jobs[@]}"; do wait "$part"; done
    touch "$at.done"
}

rows=$OUT/rows
mkdir -p "$OUT"
: >"$rows"
for one in $(printf '%s\n' "$@" | sort -V); do
    release=${one%%=*} library=${one#*=}
    [ -f "$library" ] || { echo "run.sh: no library $library" >&2; exit 2; }
    mkdir -p "$OUT/$release"
    for depth in 0 1 2 3; do lead "$release" "$library" $depth; done
    awk -v release="$release" '{ lives += $2; deaths += $4 }
        END { printf "%s: %d lives, of which %d calls ended or hung the process\n", release, lives, deaths }' \
        "$OUT/$release"/*.log
    "$BUILD/tests/crash/learn" "$release" "$OUT/$release"/*.tsv >>"$rows"
done
# Releases share rows: the first number of a row has a bit for each of them.
{
    echo '/* SPDX-License-Identifier: Apache-2.0 */'
    echo '/* Made by `make refusals` from runs of tests/crash; not edited by hand.  See refusal.h. */'
    awk '/^RELEASE/ { bit = bit ? 2 * bit : 1 }
        !sub(/^ROW\(/, "") { print; next }
        !($0 in bits) { row[n++] = $0 }
        { bits[$0] += bit }
        END { for (i = 0; i < n; i++) printf "ROW(%d, %s\n", bits[row[i]], row[i] }' "$rows"
} >"$OUT/refusals.h"
cp "$OUT/refusals.h" server/engine/guard/refusals.h
