# SPDX-License-Identifier: Apache-2.0
"""Tables of what peers.py measured, in Markdown: table.py FOLDER...

Each folder has a results.tsv and an about.tsv of peers.py.  With --plots FOLDER, writes what
bench/peers/plot.sh draws."""
import os
import sys

OURS = ("faissx-c", "faissx-module", "faissx-dialect")
# Inserts of these go into an index that is complete when a search sees them.
INDEXED = OURS + ("pgvector", "chroma")
AIMED = ("0.95", "0.99")


class Figures:
    def __init__(self, folders):
        self.values, self.failures, self.about, self.dimensions, self.names = {}, [], {}, [], []
        for folder in folders:
            for line in rows(os.path.join(folder, "results.tsv")):
                d, name, what, clients, setting, value = line
                if d == "dimensions":
                    continue
                if d not in self.dimensions and d != "0":
                    self.dimensions.append(d)
                if what == "failed":
                    self.failures.append((d, name, setting, value))
                    continue
                if name not in self.names:
                    self.names.append(name)
                self.values[d, name, what, clients, setting] = float(value)
            for line in rows(os.path.join(folder, "about.tsv")):
                self.about[line[0]] = line[1:]
            for name, reason in rows(os.path.join(folder, "missing.tsv")):
                self.failures.append(("-", name, "install", reason))

    def __call__(self, d, name, what, clients, setting="-"):
        return self.values.get((d, name, what, str(clients), setting))

    def counts(self, d):
        return sorted({int(c) for dd, _, what, c, _ in self.values if dd == d and what == "per_second"})

    def settings(self, d):
        return sorted({s for dd, _, what, _, s in self.values if dd == d and what == "per_second"})


def rows(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [line.rstrip("\n").split("\t") for line in f]


def number(x):
    if x is None:
        return "-"
    if x >= 100:
        return "{:,.0f}".format(x)
    return "%.2g" % x if x < 10 else "%.0f" % x


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def about(f):
    print("### Systems\n")
    table(("system", "version", "index", "threads that search", "promises"),
          [[name, *f.about[name]] for name in f.names if name in f.about])
    if f.failures:
        table(("system", "dimensions", "stage", "what failed"),
              [[name, d, stage, reason.replace("|", "/")] for d, name, stage, reason in f.failures])


def searches(f, d):
    counts = f.counts(d)
    times = {"p50_us": "p50 us", "p99_us": "p99 us", "cpu_us": "CPU us"}
    times = {what: title for what, title in times.items() if any(k[0] == d and k[2] == what for k in f.values)}
    for setting in f.settings(d):
        which = "exact" if setting == "exact" else "HNSW, recall@10 of at least " + setting
        print("### %s dimensions, %s\n" % (d, which))
        head = ["system", "recall", "effort"]
        for c in counts:
            head += ["%d: per second" % c, *times.values()]
        lines = []
        for name in f.names:
            if not any(f(d, name, "per_second", c, setting) for c in counts):
                continue
            owner = "faissx-module" if name in OURS else name
            recall = f(d, owner, "recall", 1, setting)
            line = [name, "%.3f" % recall if recall is not None else "-", number(f(d, owner, "effort", 1, setting))]
            for c in counts:
                rate = f(d, name, "per_second", c, setting)
                line += [number(rate)] + [number(f(d, name, p, c, setting)) for p in times]
            lines.append(line)
        table(head, lines)


def others(f, d):
    print("### %s dimensions: inserts, memory, start\n" % d)
    head = ["system", "all in one, with index: per second"]
    modes = [m for m in ("always", "os", "none") if any(k[0] == d and k[4] == m for k in f.values)]
    for m in modes:
        head += ["batches, %s" % m, "single, %s" % m]
    head += ["memory MiB", "start s", "restart s"]
    lines = []
    for name in f.names:
        load = f(d, name, "load_s", 1)
        line = [name, number(VECTORS / load if load else None)]
        for m in modes:
            line += [number(f(d, name, w, 1, m)) for w in ("batch_inserts", "single_inserts")]
        line += [number(f(d, name, *what)) for what in (("memory_mib", 1), ("start_s", 0), ("restart_s", 1))]
        lines.append(line)
    table(head, lines)


def best(f, d, what, clients, setting, names, most=True):
    found = [(f(d, n, what, clients, setting), n) for n in names if f(d, n, what, clients, setting)]
    return (max(found) if most else min(found)) if found else (None, "")


def targets(f, d):
    """Ratios against the best peer: each of our three against the best of the others."""
    peers = [n for n in f.names if n not in OURS]
    lines = []

    def line(text, target, what, clients, setting, most=True, who=peers, theirs=None):
        value, name = best(f, d, what, clients, theirs or setting, who, most)
        for ours in OURS:
            own = f(d, ours, what, clients, setting)
            if own and value:
                ratio = own / value
                met = ratio >= target if most else ratio <= target
                lines.append([d, text, ours, name, "%.2f" % ratio, ("at least %g" if most else "at most %g") % target,
                              "yes" if met else "no"])

    clients = max(f.counts(d), default=0)
    for aim in AIMED:
        line("searches per second, recall %s, %d clients" % (aim, clients), 6, "per_second", clients, aim)
        line("p99, recall %s, %d clients" % (aim, clients), 0.3, "p99_us", clients, aim, most=False)
    indexed = [n for n in peers if n in INDEXED]
    line("batch inserts, on disk when acknowledged", 3, "batch_inserts", 1, "always", who=indexed)
    line("batch inserts, not durable", 3, "batch_inserts", 1, "none", who=indexed)
    line("batch inserts, not durable, beside those at the operating system", 3, "batch_inserts", 1, "none",
         who=indexed, theirs="os")
    line("batch inserts, not durable, beside those that index later", 3, "batch_inserts", 1, "none",
         who=["milvus-lite"], theirs="os")
    return lines


def plots(f, folder):
    for d in f.dimensions:
        for what in "per_second", "p99_us":
            with open(os.path.join(folder, "%s-%s.dat" % (what, d)), "w") as out:
                for name in f.names:
                    points = [(c, f(d, name, what, c, "0.95")) for c in f.counts(d)]
                    points = [(c, v) for c, v in points if v]
                    if points:
                        print('"%s"' % name, file=out)
                        for c, v in points:
                            print(c, v, file=out)
                        print("\n", file=out)


def main():
    global VECTORS
    args = sys.argv[1:]
    VECTORS = int(os.environ.get("VECTORS") or 100000)
    if args[0] == "--plots":
        plots(Figures(args[2:]), args[1])
        return
    f = Figures(args)
    ratios = [line for d in f.dimensions for line in targets(f, d)]
    print("### Ratios to the best other system\n")
    table(("dimensions", "what", "this server through", "best other", "ratio", "target", "met"), ratios)
    for d in f.dimensions:
        searches(f, d)
        others(f, d)
    about(f)


if __name__ == "__main__":
    main()
