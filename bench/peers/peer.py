# SPDX-License-Identifier: Apache-2.0
"""What the driver asks of a system, and what several of them need: a process that serves, its
memory, and the vectors.

A class derived from Peer runs in the driver: it starts and stops the server, and knows its knobs.  Its
connect() runs in the client processes (clients.py) and gives an object with search(query, k), which
returns k ids, insert(name, first, vectors) and effort(ef)."""
import os
import signal
import subprocess
import time

import numpy as np

M, EF_CONSTRUCTION = 16, 100
CENTRES = 1000


def vectors(n, d, seed):
    """n vectors in Gaussian clusters.  The centres do not depend on the seed."""
    centres = np.random.default_rng(42).standard_normal((CENTRES, d), dtype="f4")
    rng = np.random.default_rng(seed)
    x = np.empty((n, d), "f4")
    for at in range(0, n, 10000):
        rows = min(10000, n - at)
        x[at:at + rows] = centres[rng.integers(CENTRES, size=rows)]
        x[at:at + rows] += rng.standard_normal((rows, d), dtype="f4")
    return x


def tree(pid):
    """A process and those that it started, directly or not."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry) as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for p in found:
        found += children.get(p, [])
    return found


def cpu_us(pids):
    """CPU time that processes have used, to a hundredth of a second each."""
    ticks = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid) as f:
                ticks += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        except OSError:
            pass
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def pss_mib(pids):
    """Memory of processes, where each page that n of them share counts as 1/n."""
    kib = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                kib += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return kib / 1024


class Peer:
    name = ""         # as PEERS= and the tables name it
    hnsw = True       # has an HNSW index
    exact = True      # has an exact search
    exact_clients = 64  # the most clients of an exact search that finish within the time of a round
    fork = True       # client processes are forked after the import of connect()'s libraries
    clients = 1000    # the most clients it can have
    limit = None      # seconds after which loading it is given up, if not the driver's
    same_as = None    # the name of the system whose server and index this one uses
    efforts = (10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 320, 400, 512, 800)
    parameters = "M=%d, ef_construction=%d" % (M, EF_CONSTRUCTION)
    threads = ""      # threads of the server that search: always the default
    promises = ""     # what holds when an insert is acknowledged, and what a search sees
    durable = ("always",)  # the modes of durability that inserts can have: always, os, none

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        os.makedirs(folder, exist_ok=True)

    def version(self):
        raise NotImplementedError

    def start(self):
        """Returns when a client can connect."""

    def stop(self):
        self.end(signal.SIGTERM)

    def mode(self, durable):
        """Prepares for inserts of this durability.  Returns what connect() gets as its durability."""
        return durable

    def create(self, name, d, hnsw=True):
        raise NotImplementedError

    def load(self, name, x):
        """Brings x into an empty index, with ids from 0, in the fastest way there is, and returns when
        every search uses the complete index."""
        raise NotImplementedError

    def effort(self, name, ef):
        """For systems whose effort is a setting of the index.  For others connect() is told."""

    def memory(self):
        return pss_mib(tree(self.process.pid)) if self.process else 0

    def connection(self):
        """What connect() is given, besides name, effort and so on.  Has to be picklable."""
        return {}

    # --- for servers ------------------------------------------------------------------

    def run(self, command, **options):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

    def until(self, answers, seconds=120):
        """Waits until answers() returns without an exception."""
        end = time.monotonic() + seconds
        while True:
            try:
                return answers()
            except Exception as e:
                if self.process.poll() is not None:
                    raise RuntimeError("%s ended with status %s: %s" % (self.name, self.process.returncode, self.log()))
                if time.monotonic() > end:
                    raise RuntimeError("%s does not answer after %d s: %s" % (self.name, seconds, e))
                time.sleep(0.01)

    def log(self, words=40):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return " ".join(f.read().split()[-words:])

    def end(self, how, seconds=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
