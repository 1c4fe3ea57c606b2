#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# FAISS's own example, compiled once against the real library, must print and save the
# same in process, through the shim with nothing configured, and on a server.
. tests/e2e/lib.sh

src=$(packaging/engine.sh source 2>/dev/null) || skip_all "no FAISS source package here"
engine=$(dirname "$FAISS_C")

ok "compiles against the real library" \
    ${CC:-gcc} -w -O2 -I"$src" -I"$src/c_api" "$src/c_api/example_c.c" -o "$TMP/example_c" \
    "$FAISS_C" -Wl,-rpath,"$engine" || exit 1

# The example seeds its data from time(): make it the same for every run.
ok "the stand-in for the clock compiles" ${CC:-gcc} -shared -fPIC -x c -o "$TMP/clock.so" - <<'END'
long time(long *t)
{
    if (t)
        *t = 1767225600;
    return 1767225600;
}
END

run() (
    mkdir -p "$TMP/$1" && cd "$TMP/$1" || exit 1
    shift
    export TMP
    "$@" sh -c 'LD_PRELOAD="$LD_PRELOAD $TMP/clock.so" LD_DEBUG=files \
        LD_DEBUG_OUTPUT="$TMP/loader" exec "$TMP/example_c"' >out 2>err
)

# The libraries that the loader initialised for the last run of the example.
mapped() {
    for f in "$TMP"/loader.*; do
        if grep -q 'initialize program: .*/example_c$' "$f"; then
            sed -n 's/.*calling init: *//p' "$f"
        fi
    done
    rm -f "$TMP"/loader.*
}

ok "runs in process" run direct env LD_PRELOAD=
like "in process it maps FAISS" "$(mapped)" 'libfaiss[_a-z0-9]*\.so'
ok "runs through the shim, nothing configured" run local preloaded
like "through the shim it maps FAISS" "$(mapped)" 'libfaiss[_a-z0-9]*\.so'

start_server
ok "runs on a server" run remote remote
libraries=$(mapped)
like "on a server it maps the stand-in" "$libraries" "^$STAND_IN"
# (The stand-in stands in for libfaiss_c.so, not for a variant of another name.)
[ "$(basename "$FAISS_C")" != libfaiss_c.so ] ||
    is "on a server it maps neither FAISS nor a BLAS" "$(printf '%s\n' "$libraries" | grep -E 'libfaiss|blas|gomp' | grep -vFx "$STAND_IN")" ""

same "the shim prints the same" "$TMP/direct/out" "$TMP/local/out"
same "the server prints the same" "$TMP/direct/out" "$TMP/remote/out"
same "the shim saves the same file" "$TMP/direct/example.index" "$TMP/local/example.index"
same "the server saves the same file" "$TMP/direct/example.index" "$TMP/remote/example.index"
is "nothing on stderr" "$(cat "$TMP"/direct/err "$TMP"/local/err "$TMP"/remote/err)" ""
ok "the server stops" stop_server
