# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the tests of attacks share: a server with two tenants, and a frame around an attack in
# which a victim works on, and memory and descriptors are measured.
. tests/e2e/lib.sh

attack() { timeout 280 "$BUILD/tests/attack/attack" "$@"; }

# start_tenants [OPTION...]: sets TCP, IPC, FRONT, and the processes ALPHA and BETA of the
# tenants with the keys key-a and key-b.
start_tenants() {
    (umask 077 && echo '{"key-a": "alpha", "key-b": "beta"}' >"$TMP/keys")
    IPC=ipc://$TMP/socket
    start_server --tcp --bind "$IPC" --auth-file "$TMP/keys" --lease 1 "$@"
    TCP=$SERVER
    FRONT=$SERVER_PID
    ALPHA=$(stat_of pid key-a)
    BETA=$(stat_of pid key-b)
    [ -n "$ALPHA" ] && [ -n "$BETA" ] || bail "the tenants have no engines"
}

descriptors() { ls "/proc/$1/fd" | wc -l; }
# back PID N: no more descriptors than that.
back() { [ "$(descriptors "$1")" -le "$2" ]; }
# How many descriptors each process has that are not somebody's connection.
baseline() {
    for fx_pid in $FRONT $ALPHA $BETA; do
        fx_last=-1
        until [ "$fx_last" = "$(descriptors "$fx_pid")" ]; do
            fx_last=$(descriptors "$fx_pid")
            sleep 0.3
        done
        eval "FDS_$fx_pid=$fx_last"
    done
}

# background NAME COMMAND...: until `ended NAME`, which waits for it and returns its status;
# `said NAME TEXT` waits for a line of its output in $TMP/NAME.out.
background() {
    fx_name=$1
    shift
    [ -p "$TMP/$fx_name.in" ] || mkfifo "$TMP/$fx_name.in"
    : >"$TMP/$fx_name.out"
    "$@" <"$TMP/$fx_name.in" >"$TMP/$fx_name.out" 2>&1 &
    eval "PID_$fx_name=$!"
    fx_servers="$fx_servers $!"
    sleep 600 >"$TMP/$fx_name.in" & # keeps it open
    eval "OPEN_$fx_name=$!"
    fx_servers="$fx_servers $!"
}
said() { wait_for grep -q "$2" "$TMP/$1.out"; }
ended() {
    eval "fx_pid=\$PID_$1 fx_open=\$OPEN_$1"
    kill "$fx_open" 2>/dev/null
    wait "$fx_open" 2>/dev/null
    wait "$fx_pid"
}

# figure NAME FILE PID: what watch printed for a process.
figure() { sed -n "s/^pid=$3 .*[ ]$1=\(-*[0-9]*\).*/\1/p" "$2"; }
at_most() { [ "$1" -le "$2" ] || { echo "$1, and at most $2 is allowed"; return 1; }; }

# within NAME FRONT_MIB ENGINE_MIB: memory grew by no more than that at the highest point; what
# was asked for, by 64 MiB more than that, or by $ENGINE_DATA.
within() {
    # A sanitizer's own memory is many times that of the program.
    [ -z "$SANITIZER_RUNTIME" ] || return 0
    ok "$1: memory of the front" at_most "$(figure rss_mib "$TMP/watch.out" "$FRONT")" "$2"
    for fx_pid in $ALPHA $BETA; do
        ok "$1: memory of an engine" at_most "$(figure rss_mib "$TMP/watch.out" "$fx_pid")" "$3"
        ok "$1: and what it asked for" at_most "$(figure data_mib "$TMP/watch.out" "$fx_pid")" "${ENGINE_DATA:-$(($3 + 64))}"
    done
}

# unharmed NAME WHO: that victim got right replies, and got them in time.
unharmed() {
    fx_said=$(grep searches= "$TMP/$2.out")
    like "$1: $2 worked on" "$fx_said" \
        '^searches=[0-9]{2,} wrong=0 failed=0 opens=[0-9]+ retries=[0-9]+ shut_out=0 ' ||
        diag "$(cat "$TMP/$2.out")"
    ok "$1: $2 did not wait long" at_most "$(echo "$fx_said" | sed 's/.*p99_ms=//')" 2000
}

same_processes() {
    kill -0 "$FRONT" && [ "$(stat_of pid key-a) $(stat_of pid key-b)" = "$ALPHA $BETA" ]
}

# under NAME FRONT_MIB ENGINE_MIB COMMAND...: an attack on $AT, with those bounds.  Victims of
# both tenants, or those in $VICTIMS, work on the same endpoint meanwhile.  An attack that
# holds what it has does so for $HOLD seconds.
under() {
    fx_under=$1 fx_front=$2 fx_engine=$3
    shift 3
    for who in ${VICTIMS:-beta alpha}; do
        background "$who" attack victim "$AT" "key-$(echo "$who" | cut -c1)"
    done
    for who in ${VICTIMS:-beta alpha}; do
        said "$who" working || bail "no victim: $(cat "$TMP/$who.out")"
    done
    background watch attack watch "$FRONT" "$ALPHA" "$BETA"
    said watch watching || bail "nobody watches: $(cat "$TMP/watch.out")"
    sleep "${HOLD:-0.3}" | "$@" >"$TMP/attack.out" 2>&1
    is "$fx_under: no fault" $? 0 || sed 's/^/# /' "$TMP/attack.out"
    ended watch
    for who in ${VICTIMS:-beta alpha}; do
        ended "$who"
        unharmed "$fx_under" "$who"
    done
    within "$fx_under" "$fx_front" "$fx_engine"
    if ! ok "$fx_under: the same processes" same_processes; then
        tail -n 20 "$SERVER_LOG" | sed 's/^/# /'
        ALPHA=$(stat_of pid key-a) # for what follows
        BETA=$(stat_of pid key-b)
        baseline
    fi
    for fx_pid in $FRONT $ALPHA $BETA; do
        eval "fx_fds=\$FDS_$fx_pid"
        ok "$fx_under: no descriptor is left over" wait_for back "$fx_pid" "$fx_fds"
    done
    diag "$fx_under: $(tail -n 1 "$TMP/attack.out"); $(sed -n 's/ alive=1//; s/^pid=[0-9]* //p' \
        "$TMP/watch.out" | tr '\n' ';') $(cat "$TMP"/beta.out | tail -n 1)"
}
