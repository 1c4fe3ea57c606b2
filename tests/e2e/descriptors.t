#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shim does not touch descriptors of the program, and limits on files end no process.
. tests/e2e/lib.sh

program() { FAISSX_TIMEOUT=100 remote "$BUILD/tests/e2e/descriptors" "$TMP/report" "$@"; }

for transport in --tcp ''; do
    # shellcheck disable=SC2086 # nothing, or one option
    start_server $transport
    over=${transport:+ over TCP}

    # --- 0, 1 and 2 ---

    # A memfd is closed before the program could see it: this library looks for it.
    cat >"$TMP/look.c" <<'END'
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t write(int fd, const void *p, size_t n)
{
    if (fd < 3 && n > 1000000)
        (void)close(open(LOW, O_CREAT | O_WRONLY, 0600));
    return syscall(SYS_write, fd, p, n);
}
END
    ok "a library that looks for low memfds compiles" ${CC:-gcc} -D_GNU_SOURCE -shared -fPIC \
        "-DLOW=\"$TMP/low\"" "$TMP/look.c" -o "$TMP/look.so"
    rm -f "$TMP/report"
    FAISSX_SERVER=$SERVER FAISSX_FAISS_LIBRARY=/nonexistent \
        LD_PRELOAD="${SANITIZER_RUNTIME:+$SANITIZER_RUNTIME }$TMP/look.so $STAND_IN" \
        ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" \
        "$BUILD/tests/e2e/descriptors" "$TMP/report" standard <&- >&- 2>&-
    is "the standard descriptors stay closed where they are$over" "$(cat "$TMP/report")" ok
    ok "none of them is a memfd for a moment" test ! -e "$TMP/low"

    # --- closed and opened again ---

    for kind in sockets files pipes; do
        rm -f "$TMP/report"
        program reuse $kind
        is "the shim does not touch $kind of the program that took the numbers of its descriptors$over" \
            "$(cat "$TMP/report")" ok
    done

    rm -f "$TMP/report"
    mkfifo "$TMP/go"
    program under-way <"$TMP/go" &
    pid=$!
    fx_servers="$fx_servers $pid"
    exec 9>"$TMP/go"
    wait_for grep -q begins "$TMP/report"
    wait_for pending 1
    echo go >&9
    exec 9>&-
    wait "$pid"
    rm "$TMP/go"
    is "a call that waits meanwhile ends with an error$over" "$(cat "$TMP/report")" "begins
faissx: this program closed the descriptor of the connection; the change may have been made
ok"
    kill "$SERVER_PID"
    wait_for grep -q 'event=stopping signal=15' "$SERVER_LOG"
    kill "$SERVER_PID" # the training has no end
    wait "$SERVER_PID"
done

# --- ulimit -f ---

start_server
limited() { (ulimit -f 64 && client "$@"); }
is "an array that is larger than a file may be" \
    "$(limited 'new 0 Flat' 'add 0 200000' 'total 0')" "new 0 Flat: ok
add 0 200000: ok
total 0: 200000"
ok "the server stops" stop_server

ulimit -S -f 8 # blocks of 512 bytes, or of 1024
start_server --log-level debug
client 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => $ARGV[0])->close for 1 .. 200' \
    "${SERVER#ipc://}"
ok "the log has reached the limit" test "$(wc -c <"$SERVER_LOG")" -ge 4096
is "the server continues to work" "$(client 'new 0 Flat')" "new 0 Flat: ok"
is "the engine has not died" "$(stat_of pid)" "$engine"
ok "the server stops" stop_server
