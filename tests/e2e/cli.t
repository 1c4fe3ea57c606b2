#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faissx: what it prints, its exit statuses, and its messages about a wrong command line.
. tests/e2e/lib.sh

cli() { "$BUILD/bin/faissx" "$@" 2>&1; }

# --- the command line ---

while IFS='|' read -r arguments text; do
    # shellcheck disable=SC2086 # a list of words
    said=$(cli $arguments)
    is "faissx $arguments: exit status" $? 2
    is "faissx $arguments: message" "$(printf '%s\n' "$said" | head -n 1)" "$text"
done <<'END'
|faissx: missing command
nothing|faissx: unknown command 'nothing'
stats more|faissx stats: unexpected operand 'more'
stats -v|faissx stats: unknown or ambiguous option '-v'
list --colour|faissx list: unknown or ambiguous option '--colour'
list -port 1|faissx list: unknown or ambiguous option '-port'
list --json -lx|faissx list: unknown or ambiguous option '-lx'
list --server|faissx list: a value is missing after '--server'
rm|faissx rm: missing operand 'NAME...'
run|faissx run: missing operand '[--] PROGRAM [ARGUMENT]...'
run --colour true|faissx run: unknown or ambiguous option '--colour'
END
is "faissx-server run -port 1" "$("$BUILD/faissx-server" run --port 0 -port 1 2>&1)" \
    "faissx-server: unknown or ambiguous option '-port'; faissx-server run --help lists them"
while read -r arguments; do
    # shellcheck disable=SC2086 # a list of words
    "$BUILD/faissx-server" $arguments >/dev/null 2>&1
    is "faissx-server $arguments: exit status" $? 2
done <<'END'
nothing
run --nothing
run more
run --threads
END
for help in -h --help help; do
    like "faissx-server $help" "$("$BUILD/faissx-server" $help)" '^  run +[a-z]'
    like "faissx $help" "$(cli $help)" '^  run +[a-z]'
done
like "faissx-server run -h" "$("$BUILD/faissx-server" run -h)" '--data-dir'
# A script's variable that is not set must not make the program use a FAISS of its own.
for option in server api-key tenant curve-server-key curve-key-file; do
    said=$(cli run "--$option" "" sh -c 'echo ran'; echo "status $?")
    is "run --$option '': the program does not run" "$(printf '%s\n' "$said" | sed -n '1p;$p')" \
        "faissx run: a value is missing after '--$option'
status 2"
    said=$(cli list "--$option="; echo "status $?")
    is "list --$option=" "$(printf '%s\n' "$said" | sed -n '1p;$p')" \
        "faissx list: a value is missing after '--$option'
status 2"
done
for command in run list rm stats health; do
    like "the list of commands has $command" "$(cli --help)" "^  $command +[a-z]"
    said=$(cli $command --help)
    is "$command --help: exit status" $? 0
    like "$command --help: usage" "$said" "^Usage: faissx $command \[OPTION\]\.\.\."
    like "$command --help: options" "$said" '^  --server ADDRESS +tcp://'
done
is "--version" "$(cli --version)" "faissx 0.1.0"

# --- run ---

env LD_PRELOAD="$SANITIZER_RUNTIME" ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}" "$BUILD/bin/faissx" run sh -c 'exit 7'
is "run ends with the program's status" $? 7
is "a program that does not exist" "$(cli run /nonexistent/program; echo $?)" \
    "faissx run: cannot run '/nonexistent/program': No such file or directory
127"
is "a program that cannot be executed" "$(cli run /tmp; echo $?)" \
    "faissx run: cannot run '/tmp': Permission denied
126"

# --- a server ---

is "an address that is not one" "$(cli stats --server nonsense; echo $?)" \
    "faissx: cannot connect to nonsense: endpoint must begin with tcp:// or ipc://
1"
is "a server that does not exist" "$(cli health --server "ipc://$TMP/none"; echo $?)" \
    "faissx: cannot connect to ipc://$TMP/none: No such file or directory
1"
start_server
like "health" "$(cli health --server "$SERVER")" '^uptime [0-9]+\.[0-9]+$'
# Connections that come and go, and requests that are answered, are not refused; an error counts once.
refused() { cli health --server "$SERVER" | sed -n 's/^refused //p'; }
for i in 1 2 3 4 5 6 7 8 9 10; do cli health --server "$SERVER" >/dev/null; accepts "$SERVER"; done
is "health and probes are not counted as refused" "$(refused)" 0
raw 'hex:,81' >/dev/null
is "a request with an error is, once" "$(refused)" 1
like "the server comes from the environment" "$(FAISSX_SERVER=$SERVER cli stats)" '^tenant default$'
is "a name that is not published" "$(cli rm --server "$SERVER" none; echo $?)" \
    "faissx: unpublish: no index is published as 'none'
1"

# --- a full disk ---

full() { "$@" 2>&1 >/dev/full; echo $?; }
FAISSX_SERVER=$SERVER
export FAISSX_SERVER
for command in "list --json" stats health "keygen --curve $TMP/key" --help --version "list --help"; do
    # shellcheck disable=SC2086 # a list of words
    is "faissx $command: stdout cannot be written" "$(full "$BUILD/bin/faissx" $command)" \
        "faissx: cannot write to stdout
1"
done
for command in --help --version "run --help" "verify --help"; do
    # shellcheck disable=SC2086 # a list of words
    like "faissx-server $command: stdout cannot be written" \
        "$(full "$BUILD/faissx-server" $command | tr '\n' ' ')" \
        '^faissx-server( verify)?: cannot write to stdout 1 $'
done
ok "the server stops" stop_server
