#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faiss_set_omp_threads is effective for the session that called it, and for no other.
. tests/e2e/lib.sh

OMP_NUM_THREADS=2
export OMP_NUM_THREADS
start_server

# Prints for each thread of the engine, but for the housekeeper, its number and the nanoseconds that it
# has run.  (The housekeeper wakes forty times a second meanwhile, which a busy machine makes long.)
run_times() {
    for t in "/proc/$engine/task"/*; do
        [ "${t##*/}" = "$engine" ] || echo "${t##*/} $(cut -d ' ' -f 1 "$t/schedstat")"
    done
}

# workers COMMAND...: the number of threads that did at least a fiftieth of the work each.
workers() {
    run_times >"$TMP/before"
    "$@" >"$TMP/said"
    run_times >"$TMP/after"
    awk 'NR == FNR { before[$1] = $2; next }
         { ran[$1] = $2 - before[$1]; sum += ran[$1] }
         END { for (t in ran) n += ran[t] > sum / 50; print n }' "$TMP/before" "$TMP/after"
}

# measured N COMMAND...: the same, measured again if it is not N: on a busy machine a thread may get
# no time at all while others work.
measured() {
    wanted=$1
    shift
    for try in 1 2 3; do
        n=$(workers "$@")
        [ "$n" != "$wanted" ] || break
    done
    echo "$n"
}

talk a
talk b
ask a 'new 0 Flat' >/dev/null
ask b 'new 0 Flat' >/dev/null
engine=$(stat_of pid)
is "without the call, work runs on OMP_NUM_THREADS threads" "$(measured 2 ask a 'train 0 50')" 2
is "faiss_set_omp_threads can be called" "$(ask a 'threads 3')" "done"
is "work of the session that called it runs on that many threads" "$(measured 3 ask a 'train 0 50')" 3
is "its training succeeded" "$(cat "$TMP/said")" ok
is "work of another session does not" "$(measured 2 ask b 'train 0 50')" 2
ask a 'threads 1' >/dev/null
is "it can be called again" "$(measured 1 ask a 'train 0 50')" 1
ok "the server stops" stop_server
