# SPDX-License-Identifier: Apache-2.0
# From the tables that the benchmarks left (arguments; round, worker, name, value) to
# the ratios: name, value, target, met, lower and upper quartile of the rounds.
BEGIN { FS = OFS = "\t" }

FNR == 1 { bench = FILENAME; sub(/.*\//, "", bench); sub(/\.tsv$/, "", bench) }
{ v[bench, $1, $2, $3] = $4; if ($1 > rounds[bench]) rounds[bench] = $1 }

function has(b, r, w, name) { return (b, r, w, name) in v }
function get(b, r, w, name) { return v[b, r, w, name] }
function note(x) { x_of[++n] = x }

function sort(i, j, t) {
    for (i = 2; i <= n; i++) {
        t = x_of[i]
        for (j = i - 1; j > 0 && x_of[j] > t; j--) x_of[j + 1] = x_of[j]
        x_of[j + 1] = t
    }
}
function lower() { return x_of[1 + int((n - 1) / 4)] }
function upper() { return x_of[n - int((n - 1) / 4)] }

# Prints what was noted, with its target; sign is "<=", "<", ">=" or "" for no target.
function put(name, sign, target, value, met) {
    if (n == 0) {
        if (sign != "") print name, "n/a", sign " " target, "n/a", "", ""
        return
    }
    sort()
    value = n % 2 ? x_of[(n + 1) / 2] : (x_of[n / 2] + x_of[n / 2 + 1]) / 2
    met = sign == "<=" ? value <= target : sign == "<" ? value < target : value >= target
    if (sign != "") sign = sign " " target
    printf "%s\t%.3f\t%s\t%s\t%.3f\t%.3f\n", name, value, sign,
        sign == "" ? "" : met ? "yes" : "no", lower(), upper()
    n = 0
}

# The ratio of one name of two workers, in each round.
function ratio(b, above, below, name, r) {
    for (r = 1; r <= rounds[b]; r++)
        if (has(b, r, above, name) && has(b, r, below, name))
            note(get(b, r, above, name) / get(b, r, below, name))
}

# What a remote query takes longer than one in process, divided by the time of an echo.
function over_echo(way, worker, echo, r) {
    for (r = 1; r <= rounds["query"]; r++)
        if (has("query", r, way, "p50"))
            note((get("query", r, way, "p50") - get("query", r, "local", "p50")) / \
                get("query", r, worker, echo "_p50"))
}

function python(theirs, worker, ours, r) {
    for (r = 1; r <= rounds["python"]; r++)
        if (has("python", r, worker, ours))
            note(get("python", r, "python", theirs) / get("python", r, worker, ours))
}

# Throughput, divided by that of the best of several runs in process.
function over_best(b, worker, locals, r, best, i, w, ways) {
    split(locals, ways, " ")
    for (r = 1; r <= rounds[b]; r++) {
        best = 0
        for (i = 1; i in ways; i++)
            if (has(b, r, ways[i], "per_second") && (w = get(b, r, ways[i], "per_second")) + 0 > best)
                best = w + 0
        if (best > 0 && has(b, r, worker, "per_second"))
            note(get(b, r, worker, "per_second") / best)
    }
}

# A value that one worker reports.
function plain(b, worker, name, r) {
    for (r = 1; r <= rounds[b]; r++)
        if (has(b, r, worker, name))
            note(get(b, r, worker, name))
}

# CPU time of front and engine for a call of one worker, divided by that for a call of another.
function server_cpu(b, above, below, r) {
    for (r = 1; r <= rounds[b]; r++)
        if (has(b, r, above, "cpu_engine") && has(b, r, below, "cpu_engine"))
            note((get(b, r, above, "cpu_engine") + get(b, r, above, "cpu_front")) / \
                (get(b, r, below, "cpu_engine") + get(b, r, below, "cpu_front")))
}

# Every second round has busy neighbours: its value, divided by that of the round before.
function beside(worker, name, r) {
    for (r = 2; r <= rounds["neighbour"]; r += 2)
        if (has("neighbour", r, worker, name))
            note(get("neighbour", r, worker, name) / get("neighbour", r - 1, worker, name))
}

# Throughput of 64 clients times the CPU time that a search and an echo take: 1 is what
# one core could do if nothing else cost anything.
function clients_over_cpu(b, r) {
    for (r = 1; r <= rounds[b]; r++)
        if (has(b, r, "remote64", "per_second"))
            note(get(b, r, "remote64", "per_second") * (get(b, r, "local", "cpu_client") + \
                get(b, r, "echo", "tcp_zmq_cpu") + get(b, r, "echo", "tcp_zmq_echo_cpu")) / 1e6)
}

# Of the four tenants, or of four programs in process.
function four(r, who, what, i, x, sum, cpu, least, most) {
    least = 1e18
    for (i = 0; i < 4; i++) {
        x = get("tenants", r, who i, "per_second") + 0
        sum += x
        cpu += x * get("tenants", r, who i, "cpu_client")
        if (x < least) least = x
        if (x > most) most = x
    }
    # Each of them counts the processor time of all engines.
    if (who == "tenant") cpu += x * get("tenants", r, who 3, "cpu_engine")
    return what == "sum" ? sum : what == "cpu" ? cpu / sum : least / most
}
function cpu_of_one(r, who) {
    return get("tenants", r, who, "cpu_client") + (who == "all" ? get("tenants", r, who, "cpu_engine") : 0)
}
function put_tenants(who, one, end, target, r, i, sum, least, most) {
    if (!has("tenants", 1, who 3, "per_second")) return
    for (r = 1; r <= rounds["tenants"]; r++) note(four(r, who, "sum") / get("tenants", r, one, "per_second"))
    put("tenants4_over_one" end, "", "")
    for (r = 1; r <= rounds["tenants"]; r++) note(cpu_of_one(r, one) / four(r, who, "cpu"))
    put("tenants4_over_one_cpu" end, target, 0.95)
    for (r = 1; r <= rounds["tenants"]; r++) note(four(r, who, "evenness"))
    put("tenants_least_over_most" end, "", "")
    least = 1e18
    for (i = 0; i < 4; i++) {
        for (r = 1; r <= rounds["tenants"]; r++) sum += get("tenants", r, who i, "per_second")
        if (sum < least) least = sum
        if (sum > most) most = sum
        sum = 0
    }
    note(least / most)
    put("tenants_least_over_most_together" end, target, 0.85)
}

END {
    if (has("local", 1, "shim", "instructions") && has("local", 2, "shim", "instructions"))
        note(get("local", 2, "shim", "instructions") - get("local", 1, "shim", "instructions") - \
            get("local", 2, "direct", "instructions") + get("local", 1, "direct", "instructions"))
    put("local_instructions", "<=", 12)
    over_echo("tcp", "echo", "tcp_zmq"); put("remote_over_zmq_echo", "<=", 1.25)
    over_echo("ipc", "echo", "unix_bare"); put("remote_over_unix_echo", "<=", 3)
    over_best("batch-Flat", "tcp", "local local_passive"); put("batch_flat", ">=", 0.95)
    over_best("batch-IVF1024", "tcp", "local local_passive"); put("batch_ivf", ">=", 0.95)
    over_best("clients-Flat", "remote64", "local64 local64_omp2 local2"); put("clients64_flat_same_bits", ">=", 2)
    over_best("clients-Flat", "fast64", "local64 local64_omp2 local2"); put("clients64_flat_fast", ">=", 3)
    clients_over_cpu("clients-IVF1024"); put("clients64_ivf", ">=", 0.8)
    clients_over_cpu("clients-HNSW32"); put("clients64_hnsw", ">=", 0.8)
    for (i = 2; i <= rounds["half"]; i += 2)
        note(get("half", i, "remote64", "p99") / get("half", i, "remote64", "p50"))
    put("p99_over_p50", "<=", 4)
    for (i = 2; i <= rounds["half"]; i += 2)
        if (has("half", i, "local64", "p50"))
            note(get("half", i, "local64", "p99") / get("half", i, "local64", "p50"))
    put("p99_over_p50_in_process", "", "")
    ratio("busy", "beside", "alone", "p50"); put("busy_core", "<=", 2.5)
    ratio("busy", "batch_beside", "batch_alone", "p50"); put("busy_core_batch", "", "")
    ratio("busy", "local_batch_beside", "local_batch_alone", "p50"); put("busy_core_batch_in_process", "", "")
    for (i = 1; i <= rounds["add"]; i++)
        if (has("add", i, "tcp", "seconds"))
            note((get("add", i, "local", "seconds") + get("add", i, "echo", "tcp_zmq_seconds")) / \
                get("add", i, "tcp", "seconds"))
    put("add_1m", ">=", 0.85)
    i = rounds["add"]
    if (has("add", i, "tcp", "peak_engine"))
        note((get("add", i, "tcp", "peak_engine") + get("add", i, "tcp", "peak_front")) / \
            get("add", i, "local", "peak_client"))
    put("server_memory", "<=", 1.1)
    over_best("batch-Flat", "elsewhere", "local local_passive"); put("elsewhere_batch_flat", ">=", 0.95)
    over_best("batch-IVF1024", "elsewhere", "local local_passive"); put("elsewhere_batch_ivf", ">=", 0.95)
    ratio("ten", "local", "elsewhere", "p50"); put("elsewhere_ten_ivf", ">=", 0.8)
    for (i = 1; i <= rounds["far"]; i++)
        if (has("far", i, "echo_up", "tcp_zmq_seconds"))
            note((get("far", i, "local", "seconds") + get("far", i, "echo_up", "tcp_zmq_seconds")) / \
                get("far", i, "elsewhere_add", "seconds"))
    put("elsewhere_add_1m", ">=", 0.9)
    ratio("far", "elsewhere_train_add", "elsewhere_add", "seconds"); put("elsewhere_train_and_add", "", "")
    for (i = 1; i <= rounds["far"]; i++)
        if (has("far", i, "echo_down", "tcp_zmq_seconds"))
            note(get("far", i, "echo_down", "tcp_zmq_seconds") / get("far", i, "elsewhere_save", "seconds"))
    put("elsewhere_save_1m", ">=", 0.9)
    ratio("curve", "elsewhere_curve", "elsewhere_plain", "p50"); put("curve_query_p50", "<=", 1.3)
    for (i = 1; i <= rounds["curve"]; i++)
        if (has("curve", i, "elsewhere_add_curve", "seconds"))
            note((get("curve", i, "local", "seconds") + get("curve", i, "echo_curve", "tcp_zmq_seconds")) / \
                get("curve", i, "elsewhere_add_curve", "seconds"))
    put("curve_add_1m", ">=", 0.9)
    ratio("small", "tcp", "local", "us_per_add"); put("small_adds", "", "")
    ratio("small", "not_joined", "local", "us_per_add"); put("small_adds_not_joined", "", "")
    for (i = 1; i <= rounds["live"]; i++)
        if (has("live", i, "local_many", "p50"))
            note(get("live", i, "many", "p50") / (get("live", i, "one", "p50") + \
                get("live", i, "local_many", "p50") - get("live", i, "local_one", "p50")))
    put("live_indexes_10000", "<=", 1.1)
    ratio("sessions", "many", "one", "p50"); put("sessions_10000", "<=", 1.1)
    for (i = 1; i <= rounds["idle"]; i++)
        if (has("idle", i, "idle", "cpu_front"))
            note(get("idle", i, "idle", "cpu_front") + get("idle", i, "idle", "cpu_engine"))
    put("idle_cpu", "<", 0.5)
    put_tenants("tenant", "all", "", ">=")
    put_tenants("local", "local", "_in_process", "")
    over_best("clients-Flat", "elsewhere64", "local64 local64_omp2 local2"); put("elsewhere64_flat_same_bits", ">=", 2.2)
    over_best("clients-Flat", "elsewhere_fast64", "local64 local64_omp2 local2"); put("elsewhere64_flat_fast", ">=", 3)
    server_cpu("clients-IVF1024", "elsewhere64", "remote64"); put("elsewhere64_server_cpu", "<=", 1.25)
    over_echo("elsewhere", "echo_elsewhere", "tcp_zmq"); put("elsewhere_over_zmq_echo", "<=", 0.6)
    plain("query", "elsewhere", "cpu_front"); put("elsewhere_front_cpu", "<=", 0)
    plain("connects", "elsewhere", "per_second"); put("connects_per_second", ">=", 5000)
    for (i = 1; i <= rounds["connects"]; i++)
        if (has("connects", i, "elsewhere", "cpu_front"))
            note(get("connects", i, "elsewhere", "cpu_front") + get("connects", i, "elsewhere", "cpu_engine"))
    put("connect_cpu", "", "")
    for (i = 1; i <= rounds["sessions"]; i++)
        if (has("sessions", i, "others", "memory_each"))
            note(get("sessions", i, "others", "memory_each") / 1024)
    put("session_kib", "<=", 16)
    ratio("sessions", "elsewhere_many", "elsewhere_one", "p50"); put("elsewhere_sessions_10000", "<=", 1.1)
    beside("elsewhere_idle", "p99"); put("neighbour_p99", "<=", 4)
    beside("echo_idle", "tcp_zmq_p99"); put("neighbour_p99_echo", "", "")
    beside("elsewhere_other", "p99"); put("neighbour_p99_one_machine", "", "")
    beside("echo_other", "tcp_zmq_p99"); put("neighbour_p99_echo_one_machine", "", "")
    ratio("durable", "batches", "disk", "mb_per_second"); put("durable_batches_over_disk", ">=", 0.8)
    ratio("durable", "added", "disk", "mb_per_second"); put("in_process_batches_over_disk", "", "")
    for (i = 1; i <= rounds["durable"]; i++)
        if (has("durable", i, "added", "mb_per_second"))
            note(get("durable", i, "batches", "mb_per_second") * \
                (1 / get("durable", i, "disk", "mb_per_second") + 1 / get("durable", i, "added", "mb_per_second")))
    put("durable_batches_over_both", "", "")
    for (i = 1; i <= rounds["durable"]; i++)
        if (has("durable", i, "after", "commits"))
            note((get("durable", i, "after", "records") - get("durable", i, "before", "records")) / \
                (get("durable", i, "after", "commits") - get("durable", i, "before", "commits")))
    put("durable_adds_per_commit", ">=", 20)
    ratio("durable", "search_durable", "search_memory", "p50"); put("search_beside_durable_p50", "<=", 1.2)
    ratio("durable", "search_durable", "search_memory", "p99"); put("search_beside_durable_p99", "<=", 1.5)
    ratio("snapshot", "beside", "quiet", "p99"); put("search_beside_snapshot_p99", "<=", 2)
    ratio("restart", "server_Flat", "local_Flat", "seconds"); put("restart_flat", "<=", 1.3)
    ratio("restart", "server_HNSW32", "local_HNSW32", "seconds"); put("restart_hnsw", "<=", 1.3)
    plain("written", "engine", "written_ratio"); put("bytes_written", "<=", 3)
    ratio("readers", "readers100", "readers1", "memory"); put("readers100_memory", "<=", 1.1)
    for (i = 1; i <= rounds["readers"]; i++)
        if (has("readers", i, "readers100", "last"))
            note(get("readers", i, "readers100", "last") / get("readers", i, "local", "last"))
    put("readers100_last", "<=", 0.1)
    for (i = 1; i <= rounds["readers"]; i++)
        if (has("readers", i, "readers100", "last"))
            note(get("readers", i, "readers100", "first") / get("readers", i, "local", "last"))
    put("readers100_first", "", "")
    plain("numbers", "numbers", "read_mb_s"); put("numbers_read_mb_s", ">=", 800)
    plain("numbers", "numbers", "write_mb_s"); put("numbers_written_mb_s", "", "")
    plain("numbers", "numbers", "read_tree_mb_s"); put("numbers_read_by_msgpack_c_mb_s", "", "")
    python("search_p50", "search", "p50"); put("python_search", ">=", 100)
    python("search100_p50", "search100", "p50"); put("python_search_100", ">=", 10)
    python("add_seconds", "add", "seconds"); put("python_add", ">=", 10)
    for (i = 1; i <= rounds["module"]; i++)
        if (has("module", i, "module1", "p50") && has("module", i, "c1", "p50"))
            note(get("module", i, "module1", "p50") - get("module", i, "c1", "p50"))
    put("module_search_us_more", "<=", 5)
    ratio("module", "c100", "module100", "p50"); put("module_search_100", ">=", 0.9)
    ratio("module", "c_add", "module_add", "seconds"); put("module_add", ">=", 0.9)
    ratio("python", "python", "dialect", "search_p50"); put("dialect_search", ">=", 100)
    ratio("python", "python", "dialect", "search100_p50"); put("dialect_search_100", ">=", 10)
    ratio("python", "python", "dialect", "add_seconds"); put("dialect_add", ">=", 10)
    ratio("python", "python", "dialect", "reconstruct_p50"); put("dialect_reconstruct", ">=", 10)
    ratio("faissx", "theirs", "ours", "search_seconds"); put("faissx_search", ">=", 100)
    ratio("faissx", "theirs", "ours", "search100_seconds"); put("faissx_search_100", ">=", 10)
    ratio("faissx", "theirs", "ours", "add_seconds"); put("faissx_add", ">=", 10)
    ratio("faissx", "theirs", "ours", "reconstruct_seconds"); put("faissx_reconstruct", ">=", 10)
    ratio("faissx", "ours", "theirs", "processes_per_second"); put("faissx_processes_16", ">=", 100)
}
