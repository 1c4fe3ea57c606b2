#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Building a FAISS from Debian's source package, here with a cmake that does nothing: what is left by
# a build that failed, and which of several builds the server takes.
. tests/e2e/lib.sh

FAISSX_CACHE=$TMP/cache
export FAISSX_CACHE
mkdir -p "$FAISSX_CACHE/faiss-1.2.3-1" "$TMP/bin" "$TMP/full"
touch "$FAISSX_CACHE/faiss_1.2.3-1.dsc"
cat >"$TMP/bin/cmake" <<'END'
#!/bin/sh
[ "$1" != --build ] || { mkdir -p "$2/c_api" && touch "$2/libfaiss.so" "$2/c_api/libfaiss_c.so"; }
END
printf '#!/bin/sh\necho "cp: no space left" >&2\nexit 1\n' >"$TMP/full/cp"
chmod +x "$TMP/bin/cmake" "$TMP/full/cp"

said=$(PATH=$TMP/full:$TMP/bin:$PATH packaging/engine.sh library 2>&1)
is "a library that cannot be copied fails the build" $? 1
is "and leaves no folder where the server would look" "$(ls -d "$FAISSX_CACHE"/engine-*/libfaiss* 2>/dev/null)" ""
said=$(PATH=$TMP/bin:$PATH packaging/engine.sh library 2>"$TMP/err")
is "the next build succeeds" $? 0 || diag "$(cat "$TMP/err")"
is "and has the library and what it needs" "$(ls "${said%/*}" | tr '\n' ' ')" "libfaiss.so libfaiss_c.so "

# --- which one the server takes ---

rm -rf "$FAISSX_CACHE"/engine-*
for version in 1.7.3-2 1.10.0-1 1.9.0-1; do
    mkdir "$FAISSX_CACHE/engine-$version-1"
    cp "$FAISS_C" "$FAISSX_CACHE/engine-$version-1/libfaiss_c.so"
done
taken=$(env -u FAISSX_FAISS_LIBRARY -u LD_LIBRARY_PATH "$BUILD/faissx-server" run --bind ipc:///nonexistent/x 2>&1 |
    sed -n 's/.*event=library path=//p')
case $taken in
"$FAISSX_CACHE"/*) is "the server takes the newest version" "$taken" "$FAISSX_CACHE/engine-1.10.0-1-1/libfaiss_c.so" ;;
*) pass "the server takes the newest version # SKIP this machine has a FAISS installed" ;;
esac
