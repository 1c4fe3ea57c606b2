# SPDX-License-Identifier: Apache-2.0
"""Runs FAISS's own Python tests with FAISS's module, with ours in process and on a server.

    run.py --out TABLE.json [--ways faiss,local,remote] [--server ENDPOINT] DIR [FILE]...

FILE: only these.  Each file runs in a process of its own.
"""
import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ALIAS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "python", "faissx_c", "as_faiss")


def environment(way, server):
    env = dict(os.environ)
    for name in ("PYTHONPATH", "FAISSX_SERVER"):
        env.pop(name, None)
    if way != "faiss":
        env["PYTHONPATH"] = os.environ.get("FAISSX_ALIAS", ALIAS)
    if way == "remote":
        env["FAISSX_SERVER"] = server
        env["FAISSX_FAISS_LIBRARY"] = "/nonexistent"
    # Threads that spin take the time of other processes.
    env["OPENBLAS_NUM_THREADS"] = env["OMP_NUM_THREADS"] = "1"
    env["PYTHONWARNINGS"] = "ignore"
    return env


def run_file(path, way, args, before):
    """Returns {test: (result, reason)}.  before: results of an earlier run; if there are any, only
    the tests that ran out of time are run again."""
    results = {t: tuple(r) for t, r in before.items() if r[0] != "time"}
    every = list(before) or None
    end = time.time() + args.seconds
    while time.time() < end:
        wanted = [t for t in every if t not in results] if every else []
        if every is not None and not wanted:
            break
        current = None
        with open(args.out + ".err", "w") as err:
            child = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "one.py"), path, str(args.each)] + wanted,
                stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, text=True,
                env=environment(way, args.server), cwd=os.path.dirname(path))
            # Past its time it is killed: its last line was what it could not finish.
            killer = threading.Timer(end - time.time(), child.kill)
            killer.start()
            for line in child.stdout:
                said = json.loads(line)
                if "broken" in said:
                    results[os.path.basename(path)] = ("error", said["broken"])
                    every = []
                if "all" in said:
                    every = every or said["all"]
                if "start" in said:
                    current = said["start"]
                if "test" in said:
                    results[said["test"]] = (said["result"], said["reason"])
                    current = None
            status = child.wait()
            killer.cancel()
        if status == 0 and current is None:
            break
        with open(args.out + ".err") as err:
            last = (err.read().strip().splitlines() or [""])[-1]
        if current is None:
            results.setdefault(os.path.basename(path), ("error", f"ended with {status}: {last}"))
            break
        late = time.time() >= end
        results[current] = ("time", "time limit") if late else \
            ("error" if status > 0 else "crash", last if status > 0 else f"signal {-status}")
    for t in every or []:
        results.setdefault(t, ("time", "time limit"))
    return results


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", required=True)
    p.add_argument("--ways", default="faiss,local,remote")
    p.add_argument("--server", default="")
    p.add_argument("--seconds", type=int, default=300, help="for a file")
    p.add_argument("--each", type=int, default=60, help="for a test")
    p.add_argument("--again", action="store_true",
                   help="only the tests that ran out of time in the run before")
    p.add_argument("dir")
    p.add_argument("files", nargs="*")
    args = p.parse_args()
    paths = [os.path.join(args.dir, f) for f in args.files] or \
        sorted(glob.glob(os.path.join(args.dir, "test_*.py")))
    table = {}
    if os.path.exists(args.out):
        with open(args.out) as f:
            table = json.load(f)
    for path in paths:
        name = os.path.basename(path)
        for way in args.ways.split(","):
            started = time.time()
            before = table.get(name, {}).get(way, {}) if args.again else {}
            if args.again and not any(r == "time" for r, _ in before.values()):
                continue
            got = run_file(os.path.abspath(path), way, args, before)
            table.setdefault(name, {})[way] = got
            count = collections.Counter(r for r, _ in got.values())
            print(f"{name} {way}: {dict(count)} {time.time() - started:.0f} s", flush=True)
            with open(args.out, "w") as f:
                json.dump(table, f)


main()
