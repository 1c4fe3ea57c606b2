#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The support matrix agrees with what the selected FAISS exports.
set -u
FAISS_C=${FAISS_C:-$(packaging/find-faiss.sh)} || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$FAISS_C" | sed -n 's/.* \(faiss_.*\)/\1/p' | sort >"$work/has"
# The release, as its newest function tells, and the column of "remote, RELEASE".
release=$(awk -F' *[|] *' 'NR == FNR { has[$1] = 1; next }
    { gsub("`", "", $2); sub("[+]$| to .*", "", $3) }
    has[$2] && $3 ~ /^[0-9]/ { print $3 }' "$work/has" docs/support-matrix.md | sort -V | tail -n 1)
column=$(awk -F' *[|] *' -v of="remote, $release" '/^[|] function/ {
    for (i = 1; i <= NF; i++) if ($i == of) print i }' docs/support-matrix.md)
if [ -z "$column" ]; then
    echo "1..0 # SKIP no column for release $release, $FAISS_C"
    exit 0
fi

awk -F' *[|] *' -v c=$column '/^[|] `/ { gsub("`", "", $2); print $2 "\t" $c }' \
    docs/support-matrix.md >"$work/all"
awk -F'\t' '$2 == "yes" { print $1 }' "$work/all" | sort >"$work/yes"
awk -F'\t' '$2 ~ /^no: (not in|no release)|^yes: / { print $1 }' "$work/all" | sort >"$work/no"

echo 1..3
if [ "$(wc -l <"$work/all")" -gt 400 ]; then echo "ok 1 - it has all functions"; else echo "not ok 1"; fi
comm -23 "$work/yes" "$work/has" >"$work/why"
if [ -s "$work/why" ]; then
    echo "not ok 2 - what it says is there is exported"
    sed 's/^/# /' "$work/why"
else
    echo "ok 2 - what it says is there is exported"
fi
comm -12 "$work/no" "$work/has" >"$work/why"
if [ -s "$work/why" ]; then
    echo "not ok 3 - what it says is not there is not"
    sed 's/^/# /' "$work/why"
else
    echo "ok 3 - what it says is not there is not"
fi
