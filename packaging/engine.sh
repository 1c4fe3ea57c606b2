#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build a real libfaiss_c from Debian's FAISS source package.
#
#   packaging/engine.sh source    fetch and unpack; print the source folder
#   packaging/engine.sh library   build (once) and print the path of libfaiss_c.so
#
# Nothing outside the cache folder is written: apt runs with a private state
# directory and a private list of sources: for each source that this machine is
# configured with, its deb-src.  The cache is ${XDG_CACHE_HOME:-~/.cache}/faissx,
# keyed by the package's version and the compiler flags.
set -eu

what=${1:-library}
cache=${FAISSX_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/faissx}
jobs=$(nproc)
mkdir -p "$cache"

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# One at a time: two builds in one cache would overwrite each other.
exec 9>"$cache/lock"
flock 9

# x86-64-v3 (AVX2, FMA, F16C) doubles the speed of a search, if the CPU has it.
arch_flags() {
    [ "$(uname -m)" = x86_64 ] || return 0
    for flag in avx2 fma f16c bmi2; do
        grep -qw -m1 "$flag" /proc/cpuinfo || return 0
    done
    printf '%s' -march=x86-64-v3
}

apt_private() {
    apt-get -q -o Dir::State="$cache/apt" -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::Cache="$cache/apt/cache" -o Dir::Etc::SourceList="$cache/apt/sources.list" \
        -o Dir::Etc::SourceParts="$cache/apt/sources.list.d" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@"
}

fetch_source() {
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial" \
        "$cache/apt/sources.list.d"
    rm -f "$cache"/apt/sources.list.d/*
    sed -n 's/^deb\([[:space:]]\)/deb-src\1/p' /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.list 2>/dev/null >"$cache/apt/sources.list" || :
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -e "$f" ] || continue
        sed 's/^Types:.*/Types: deb-src/' "$f" >"$cache/apt/sources.list.d/${f##*/}"
    done
    # A configured source may have no source packages: continue with the others.
    apt_private update >"$cache/apt/update.log" 2>&1 || :
    (cd "$cache" && apt_private source --download-only faiss) >"$cache/apt/source.log" 2>&1 ||
        { cat "$cache/apt/update.log" "$cache/apt/source.log" >&2
          die "apt has no source package 'faiss'; give a library instead: make FAISS_C=/path/libfaiss_c.so"; }
}

newest_dsc() { ls -1 "$cache"/faiss_*.dsc 2>/dev/null | sort -V | tail -n 1; }

[ -n "$(newest_dsc)" ] || { say "fetching Debian's FAISS source package"; fetch_source; }
dsc=$(newest_dsc)
version=$(basename "$dsc" .dsc | sed 's/^faiss_//; s/[^A-Za-z0-9.+-]/-/g')
src=$cache/faiss-$version
if [ ! -d "$src" ]; then
    rm -rf "$src.tmp"
    dpkg-source --no-check -x "$dsc" "$src.tmp" >"$cache/unpack.log" 2>&1 ||
        { cat "$cache/unpack.log" >&2; die "cannot unpack $dsc"; }
    mv "$src.tmp" "$src"
fi
if [ "$what" = source ]; then printf '%s\n' "$src"; exit 0; fi
[ "$what" = library ] || die "unknown argument '$what' (source or library)"

flags="-O3 $(arch_flags)"
key=$(printf '%s' "$version $flags origin $(c++ -dumpfullversion)" | cksum | cut -d' ' -f1)
out=$cache/engine-$version-$key
if [ ! -e "$out/libfaiss_c.so" ]; then
    say "building libfaiss_c $version ($flags, $jobs jobs), about a minute a core pair"
    # Not engine-*, among which the server looks for a library.
    new=$cache/new-$version-$key
    rm -rf "$out" "$out.build" "$out.tmp" "$new" "$new.build"
    {
        cmake -S "$src" -B "$new.build" -DCMAKE_BUILD_TYPE=Release \
            -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG \
            -DCMAKE_BUILD_RPATH='$ORIGIN' -DBUILD_SHARED_LIBS=ON \
            -DFAISS_ENABLE_GPU=OFF -DFAISS_ENABLE_PYTHON=OFF \
            -DFAISS_ENABLE_C_API=ON -DBUILD_TESTING=OFF &&
        cmake --build "$new.build" --target faiss_c -j "$jobs"
    } >"$cache/build.log" 2>&1 || { tail -n 30 "$cache/build.log" >&2; die "build failed, see $cache/build.log"; }
    mkdir "$new"
    find "$new.build" -name 'libfaiss*.so' -exec cp -t "$new" {} + || die "cannot copy the library to $new"
    rm -rf "$new.build"
    mv "$new" "$out"
fi
printf '%s\n' "$out/libfaiss_c.so"
