#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Print the path of the real libfaiss_c to use: $FAISS_C if set, else the
# best installed one that this CPU can run, else one built from source (engine.sh).
set -eu

die() { printf 'find-faiss: %s\n' "$*" >&2; exit 1; }

if [ -n "${FAISS_C:-}" ]; then
    [ -f "$FAISS_C" ] || die "FAISS_C=$FAISS_C: no such file"
    realpath "$FAISS_C"
    exit 0
fi

names=libfaiss_c.so
if [ -r /proc/cpuinfo ]; then
    if grep -qw -m1 avx2 /proc/cpuinfo; then names="libfaiss_c_avx2.so $names"; fi
    if grep -qw -m1 avx512bw /proc/cpuinfo; then names="libfaiss_c_avx512.so $names"; fi
fi
dirs="$(printf '%s' "${LD_LIBRARY_PATH:-}" | tr : ' ') /usr/local/lib"
cached=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || :)
for name in $names; do
    for found in $(printf '%s\n' $dirs | sed "s|\$|/$name|") \
        $(printf '%s\n' "$cached" | sed -n "s|.*\b$name .*=> ||p"); do
        # Our own stand-in has the same name, and one more function.
        if [ -f "$found" ] && ! grep -q faissx_configure "$found"; then
            realpath "$found"
            exit 0
        fi
    done
done
here=$(dirname "$0")
"$here/deps.sh" engine
exec "$here/engine.sh" library
