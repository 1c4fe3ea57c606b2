# SPDX-License-Identifier: Apache-2.0
# FAISSx's Python client, unmodified: its classes without a server (FAISS in this process), then with
# one, and the results compared.  Usage: client.py ENDPOINT KEY.  Prints TAP lines.
import logging
import sys

import numpy as np
import faissx.client as fx

logging.disable(logging.CRITICAL)
D, N, K = 16, 600, 5
rng = np.random.RandomState(7)
base = rng.random_sample((N, D)).astype("float32")
queries = base[:20] + 0.001
ids = np.arange(N, dtype="int64") * 3 + 100


def plain(index, train=False):
    if train:
        index.train(base)
    index.add(base)
    return index.search(queries, K), index.ntotal


def ivf(make, nprobe):
    index = make(fx.IndexFlatL2(D))
    index.train(base)
    index.nprobe = nprobe
    index.add(base)
    return index.search(queries, K), index.ntotal


def mapped(cls):
    index = cls(fx.IndexFlatL2(D))
    index.add_with_ids(base, ids)
    return index.search(queries, K), index.ntotal


def removed():
    index = fx.IndexIDMap2(fx.IndexFlatL2(D))
    index.add_with_ids(base, ids)
    index.remove_ids(ids[:3])
    return index.search(queries, K), index.ntotal


def replaced():
    index = fx.IndexIDMap2(fx.IndexFlatL2(D))
    index.add_with_ids(base, ids)
    index.replace_vector(int(ids[4]), base[0] + 5)
    return index.search(queries, K), index.ntotal


def reset():
    index = fx.IndexFlatL2(D)
    index.add(base)
    index.reset()
    index.add(base[:50])
    return index.search(queries, K), index.ntotal


def reconstructed():
    index = fx.IndexFlatL2(D)
    index.add(base)
    rows = np.stack([index.reconstruct(i) for i in (0, 5, N - 1)])
    return (rows, index.reconstruct_n(3, 4)), index.ntotal


def ranged():
    index = fx.IndexFlatL2(D)
    index.add(base)
    lims, distances, labels = index.range_search(queries[:3], 0.9)
    order = [sorted(labels[lims[i]:lims[i + 1]].tolist()) for i in range(3)]
    return (np.sort(np.asarray(distances)), order), index.ntotal


# name, function, whether both have the same results but for rounding (else: the vector itself is
# found nearly always, and most of the others)
CASES = [
    ("IndexFlatL2", lambda: plain(fx.IndexFlatL2(D)), True),
    ("IndexHNSWFlat", lambda: plain(fx.IndexHNSWFlat(D, 16)), False),
    ("IndexIVFFlat", lambda: ivf(lambda q: fx.IndexIVFFlat(q, D, 8), 8), True),
    ("IndexIVFFlat, nprobe 1", lambda: ivf(lambda q: fx.IndexIVFFlat(q, D, 8), 1), False),
    ("IndexIVFPQ", lambda: ivf(lambda q: fx.IndexIVFPQ(q, D, 4, 8, 6), 4), False),
    ("IndexPQ", lambda: plain(fx.IndexPQ(D, 8, 6), train=True), False),
    ("IndexScalarQuantizer", lambda: plain(fx.IndexScalarQuantizer(D)), False),
    ("IndexIVFScalarQuantizer", lambda: ivf(lambda q: fx.IndexIVFScalarQuantizer(q, D, 4), 4), False),
    ("IndexIDMap", lambda: mapped(fx.IndexIDMap), True),
    ("IndexIDMap2", lambda: mapped(fx.IndexIDMap2), True),
    ("index_factory Flat", lambda: plain(fx.index_factory(D, "Flat")), True),
    ("remove_ids", removed, True),
    ("replace_vector", replaced, True),
    ("reset", reset, True),
    ("reconstruct and reconstruct_n", reconstructed, True),
    ("range_search", ranged, True),
]


def run():
    results = {}
    for name, function, _ in CASES:
        try:
            results[name] = function()
        except Exception as e:
            results[name] = e
    return results


def same(local, remote, exact):
    if isinstance(remote, Exception):
        return "with the server: %r" % remote
    (x, labels), total = remote
    (local_x, local_labels), local_total = local
    if total != local_total:
        return "ntotal %r, expected %r" % (total, local_total)
    if exact:
        if not np.allclose(x, local_x, atol=1e-4):
            return "other values"
        if isinstance(labels, list):
            return None if labels == local_labels else "other labels"
        return None if np.mean(np.abs(labels - local_labels) < 1e-4) > 0.98 else "other labels"
    own = np.mean(labels[:, 0] == local_labels[:, 0])
    shared = np.mean([len(set(a) & set(b)) / K for a, b in zip(labels, local_labels)])
    return None if own >= 0.8 and shared >= 0.5 else "first %.2f, shared %.2f" % (own, shared)


def exact_search(vectors):
    distances = ((queries[:, None, :] - vectors[None, :, :]) ** 2).sum(axis=2)
    labels = np.argsort(distances, axis=1)[:, :K]
    return np.take_along_axis(distances, labels, axis=1), labels


local = run()
# Without a server the client's IndexPQ searches by inner product, and its replace_vector changes only
# the client's own copy: what FAISS does is expected instead.
local["IndexPQ"] = exact_search(base), N
changed = base.copy()
changed[4] = base[0] + 5
x, places = exact_search(changed)
local["replace_vector"] = (x, ids[places]), N
fx.configure(server=sys.argv[1], api_key=sys.argv[2], tenant_id="t")
remote = run()
count = 0
for name, _, exact in CASES:
    if isinstance(local[name], Exception):
        print("# %s does not work without a server either: %r" % (name, local[name]))
        if isinstance(remote[name], Exception):
            continue
        local[name] = remote[name]
    count += 1
    why = same(local[name], remote[name], exact)
    print("%s %d - %s%s" % ("not ok" if why else "ok", count, name, ": " + why if why else ""))
print("%d" % count, file=sys.stderr)
