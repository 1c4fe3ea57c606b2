# SPDX-License-Identifier: Apache-2.0
# A table of the locks of one engine, from what bench/locks.sh puts together: the program's variables
# (nm), its places (addr2line), and what bench/locks.c has measured.  load is the name of the
# measurement, raw the file with what its client has measured.  A request takes the lock in
# begin_request() once: that is how requests are counted.
function decimal(hex, n, i) {
    hex = tolower(hex)
    sub(/^0x/, "", hex)
    for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
    return n
}
function variable(address, i) {
    if (address == 0) return "an object's"
    for (i = n; i > 1 && at[i] > address; i--) continue
    return name[i]
}
function row(lock, where, taken, contended, mean, p50, p99) {
    printf "%-22s %-34s %6.2f %8s %6s %6s %10.2f\n", lock, where, taken / requests, mean, p50, p99, \
        taken ? 100 * contended / taken : 0
}
function median(what, file, line, part, m, x, i, j, t) {
    while ((getline line <file) > 0) {
        split(line, part, "\t")
        if (part[2] == load && part[3] == what) {
            for (i = m++; i > 0 && x[i] > part[4] + 0; i--) x[i + 1] = x[i]
            x[i + 1] = part[4] + 0
        }
    }
    close(file)
    return m ? x[int((m + 1) / 2)] : 0
}

$1 == "name" { at[++n] = decimal($2); name[n] = $3; next }
$1 == "places" { reading = 1; next }
!reading && /^0x/ { p++; sub(/^0x[0-9a-f]*: */, "") }
!reading && / at / { # the first one that is not the function that every place calls to lock
    sub(/^ *\(inlined by\) /, "")
    if (!(p in place) && $1 != "fxe_lock") place[p] = $1
    next
}
reading {
    where[++m] = m in place ? place[m] : $1
    lock[m] = variable(decimal($2))
    taken[m] = $3; contended[m] = $4; wait[m] = $5; mean[m] = $7; p50[m] = $8; p99[m] = $9
    if (where[m] == "begin_request") requests += $3
}

END {
    if (!requests) { print load ": no request was measured"; exit 1 }
    cpu = median("cpu_engine", raw)
    printf "%s: %d requests measured, %.1f us of the engine's processor time for each, %.0f a second\n", load, \
        requests, cpu, median("per_second", raw)
    printf "%-22s %-34s %6s %8s %6s %6s %10s\n", "lock", "taken by", "times", "mean ns", "p50", "p99", "waited %"
    for (i = 1; i <= m; i++) {
        if (taken[i] < requests / 1000) continue
        row(lock[i], where[i], taken[i], contended[i], mean[i], p50[i], p99[i])
        times[lock[i]] += taken[i]
        waited[lock[i]] += contended[i]
        held[lock[i]] += taken[i] * mean[i]
    }
    for (l in times) {
        row(l, "together", times[l], waited[l], "", "", "")
        if (l == "an object's") continue # each request has its own
        printf "%s is held %.0f ns for a request: at most %.0f a second, which is what %.0f cores can do\n", l, \
            held[l] / requests, 1e9 * requests / held[l], cpu * 1000 * requests / held[l]
        printf "%s\t%s\theld_%s\t%.1f\n", 1, load, l, held[l] / requests >>raw
        printf "%s\t%s\tcores_%s\t%.1f\n", 1, load, l, cpu * 1000 * requests / held[l] >>raw
    }
    print ""
}
