# SPDX-License-Identifier: Apache-2.0
"""From what run.py has left, the tables of docs/python.md: table.py FILE."""
import collections
import json
import re
import sys

LEVEL = re.compile(r"_(NONE|AVX2|AVX512|AVX512_SPR|ARM_NEON|ARM_SVE|RISCV_RVV)(?=\.)")

REASONS = [
    (r"constructor for", "a constructor that the C API lacks"),
    (r"read the index with it from a file|cannot set|no setter|, or FAISS's C API cannot",
     "a field or variable that the C API cannot set"),
    (r"cvar\.", "a field or variable that the C API cannot set"),
    (r"^Missing|no way to do", "a function or class that the C API lacks"),
    (r"search parameter|range search with parameters|params",
     "search parameters that the C API cannot pass"),
    (r"cannot pass|numeric_type|io_flags|init_centroids|weights|xq_train",
     "an argument that the C API cannot pass"),
    (r"has no attribute|missing \d+ required|takes .* positional|unexpected keyword|not supported",
     "a method, field or form of a constructor that the C API lacks"),
    (r"^NotImplementedError|merges IndexIVF only", "something else that the C API lacks"),
    (r"time limit|Overdue", "the time limit"),
    (r"signal", "the process ended"),
]


def group(why):
    for pattern, name in REASONS:
        if re.search(pattern, why):
            return name
    return "another result or error"


def merged(results):
    """A test is run for each set of SIMD instructions; the C API cannot choose them, so they are
    one test, which passes if all pass."""
    rank = ["skip", "ok", "time", "fail", "error", "crash"]
    out = {}
    for name, (result, why) in results.items():
        name = LEVEL.sub("", name)
        if name not in out or rank.index(result) > rank.index(out[name][0]):
            out[name] = (result, why)
    return out


def main(path):
    with open(path) as f:
        table = json.load(f)
    ways = ("faiss", "local", "remote")
    totals = collections.Counter()
    why_not = {w: collections.Counter() for w in ways}
    print("| file | tests | FAISS's module | ours in process | ours on a server |")
    print("|---|---|---|---|---|")
    for name in sorted(table):
        got = {w: merged(table[name].get(w, {})) for w in ways}
        # Those that FAISS's own module passes here: others need what this machine lacks.
        passing = {t for t, (r, _) in got["faiss"].items() if r == "ok"}
        row = {"tests": len([t for t, (r, _) in got["faiss"].items() if r != "skip"]),
               "faiss": len(passing)}
        for way in ways[1:]:
            row[way] = sum(got[way].get(t, ("", ""))[0] == "ok" for t in passing)
            whole = next(iter(got[way].values()), ("error", "nothing ran"))
            for t in passing:
                result, why = got[way].get(t, whole if len(got[way]) <= 1 else
                                           ("error", "no such test"))
                if result != "ok":
                    why_not[way][group(why)] += 1
        totals.update(row)
        print(f"| {name} | {row['tests']} | {row['faiss']} | {row['local']} | {row['remote']} |")
    print("| all |", " | ".join(str(totals[c]) for c in ("tests", *ways)), "|")
    print("\n| why not | in process | on a server |\n|---|---|---|")
    for reason, n in (why_not["local"] + why_not["remote"]).most_common():
        assert n
        print(f"| {reason} | {why_not['local'][reason]} | {why_not['remote'][reason]} |")


main(sys.argv[1])
