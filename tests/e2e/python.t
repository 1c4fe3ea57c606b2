#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Python module: every class in process and on a server, bit for bit; its errors; unmodified
# programs through `faissx run`; the wheel.
. tests/e2e/lib.sh
has faiss_IndexBinary_add || skip_all "the module is for FAISS 1.7.3 or later"

# The distribution's Python has the distribution's packages; another one may come first in PATH.
for python in python3 /usr/bin/python3 none; do
    "$python" -c 'import numpy' 2>/dev/null && break
done
[ "$python" != none ] || skip_all "python3-numpy is not installed"
alias=$BUILD/faissx/python/faissx_c/as_faiss
# One thread, so that FAISS does its work in the same order.
export PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
why() { grep -v WARNING "$1" | tail -n 12 | sed 's/^/# /'; }
here() { preloaded env PYTHONPATH="$alias" "$python" "$@"; }
there() { remote env PYTHONPATH="$alias" RAW="$BUILD/tests/e2e/raw" "$python" "$@"; }

# --- results ---

start_server
here tests/python/classes.py >"$TMP/local" 2>"$TMP/err"
is "each class in process" $? 0 || why "$TMP/err"
there tests/python/classes.py >"$TMP/remote" 2>"$TMP/err"
is "each class on a server" $? 0 || why "$TMP/err"
same "the same bits" "$TMP/local" "$TMP/remote"
ok "with many lines" test "$(wc -l <"$TMP/local")" -ge 45

# --- errors ---

is "errors in process" "$(here tests/python/errors.py 2>"$TMP/err" || cat "$TMP/err")" "all errors are as they should be"
is "errors on a server" "$(there tests/python/errors.py 2>"$TMP/err" || cat "$TMP/err")" "all errors are as they should be"
is "objects in process" "$(here tests/python/objects.py 2>"$TMP/err" || cat "$TMP/err")" "all objects are as they should be"
is "objects on a server" "$(there tests/python/objects.py 2>"$TMP/err" || cat "$TMP/err")" "all objects are as they should be"
like "a server that does not exist" "$(SERVER=ipc://$TMP/none there -c 'import faiss; faiss.IndexFlatL2(4)' 2>&1)" \
    '^RuntimeError: faissx: .*none'

is "a field of a published index is not set in a copy" "$(there -c '
import faiss
i = faiss.IndexPQ(8, 2, 4)
faiss.write_index(i, "faissx://py")
try:
    faiss.read_index("faissx://py").search_type = 1
except NotImplementedError as e:
    print(e)' 2>/dev/null)" "faiss.IndexPQ: FAISS's C API cannot set a field of a published index"

is "a published index is not emptied into another" "$(there -c '
import faiss
i = faiss.IndexFlatL2(4)
i.add(faiss.rand((3, 4), 1))
faiss.write_index(i, "faissx://from")
for other in (i, faiss.read_index("faissx://from")):
    into = faiss.IndexFlatL2(4)
    try:
        into.merge_from(other)
    except NotImplementedError as e:
        print(e, other.ntotal, into.ntotal)' 2>&1 | sort -u)" \
    "faiss.IndexFlatL2.merge_from: FAISS's C API cannot merge from a published index 3 0"

mkdir "$TMP/mapped"
here -c '
import faiss, sys
faiss.write_index(faiss.IndexLSH(8, 8), sys.argv[1])' "$TMP/mapped/i"
is "a published index is not of the class of a file of the same name" "$(
    FAISSX_PATH_MAP="$TMP/mapped/=faissx://" there -c '
import faiss, sys
faiss.write_index(faiss.IndexPQ(8, 2, 4), sys.argv[1])
print(type(faiss.read_index(sys.argv[1])).__name__)' "$TMP/mapped/i" 2>&1)" IndexPQ

# --- what is sent ---

is "a large index is not sent for its class or its parts" "$(there tests/python/transfers.py 2>&1)" "nothing large was sent"

# --- a server that is lost ---

main_server=$SERVER
start_server
mkfifo "$TMP/go"
export FAISSX_RETRIES=0
there tests/python/lost.py "$SERVER_PID" <"$TMP/go" >"$TMP/lost" 2>&1 &
lost=$!
exec 9>"$TMP/go"
for _ in $(seq 600); do
    grep -q -e lost -e Error "$TMP/lost" && break
    sleep 0.1
