# SPDX-License-Identifier: Apache-2.0
"""Measures this server and what a user would pick instead, in turns.  bench/peers/run.sh starts it.

Writes a line for each figure to results.tsv: dimensions, system, what, clients, setting, value; the setting
is a recall aimed at, "exact", or a durability.  What fails is a line "failed" with the stage and the reason.
about.tsv has a line for each system: version, parameters, threads, promises."""
import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

import numpy as np

from clients import Clients
from peer import cpu_us, pss_mib, tree, vectors

K = 10
MODULES = {"faissx-module": "faissx_peer", "faissx-c": "faissx_peer", "faissx-dialect": "faissx_peer",
           "pgvector": "pgvector_peer", "chroma": "chroma_peer", "milvus-lite": "milvus_peer",
           "lancedb": "lancedb_peer", "sqlite-vec": "sqlitevec_peer", "qdrant-local": "qdrant_peer"}
INDEX = "vectors"


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--peers", nargs="+", default=list(MODULES), choices=list(MODULES))
    p.add_argument("--dims", nargs="+", type=int, default=[128, 768])
    p.add_argument("--clients", nargs="+", type=int, default=[1, 16, 64])
    p.add_argument("--recalls", nargs="+", type=float, default=[0.90, 0.95, 0.99])
    p.add_argument("--vectors", type=int, default=100000)
    p.add_argument("--queries", type=int, default=500)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--limit", type=int, default=600, help="seconds after which loading a system is given up")
    return p.parse_args()


def nearest(x, queries):
    """The labels of the K nearest vectors, computed here."""
    squares = np.einsum("ij,ij->i", x, x)
    found = []
    for at in range(0, len(queries), 50):
        distances = squares - 2 * queries[at:at + 50] @ x.T
        part = np.argpartition(distances, K, axis=1)[:, :K]
        found.append(part)
    return np.concatenate(found)


def recall(labels, truth):
    return float(np.mean([len(set(a) & set(b)) for a, b in zip(labels.tolist(), truth.tolist())])) / K


class System:
    """A peer with its clients, and what was found out about it."""

    def __init__(self, name, folder, queries):
        module = MODULES[name]
        classes = getattr(importlib.import_module(module), "PEERS", None) or (importlib.import_module(module).PEER,)
        kind = [c for c in classes if c.name == name][0]
        self.peer = kind(os.path.join(folder, kind.same_as or name))
        self.name, self.module, self.queries = name, module, queries
        self.clients = None
        self.efforts = {}   # recall aimed at: effort
        self.exact_index = INDEX

    def begin_clients(self):
        self.clients = Clients(self.module, self.queries, fork=self.peer.fork)

    def connect(self, count, index, ef=None, exact=False, durable=None):
        args = dict(self.peer.connection(), name=index, ef=ef, exact=exact, durable=durable or self.peer.durable[0])
        self.clients.ask("connect", args, count)

    def memory(self):
        return self.peer.memory() or pss_mib(tree(self.clients.process.pid))


