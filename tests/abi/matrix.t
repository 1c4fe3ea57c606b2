#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The support matrix agrees with what the selected FAISS exports.
set -u
FAISS_C=${FAISS_C:-$(packaging/find-faiss.sh)} || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$FAISS_C" | sed -n 's/.* \(faiss_.*\)/\1/p' | sort >"$work/has"
# Only these releases have a column; each has a function that the one before lacks.
if grep -qx faiss_ScalarQuantizer_trained "$work/has"; then
    column=6
elif grep -qx faiss_Index_sa_code_size "$work/has" &&
    ! grep -qx faiss_Index_search_with_params "$work/has"; then
    column=5
else
    echo "1..0 # SKIP no column for $FAISS_C"
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
