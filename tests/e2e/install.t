#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An installation in folders that are not beside each other: `faissx run` finds its library.
. tests/e2e/lib.sh

[ -z "$SANITIZER_RUNTIME" ] || skip_all "a sanitizer build is not installed"

# A copy of the build, with which other tests run.
mkdir "$TMP/build"
for name in "$BUILD"/*; do
    case $name in */tests | */bench | */fuzz | */wheel | */peers) continue ;; esac
    cp -a "$name" "$TMP/build/"
done
install_to() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make BUILD="$TMP/build" PREFIX="$TMP/root" BINDIR="$TMP/root/programs" \
        LIBDIR="$TMP/root/libraries/here" "$1"
}
ok "make install with a BINDIR and a LIBDIR" install_to install
start_server
is "a program is redirected" "$(FAISSX_FAISS_LIBRARY=/nonexistent "$TMP/root/programs/faissx" run --server "$SERVER" \
    "$BUILD/tests/e2e/client" 'new 0 Flat' 'add 0 3' 'total 0' 2>&1)" "new 0 Flat: ok
add 0 3: ok
total 0: 3"
like "its index is on the server" "$("$TMP/root/programs/faissx" stats --server "$SERVER")" '^operation faiss_Index_add 1$'
ok "make uninstall" install_to uninstall
is "leaves no file" "$(find "$TMP/root" ! -type d)" ""