class Run:
    def __init__(self, args):
        self.args = args
        self.results = open(os.path.join(args.out, "results.tsv"), "w", buffering=1)
        self.row("dimensions", "system", "what", "clients", "setting", "value")
        self.about = open(os.path.join(args.out, "about.tsv"), "w", buffering=1)
        self.d = 0

    def row(self, *fields):
        print(*("%.6g" % f if isinstance(f, float) else f for f in fields), sep="\t", file=self.results)

    def figure(self, system, what, clients, setting, value):
        self.row(self.d, system.name, what, clients, setting, value)

    def note(self, text):
        print("# %s load %s, %d dimensions: %s" % (time.strftime("%T"), open("/proc/loadavg").read().split()[0],
                                                   self.d, text), file=sys.stderr)

    def attempt(self, stage, systems, work, limit=None):
        """Does work for each system, and returns those for which it did not fail."""
        good = []
        for s in systems:
            self.note("%s: %s" % (stage, s.name))
            seconds = limit or s.peer.limit or self.args.limit
            signal.signal(signal.SIGALRM, lambda *_: self.late(seconds))
            signal.alarm(seconds)
            try:
                work(s)
                good.append(s)
            except Exception as e:
                self.failed(s.name, stage, e)
            finally:
                signal.alarm(0)
        return good

    def late(self, seconds):
        raise TimeoutError("not done after %d s" % seconds)

    def failed(self, name, stage, error):
        reason = " ".join(("%s: %s" % (type(error).__name__, error)).split())[:300]
        print("# %s: %s failed: %s" % (name, stage, reason), file=sys.stderr)
        if os.environ.get("PEERS_DEBUG"):
            traceback.print_exception(error)
        self.row(self.d, name, "failed", 0, stage, reason)

    # --- the stages ---------------------------------------------------------------------

    def everything(self, d, folder):
        self.d = d
        self.x, queries = vectors(self.args.vectors, d, 1), vectors(self.args.queries, d, 2)
        self.truth = nearest(self.x, queries)
        systems = []
        for name in [n for n in MODULES if n in self.args.peers]:  # an owner before those that share its server
            try:
                systems.append(System(name, folder, queries))
            except Exception as e:
                self.failed(name, "import", e)
        self.owners = {s.name: s for s in systems if not s.peer.same_as}
        try:
            started = self.attempt("start", systems, self.start)
            loaded = self.attempt("load", started, self.load)
            for s in loaded:
                p = s.peer
                print(s.name, p.version(), p.parameters, p.threads, p.promises, sep="\t", file=self.about)
            ready = self.attempt("recall", loaded, self.tune)
            self.searches([s for s in ready if s.peer.hnsw])
            self.exact([s for s in ready if s.peer.exact])
            self.attempt("memory", ready, self.measure_memory)
            self.attempt("restart", ready, self.restart)
            for durable in ("always", "os", "none"):
                self.inserts(durable, ready)
        finally:
            for s in systems:
                for end in [s.clients.end] * bool(s.clients) + [s.peer.stop]:
                    try:
                        end()
                    except Exception as e:
                        self.failed(s.name, "stop", e)

    def owner(self, s):
        return self.owners[s.peer.same_as or s.name]

    def start(self, s):
        if s.peer.same_as:
            s.peer.endpoint = self.owner(s).peer.endpoint
        else:
            t = time.monotonic()
            s.peer.start()
            if s.peer.process:
                self.figure(s, "start_s", 0, "-", time.monotonic() - t)
        s.begin_clients()

    def load(self, s):
        if s.peer.hnsw and not s.peer.same_as:
            t = time.monotonic()
            s.peer.load(INDEX, self.x)
            s.connect(1, INDEX, ef=s.peer.efforts[-1])
            s.clients.ask("call", ("search", self.x[0], K))  # some put work off until then
            self.figure(s, "load_s", 1, "-", time.monotonic() - t)
        if hasattr(s.peer, "load_exact"):
            s.exact_index = "exact"
            if not s.peer.same_as:
                s.peer.load_exact(s.exact_index, self.x)

    def tune(self, s):
        """The least effort that reaches each recall aimed at, from the system's list of efforts."""
        if s.peer.same_as:
            s.efforts = self.owner(s).efforts
            return
        if not s.peer.hnsw:
            return
        known = {}

        def at(i):
            if i not in known:
                ef = s.peer.efforts[i]
                s.peer.effort(INDEX, ef)
                s.clients.ask("call", ("effort", ef))
                known[i] = recall(s.clients.ask("labels", (K, None))[0], self.truth)
            return known[i]

        for aim in self.args.recalls:
            low, high = 0, len(s.peer.efforts) - 1
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if at(middle) >= aim else (middle + 1, high)
            self.figure(s, "recall", 1, aim, at(low))
            self.figure(s, "effort", 1, aim, s.peer.efforts[low])
            if at(low) >= aim:
                s.efforts[aim] = s.peer.efforts[low]
            else:
                self.row(self.d, s.name, "failed", 0, "recall", "recall %s is not reached with an effort of %d: %.3f"
                         % (aim, s.peer.efforts[low], at(low)))

    def rounds(self, systems, count, setting, rounds=None):
        """All systems in turn; the figure is the median of the rounds."""
        values = {s: [] for s in systems}
        for _ in range(rounds or self.args.rounds):
            systems = self.attempt("%s clients, %s" % (count, setting), systems,
                                   lambda s: values[s].append(self.turn(s)), 120)
        for s in systems:
            rate, us, cpu = zip(*values[s])
            us = np.concatenate(us)
            self.figure(s, "per_second", count, setting, float(np.median(rate)))
            self.figure(s, "least_per_second", count, setting, float(min(rate)))
            self.figure(s, "most_per_second", count, setting, float(max(rate)))
            self.figure(s, "cpu_us", count, setting, float(np.median(cpu)))
            self.figure(s, "p50_us", count, setting, float(np.percentile(us, 50)))
            self.figure(s, "p99_us", count, setting, float(np.percentile(us, 99)))

    def turn(self, s):
        """Searches per second, the time of each, and the CPU time of clients and server for one."""
        s.clients.ask("call", ("search", s.queries[0], K))
        server = self.owner(s).peer.process
        pids = tree(s.clients.process.pid) + (tree(server.pid) if server else [])
        cpu = cpu_us(pids)
        answers = s.clients.ask("loop", (K, time.monotonic() + 0.1 + 0.003 * s.clients.count, self.args.seconds))
        us = np.concatenate([us for us, _ in answers])
        return sum(len(us) / took for us, took in answers), us, (cpu_us(pids) - cpu) / len(us)

    def searches(self, systems):
        for count in self.args.clients:
            now = self.attempt("connect", [s for s in systems if count <= s.peer.clients],
                               lambda s: s.connect(count, INDEX))
            for aim in self.args.recalls:
                def effort(s):
                    s.peer.effort(INDEX, s.efforts[aim])
                    s.clients.ask("call", ("effort", s.efforts[aim]))
                ready = self.attempt("effort", [s for s in now if aim in s.efforts], effort)
                self.rounds(ready, count, aim)

    def exact(self, systems):
        for count in self.args.clients:
            now = [s for s in systems if count <= s.peer.exact_clients]
            now = self.attempt("connect", now, lambda s: s.connect(count, s.exact_index, exact=True))
            if count == self.args.clients[0]:
                for s in now:
                    self.figure(s, "recall", 1, "exact", recall(s.clients.ask("labels", (K, 50), 1)[0], self.truth))
                now = self.attempt("connect", now, lambda s: s.connect(count, s.exact_index, exact=True))
            self.rounds(now, count, "exact", min(self.args.rounds, 2))

    def measure_memory(self, s):
        index = INDEX if s.peer.hnsw else s.exact_index
        s.connect(1, index, ef=next(iter(s.efforts.values()), None))
        s.clients.ask("labels", (K, 50))
        if not s.peer.same_as:
            self.figure(s, "memory_mib", 1, "-", s.memory())

    def restart(self, s):
        """From the start of the server to the end of the first search of a new client."""
        if s.peer.same_as:
            return
        s.clients.ask("connect", {}, 0)
        t = time.monotonic()
        s.peer.stop()
        stopped = time.monotonic()
        s.peer.start()
        s.connect(1, INDEX if s.peer.hnsw else s.exact_index, ef=next(iter(s.efforts.values()), None))
        s.clients.ask("call", ("search", s.queries[0], K))
        self.figure(s, "restart_s", 1, "-", time.monotonic() - stopped)
        self.figure(s, "stop_s", 1, "-", stopped - t)

    def inserts(self, durable, systems):
        """Into an index of its own, empty at first.  After its vectors, a client searches until it sees them, so
        that work that is put off until a search counts."""
        systems = [s for s in systems if durable in s.peer.durable]

        def begin(s):
            if not s.peer.same_as:
                s.peer.mode(durable)
            s.clients.ask("connect", {}, 0)
            s.peer.create("inserts_" + durable + s.name.replace("-", "_"), len(self.x[0]), s.peer.hnsw)
            s.at = 0
            s.connect(1, "inserts_" + durable + s.name.replace("-", "_"), durable=durable)

        def some(s, each, seconds):
            t, n = time.monotonic(), 0
            while n == 0 or (time.monotonic() - t < seconds and n < len(self.x) // 10):
                s.clients.ask("call", ("insert", "inserts_" + durable + s.name.replace("-", "_"), s.at,
                                       self.x[s.at:s.at + each]))
                s.at += each
                n += each
            found = s.clients.ask("call", ("search", self.x[s.at - 1], K))[0]
            if s.at - 1 not in list(found):
                raise RuntimeError("a search does not find vector %d, which was just inserted" % (s.at - 1))
            return n / (time.monotonic() - t)

        systems = self.attempt("create, %s" % durable, systems, begin)
        for what, each in ("batch_inserts", 1000), ("single_inserts", 1):
            values = {s: [] for s in systems}
            for _ in range(self.args.rounds):
                systems = self.attempt("%s, %s" % (what, durable), systems, lambda s: values[s].append(
                    some(s, each, self.args.seconds)), 120)
            for s in systems:
                self.figure(s, what, 1, durable, float(np.median(values[s])))


def main():
    args = arguments()
    os.makedirs(args.out, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(args)
    for d in args.dims:
        folder = tempfile.mkdtemp(prefix="faissx-peers.")
        os.chmod(folder, 0o755)
        try:
            run.everything(d, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
