#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `faissx run` redirects programs that open libfaiss_c by a path or under the name of a variant, and
# reports a real FAISS that is loaded all the same.
. tests/e2e/lib.sh

real=$(realpath "$FAISS_C")
stand_in=$(realpath "$STAND_IN")
start_server --tcp

run() {
    env LD_PRELOAD="$SANITIZER_RUNTIME" ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
        LD_LIBRARY_PATH="$(dirname "$real")" "$BUILD/bin/faissx" run --server "$SERVER" "$@" \
        2>"$TMP/err"
}
# Our lines on stderr, without process numbers.
said() { sed -n '/^faissx: /s/\[[0-9]*\]//p' "$TMP/err"; }
adds() { "$BUILD/bin/faissx" stats --server "$SERVER" | awk '$2 == "faiss_Index_add" { print $3 }'; }

# Its two lines of output, and what it maps of FAISS by then.
remote_once="2
-2 1
maps $stand_in"
ok "a program that is not linked with FAISS" \
    ${CC:-gcc} -std=gnu11 -O2 tests/e2e/dl.c -o "$TMP/dl" -ldl
# The audit library itself is not the program's.
dl() { run "$@" maps | grep -v '/libfaissx_audit\.so$'; }

# opens NAME PATH: what the program opens as PATH is the stand-in, and what it does is remote.
opens() {
    fx_before=$(adds)
    is "$1 is remote, and FAISS is not mapped" "$(cd "$TMP" && dl "$TMP/dl" "$2")" "$remote_once"
    is "the server has counted one more add" "$(adds)" $((${fx_before:-0} + 1))
    is "nothing is reported on stderr" "$(said)" ""
}
ln -s "$real" "$TMP/libfaiss_c.so"
opens "a bare name" libfaiss_c.so
opens "an absolute path" "$real"
opens "a relative path" ./libfaiss_c.so
opens "a path where nothing is" /nowhere/libfaiss_c.so
for variant in avx2 avx512 avx512_spr sve; do
    opens "the variant $variant" libfaiss_c_$variant.so
done
opens "the path of a variant" "$(dirname "$real")/libfaiss_c_avx2.so"

is "a linked program maps the stand-in and no FAISS" \
    "$(run "$BUILD/tests/e2e/client" 'new 0 Flat' 'add 0 3' 'total 0' 'maps libfaiss_' 'maps libfaiss.')" \
    "new 0 Flat: ok
add 0 3: ok
total 0: 3
maps libfaiss_: $stand_in .
maps libfaiss.: ."

# The variants are also files, for programs that are started without `faissx run`.
for variant in avx2 avx512 avx512_spr sve; do
    is "LD_LIBRARY_PATH alone redirects $variant" "$(env FAISSX_SERVER="$SERVER" \
        LD_PRELOAD="$SANITIZER_RUNTIME" ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
        LD_LIBRARY_PATH="$BUILD/faissx" "$TMP/dl" libfaiss_c_$variant.so)" "2
-2 1"
done

# --- what is said ---

dl -v "$TMP/dl" "$real" libfaiss_c_avx2.so >/dev/null
is "-v reports what was redirected" "$(said)" \
    "faissx: dl has $stand_in for libfaiss_c.so
faissx: dl asked for $real and gets $stand_in
faissx: dl asked for libfaiss_c_avx2.so and gets $stand_in"
FAISSX_VERBOSE=0 dl "$TMP/dl" "$real" >/dev/null
is "FAISSX_VERBOSE=0 reports nothing" "$(said)" ""

ln -s "$real" "$TMP/libhidden.so"
is "a real FAISS under another name is not redirected" "$(run "$TMP/dl" "$TMP/libhidden.so")" "2
-2 1"
is "this is reported when it is mapped and when the program ends" \
    "$(said)" \
    "faissx: dl maps a real FAISS: what it does with $TMP/libhidden.so is done in the process
faissx: dl ran with a real FAISS: what it did with $TMP/libhidden.so was done in the process"

run sh -c 'exit 7'
is "the program's status is that of faissx run" $? 7

# --- who means the real one gets it ---

# (A sanitizer that was there before the C++ library cannot see its exceptions.)
if [ -z "$SANITIZER_RUNTIME" ]; then
    is "faissx_configure(NULL) loads FAISS into the process" \
        "$(FAISSX_FAISS_LIBRARY=$real run "$TMP/dl" libfaiss_c.so local libfaiss_c.so maps |
            grep -Fxc -e "maps $real" -e 2 -e '-2 1')" 5
    is "this is intended, and not reported" "$(said)" ""
fi

port=$(free_port)
env LD_PRELOAD="$SANITIZER_RUNTIME" ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
    FAISSX_FAISS_LIBRARY="$real" "$BUILD/bin/faissx" run --server "$SERVER" \
    "$BUILD/faissx-server" run --bind "tcp://127.0.0.1:$port" 2>"$TMP/err" &
server=$!
fx_servers="$fx_servers $server"
ok "faissx run starts a server" wait_for accepts "tcp://127.0.0.1:$port"
is "that server uses the real FAISS" "$(FAISSX_SERVER=tcp://127.0.0.1:$port preloaded "$BUILD/tests/e2e/client" \
    'new 0 Flat' 'add 0 3' 'total 0')" "new 0 Flat: ok
add 0 3: ok
total 0: 3"
ok "that server stops" stop_server "$server"
is "nothing is reported about it" "$(said)" ""

# --- other languages ---

if command -v python3 >/dev/null; then
    cat >"$TMP/program.py" <<'END'
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
lib.faiss_Index_ntotal.restype = ctypes.c_int64
index, x = ctypes.c_void_p(), (ctypes.c_float * 8)(*range(8))
assert lib.faiss_index_factory(ctypes.byref(index), 4, b"Flat", 1) == 0
assert lib.faiss_Index_add(index, ctypes.c_int64(2), x) == 0
print(lib.faiss_Index_ntotal(index))
print(*sorted({l.split()[-1] for l in open("/proc/self/maps") if "/libfaiss_" in l}))
END
    fx_before=$(adds)
    is "Python, by an absolute path" "$(run python3 "$TMP/program.py" "$real")" "2
$stand_in"
    is "the server has counted one more add" "$(adds)" $((fx_before + 1))
fi

# (Without a sanitizer, which a Java machine does not get along with.)
if command -v java >/dev/null && [ -z "$SANITIZER_RUNTIME" ]; then
    cat >"$TMP/Program.java" <<'END'
import java.nio.file.*;
class Program {
    public static void main(String[] args) throws Exception {
        System.load(args[0]);
        System.loadLibrary("faiss_c_avx512");
        Files.lines(Path.of("/proc/self/maps")).filter(l -> l.contains("/libfaiss_"))
            .map(l -> l.substring(l.indexOf('/'))).distinct().forEach(System.out::println);
    }
}
END
    is "Java, by System.load and by System.loadLibrary" \
        "$(run java -Djava.library.path="$BUILD/faissx" "$TMP/Program.java" "$real")" "$stand_in"
fi
ok "the server stops" stop_server
