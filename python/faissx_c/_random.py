# SPDX-License-Identifier: Apache-2.0
"""Random numbers as FAISS makes them: the same numbers for the same seed.

FAISS divides an array into blocks.  The block's generator, a Mersenne twister, has a seed that
follows from two numbers of a first generator and the number of the block.
"""
import numpy as np

_BLOCKS = 1024


class _Twister:
    """std::mt19937."""

    def __init__(self, seed):
        self._bits = np.random.MT19937()
        self._bits._legacy_seeding(int(seed) & 0xFFFFFFFF)

    def raw(self, n):
        return self._bits.random_raw(n)

    def ints(self, n):
        """rand_int(): the lower 31 bits."""
        return self.raw(n) & 0x7FFFFFFF

    def floats(self, n):
        """rand_float(): 0 to 1."""
        return self.raw(n).astype("float32") / np.float32(0xFFFFFFFF)


def _blocks(n, seed):
    """Yields where each block begins and ends, and its generator."""
    count = 1 if n < _BLOCKS else _BLOCKS
    a, b = (int(v) for v in _Twister(seed).ints(2))
    for j in range(count):
        yield j * n // count, (j + 1) * n // count, _Twister(a + j * b)


def _shape(n):
    return (n,) if np.isscalar(n) else tuple(n)


def rand(n, seed=12345):
    """Returns an array of the given size or shape, with numbers from 0 to 1."""
    out = np.empty(_shape(n), "float32")
    flat = out.reshape(-1)
    for start, end, rng in _blocks(out.size, seed):
        flat[start:end] = rng.floats(end - start)
    return out


def randint(n, seed=12345, vmax=None):
    """Returns an array of whole numbers, less than vmax if that is given."""
    out = np.empty(_shape(n), "int64")
    flat = out.reshape(-1)
    for start, end, rng in _blocks(out.size, seed):
        pairs = rng.ints(2 * (end - start)).astype("int64")
        flat[start:end] = pairs[::2] | pairs[1::2] << 31
    return out if vmax is None else out % vmax


lrand = randint


def randn(n, seed=12345):
    """Returns an array of normally distributed numbers."""
    out = np.empty(_shape(n), "float32")
    flat = out.reshape(-1)
    for start, end, rng in _blocks(out.size, seed):
        _normal(rng, flat[start:end])
    return out


def _normal(rng, out):
    """Marsaglia's polar method: pairs of numbers, without those outside the circle."""
    done = 0
    while done < out.size:
        raw = rng.raw(2 * (out.size - done + 16)).reshape(-1, 2)
        pairs = 2.0 * (raw / 0xFFFFFFFF) - 1
        s = (pairs * pairs).sum(1)
        inside = s < 1.0
        pairs, s = pairs[inside], s[inside]
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = (pairs * np.sqrt(-2.0 * np.log(s) / s)[:, None]).reshape(-1)
        n = min(numbers.size, out.size - done)
        out[done:done + n] = numbers[:n]
        done += n


def rand_smooth_vectors(n, d, seed=1234):
    """Returns n vectors that are smooth functions of ten numbers each."""
    x = randn((n, 10), seed) @ rand((10, d), seed + 1)
    scales = rand(d, seed + 2)
    return np.sin(x * (scales * np.float32(4) + np.float32(0.1))).astype("float32")


def rand_perm(perm, n, seed):
    """Writes a permutation of 0 to n - 1 to an array of int32."""
    perm[:n] = np.arange(n)
    raw = _Twister(seed).raw(max(n - 1, 1))
    for i in range(n - 1):
        j = i + int(raw[i]) % (n - i)
        perm[i], perm[j] = perm[j], perm[i]