done
start_server --again
echo >&9
wait "$lost"
is "properties tell that their server or their index is lost" "$(tail -n 1 "$TMP/lost")" "all calls have told" || why "$TMP/lost"
exec 9>&-
unset FAISSX_RETRIES
SERVER=$main_server

# --- faissx run ---

run() {
    env FAISSX_FAISS_LIBRARY=/nonexistent LD_PRELOAD="$SANITIZER_RUNTIME" \
        ASAN_OPTIONS="detect_leaks=0:$ASAN_OPTIONS" "$BUILD/bin/faissx" run --server "$SERVER" "$@"
}
here tests/python/tutorial.py >"$TMP/local" 2>&1
is "an unmodified program in process" $? 0 || why "$TMP/local"
run "$python" tests/python/tutorial.py >"$TMP/remote" 2>&1
is "and through faissx run" $? 0 || why "$TMP/remote"
same "prints the same" "$TMP/local" "$TMP/remote"
mkdir -p "$TMP/site/faiss"
echo 'raise SystemExit("another faiss was imported")' >"$TMP/site/faiss/__init__.py"
is "an installed faiss is not imported instead" "$(PYTHONPATH=$TMP/site run "$python" -c 'import faiss; print(faiss.__name__)' 2>&1)" faissx_c
like "a Python without NumPy is told what is missing" "$(run "$python" -S -c 'import faiss' 2>&1 | tail -n 1)" \
    "^ModuleNotFoundError: faissx_c needs NumPy, .* python3-numpy .* pip install numpy'"
like "and is without faissx run" "$(PYTHONPATH=$TMP/site "$python" -c 'import faiss' 2>&1)" 'another faiss'
is "a pickled index is read by a program that has not imported faiss" "$(run "$python" -c '
import pickle, subprocess, sys
import faiss
code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).d)"
print(subprocess.run([sys.executable, "-c", code], input=pickle.dumps(faiss.IndexFlatL2(4)),
                     capture_output=True, check=True).stdout.decode().strip())' 2>&1)" 4
is "one session, with the library of faissx run" "$(run "$python" -c '
import faiss, faissx_c
i = faiss.IndexFlatL2(4)
print(faissx_c.is_remote(i._h), faissx_c._api.library._name)' 2>&1)" 'True None'

# --- the wheel ---

case $BUILD in *-address | *-thread) exit 0 ;; esac
wheel=$(make --no-print-directory -s BUILD="${BUILD#"$PWD"/}" wheel 2>&1 | tail -n 1)
ok "the wheel is built" test -f "$wheel" || { diag "$wheel"; exit 1; }
mkdir "$TMP/incomplete" "$TMP/none"
echo 'int x;' >"$TMP/x.c"
${CC:-gcc} -shared -o "$TMP/incomplete/libneeded.so" "$TMP/x.c"
${CC:-gcc} -shared -Wl,--no-as-needed -o "$TMP/incomplete/liblast.so" "$TMP/x.c" -L"$TMP/incomplete" -lneeded
rm "$TMP/incomplete/libneeded.so"
like "a wheel without a library that it needs is not made" \
    "$("$python" packaging/wheel.py 1 "$TMP/none" "$TMP/incomplete/liblast.so" "$TMP/none" 2>&1)" \
    'not found, and the wheel needs them: libneeded\.so'
if ! "$python" -m venv --system-site-packages "$TMP/venv" >"$TMP/venv.out" 2>&1; then
    diag "the wheel is not tried: python3-venv is not installed"
    exit 0
fi
ok "pip installs it without a network" "$TMP/venv/bin/pip" install --no-index --no-deps "$wheel"
cd "$TMP" || exit 1
wheeled() { env -u LD_LIBRARY_PATH FAISSX_SERVER="$SERVER" FAISSX_FAISS_LIBRARY=/nonexistent "$TMP/venv/bin/python" "$@"; }
is "its library is the one that is used" "$(wheeled -c '
import faissx_c, os
i = faissx_c.IndexFlatL2(4)
print(faissx_c.is_remote(i._h), os.path.dirname(faissx_c._api.library._name) == os.path.dirname(faissx_c.__file__))' 2>&1)" 'True True'
like "it does not take the name faiss" "$(wheeled -c 'import faiss' 2>&1)" "No module named 'faiss'"
wheeled -m faissx_c "$OLDPWD/tests/python/tutorial.py" >"$TMP/remote" 2>&1
same "python -m faissx_c runs an unmodified program" "$TMP/local" "$TMP/remote"
cd "$OLDPWD" || exit 1
